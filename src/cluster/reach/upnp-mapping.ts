/**
 * A mapped port by UPnP: the router is found by SSDP, describes itself over HTTP, and maps by SOAP (WANIPConnection and
 * WANPPPConnection of the Internet Gateway Device, versions 1 and 2).
 *
 * Whoever answers a search could name any place to fetch from, so only a literal private IPv4 address that answered
 * itself is fetched from, and told nothing but a port. Of the XML only the few texts that count are taken, and they are
 * checked as texts: there is no parser to be fooled.
 */
import { isIPv4 } from 'node:net'
import { isExemptHost } from '../../../discovery/dht/dht-id.ts'
import type { Address } from '../../../transport/address.ts'
import type { Random } from '../../../transport/random.ts'
import { type Asking, askByHttp, type SsdpAnswer, searchBySsdp, sourceHost } from './gateway-wire.ts'
import type { Lease, MappingProtocol, MapRequest } from './mapping-protocol.ts'

const SSDP_ADDRESS: Address = { host: '239.255.255.250', port: 1900 }
const SEARCH_MS = 3000
const HTTP_MS = 3000
const TARGETS: readonly string[] = [
  'urn:schemas-upnp-org:device:InternetGatewayDevice:1',
  'urn:schemas-upnp-org:device:InternetGatewayDevice:2',
]
/** The preferred ones first. */
const SERVICES: readonly string[] = [
  'urn:schemas-upnp-org:service:WANIPConnection:2',
  'urn:schemas-upnp-org:service:WANIPConnection:1',
  'urn:schemas-upnp-org:service:WANPPPConnection:1',
]
/** ConflictInMappingEntry, and ConflictWithOtherMechanisms: the port is somebody else's. */
const CONFLICTS: readonly number[] = [718, 729]
const ONLY_PERMANENT_LEASES = 725
const MAX_PORTS_TRIED = 4
const DYNAMIC_PORTS = { from: 49_152, count: 16_384 } as const

export interface UpnpMappingOptions {
  readonly random: Random
  /** Where routers are searched for: by default the group that all of them listen to. */
  readonly search?: Address
}

export interface Service {
  readonly type: string
  readonly control: URL
}

interface Mapped {
  readonly service: Service
  readonly port: number
}

class UpnpError extends Error {
  readonly code: number

  constructor(code: number, text: string) {
    super(`error ${code}${text === '' ? '' : `, ${text}`}`)
    this.code = code
  }
}

export class UpnpMapping implements MappingProtocol {
  readonly name = 'UPnP'
  readonly #random: Random
  readonly #search: Address
  #mapped: Mapped | undefined

  constructor({ random, search = SSDP_ADDRESS }: UpnpMappingOptions) {
    this.#random = random
    this.#search = search
  }

  async map(request: MapRequest, asking: Asking): Promise<Lease> {
    // Kept until there is another: what is not renewed holds until its time is over, and is still to be taken back.
    const before = this.#mapped
    if (before !== undefined) {
      try {
        return await this.#mapOn(before.service, { ...request, wantedPort: before.port }, asking)
      } catch {
        // It may have been restarted, with other paths, or be another router.
      }
    }
    return this.#mapOn(await this.#find(asking), request, asking)
  }

  async unmap(_request: MapRequest, asking: Asking): Promise<void> {
    if (this.#mapped === undefined) return
    const { service, port } = this.#mapped
    this.#mapped = undefined
    await call(service, 'DeletePortMapping', { NewRemoteHost: '', NewExternalPort: port, NewProtocol: 'UDP' }, asking)
  }

  async #mapOn(service: Service, request: MapRequest, asking: Asking): Promise<Lease> {
    const status = await call(service, 'GetExternalIPAddress', {}, asking)
    const host = textOf(status, 'NewExternalIPAddress')
    if (host === undefined || !isIPv4(host) || host === '0.0.0.0') throw new Error('the router has no address itself')
    const client = await sourceHost(asking.signal, { host: service.control.hostname, port: portOf(service.control) })
    const { port, lifetimeSeconds } = await this.#add(service, client, request, asking)
    this.#mapped = { service, port }
    return { address: { host, port }, lifetimeMs: lifetimeSeconds * 1000 }
  }

  async #add(
    service: Service,
    client: string,
    { internalPort, wantedPort, lifetimeSeconds }: MapRequest,
    asking: Asking,
  ): Promise<{ port: number; lifetimeSeconds: number }> {
    let port = wantedPort
    let leaseSeconds = lifetimeSeconds
    for (let tries = 1; ; tries++) {
      const args = {
        NewRemoteHost: '',
        NewExternalPort: port,
        NewProtocol: 'UDP',
        NewInternalPort: internalPort,
        NewInternalClient: client,
        NewEnabled: 1,
        NewPortMappingDescription: 'skein',
        NewLeaseDuration: leaseSeconds,
      }
      try {
        await call(service, 'AddPortMapping', args, asking)
        return { port, lifetimeSeconds }
      } catch (error) {
        const code = error instanceof UpnpError && tries < MAX_PORTS_TRIED ? error.code : 0
        // A lasting one is taken back by stop, and renewed as the others are, for routers that forget it.
        if (code === ONLY_PERMANENT_LEASES && leaseSeconds !== 0) leaseSeconds = 0
        else if (CONFLICTS.includes(code))
          port = DYNAMIC_PORTS.from + Math.floor(this.#random.float() * DYNAMIC_PORTS.count)
        else throw error
      }
    }
  }

  async #find(asking: Asking): Promise<Service> {
    const local = await sourceHost(asking.signal, this.#search)
    const found = await searchBySsdp(this.#search, asking, TARGETS, local, SEARCH_MS)
    const locations = new Map(found.flatMap(locationOf).map((url) => [url.href, url]))
    let why = 'no router answered the search'
    for (const location of locations.values()) {
      try {
        const { status, text } = await askByHttp(location, asking, HTTP_MS)
        const service = status === 200 ? serviceIn(text, location) : undefined
        if (service !== undefined) return service
        why = `${location.host} offers no port mapping`
      } catch (error) {
        why = (error as Error).message
      }
    }
    throw new Error(why)
  }
}

/** Only the machine that answered, and only in a private network. */
export const locationOf = ({ host, location }: SsdpAnswer): URL[] => {
  const url = urlOf(location)
  const isOwn = url?.protocol === 'http:' && url.hostname === host && isIPv4(host) && isExemptHost(host)
  return isOwn ? [url] : []
}

/** The best service that a description offers. Its path may be relative, to URLBase or to the description. */
export const serviceIn = (description: string, location: URL): Service | undefined => {
  const base = urlOf(textOf(description, 'URLBase') ?? '') ?? location
  const services = description.split('<service>').slice(1)
  for (const type of SERVICES) {
    for (const service of services) {
      const control = textOf(service, 'serviceType') === type ? textOf(service, 'controlURL') : undefined
      const url = control === undefined ? undefined : urlOf(control, base)
      if (url?.protocol === 'http:' && url.hostname === location.hostname) return { type, control: url }
    }
  }
  return undefined
}

type Arguments = Readonly<Record<string, string | number>>

/** Gives the answer as XML. All arguments are texts without markup. */
const call = async ({ type, control }: Service, action: string, args: Arguments, asking: Asking): Promise<string> => {
  const fields = Object.entries(args).map(([name, value]) => `<${name}>${value}</${name}>`)
  const body = `<?xml version="1.0"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body><u:${action} xmlns:u="${type}">${fields.join('')}</u:${action}></s:Body></s:Envelope>
`
  const headers = {
    'content-type': 'text/xml; charset="utf-8"',
    'content-length': String(Buffer.byteLength(body)),
    soapaction: `"${type}#${action}"`,
  }
  const { status, text } = await askByHttp(control, asking, HTTP_MS, { headers, body })
  if (status === 200) return text
  const code = Number(textOf(text, 'errorCode'))
  throw Number.isInteger(code)
    ? new UpnpError(code, printable(textOf(text, 'errorDescription') ?? ''))
    : new Error(`${control.host} answered with status ${status}`)
}

/** What stands in the first element of this name that has no attributes; nothing that UPnP says here has any. */
export const textOf = (xml: string, name: string): string | undefined => {
  const start = xml.indexOf(`<${name}>`)
  const from = start + name.length + 2
  const end = start < 0 ? -1 : xml.indexOf(`</${name}>`, from)
  return end < 0 ? undefined : xml.slice(from, end).trim()
}

/** Error texts end in a status line. */
const printable = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, '').slice(0, 80)

const urlOf = (text: string, base?: URL): URL | undefined => {
  try {
    return new URL(text, base)
  } catch {
    return undefined
  }
}

const portOf = ({ port }: URL): number => (port === '' ? 80 : Number(port))
