/**
 * A node as a DNS-SD service: which records say it, and what records of another node say.
 *
 *   _services._dns-sd._udp.local  PTR   _skein._udp.local
 *   _skein._udp.local           PTR   app1@host-abcdefghijkl._skein._udp.local
 *   app1@host-abcdefghijkl...   SRV   port, skein-abcdefghijklmnop.local
 *   app1@host-abcdefghijkl...   TXT   v=1, id, name, inc, tag
 *   skein-abcdefghijklmnop.local  A, AAAA
 *
 * Instance and host labels hold a part of the node id, so honest nodes hardly ever claim the same; where a label is taken
 * all the same, it gets a number, and the node keeps its name. The machine's own host name is left to the system's
 * responder. All of it is a hint: anybody on the LAN can say anything.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { isNodeId } from '../../certs/node-id.ts'
import { type Address, unmapHost } from '../../transport/address.ts'
import type { NodeRecord, Registration } from '../source.ts'
import {
  type AddressRecord,
  type DenialRecord,
  nameKey,
  type PointerRecord,
  type Question,
  type RecordType,
  type ResourceRecord,
  type ServiceRecord,
  type TextRecord,
} from './packet.ts'
import { readRegistrations, registrationTexts } from './registration-text.ts'

export const SERVICE_TYPE = '_skein._udp.local'
/** RFC 6763 section 9: where browsers learn which types of services there are. */
const SERVICE_TYPES = '_services._dns-sd._udp.local'

/** RFC 6762 section 10: 120 s for records that hold a host's name or address, 75 minutes for the others. */
const HOST_TTL_SECONDS = 120
const OTHER_TTL_SECONDS = 4500

const TEXT_VERSION = '1'
/** RFC 1035 section 2.3.4: a label has at most 63 bytes. */
const MAX_LABEL_BYTES = 63
/** 60 bits: two of a thousand nodes share them with a chance below 1 in 10^12. */
const INSTANCE_ID_LENGTH = 12
const HOST_ID_LENGTH = 16
/** A TXT string has at most 255 bytes (RFC 6763 section 6.1), "name=" included. */
export const MAX_NAME_BYTES = 250
/** More addresses than this of one node are of no use to anybody. */
export const MAX_ADDRESSES = 16

const INCARNATION_PATTERN = /^[0-9a-f]{16}$/
const NAME_PATTERN = /^[^\s\p{C}]+$/u

/** The records of one node on one interface. */
export interface NodeService {
  /** That services of our type exist here: many nodes say the same. */
  readonly kind: PointerRecord
  readonly pointer: PointerRecord
  readonly service: ServiceRecord
  readonly text: TextRecord
  readonly hosts: readonly AddressRecord[]
  /** What the names that are ours alone have not. */
  readonly denials: readonly DenialRecord[]
}

/** Which of its labels a node has to use: 1 is the plain one, each conflict leads to the next. */
export interface LabelNumbers {
  readonly instance: number
  readonly host: number
}

export const PLAIN_LABELS: LabelNumbers = { instance: 1, host: 1 }

/** Where records go out or come in: loopback addresses and link-local zones mean nothing elsewhere. */
export interface Scope {
  readonly interfaceName: string
  readonly loopback: boolean
}

const isLoopbackHost = (host: string): boolean => host === '::1' || (isIPv4(host) && host.startsWith('127.'))

const isLinkLocal = (host: string): boolean => /^fe[89ab]/i.test(host)

/** The records that announce `node` on an interface; undefined if nobody there could reach it. */
export const serviceOf = (
  node: NodeRecord,
  scope: Scope,
  numbers: LabelNumbers = PLAIN_LABELS,
): NodeService | undefined => {
  const reachable = node.addresses
    .map(({ host, port }) => ({ host: unmapHost(host), port }))
    .filter(({ host, port }) => port > 0 && hostOnScope(host, scope) !== undefined)
  const port = reachable[0]?.port
  if (port === undefined) return undefined
  const instance = `${instanceLabel(node, suffixOf(numbers.instance))}.${SERVICE_TYPE}`
  const target = `skein-${node.id.slice(0, HOST_ID_LENGTH)}${suffixOf(numbers.host)}.local`
  // One SRV record names one port; a node has one. What listens elsewhere is left to other sources.
  const hosts = reachable.filter((address) => address.port === port).map(({ host }) => hostOnScope(host, scope)!)
  const hostRecords = [...new Set(hosts)].slice(0, MAX_ADDRESSES).map(
    (host): AddressRecord => ({
      type: isIPv4(host) ? 'A' : 'AAAA',
      name: target,
      ttlSeconds: HOST_TTL_SECONDS,
      flush: true,
      host,
    }),
  )
  return {
    kind: pointer(SERVICE_TYPES, SERVICE_TYPE),
    pointer: pointer(SERVICE_TYPE, instance),
    service: {
      type: 'SRV',
      name: instance,
      ttlSeconds: HOST_TTL_SECONDS,
      flush: true,
      priority: 0,
      weight: 0,
      port,
      target,
    },
    text: { type: 'TXT', name: instance, ttlSeconds: OTHER_TTL_SECONDS, flush: true, strings: textOf(node) },
    hosts: hostRecords,
    denials: [
      denial(instance, ['TXT', 'SRV']),
      denial(target, [...new Set(hostRecords.map(({ type }) => type))].sort()),
    ],
  }
}

const pointer = (name: string, target: string): PointerRecord => ({
  type: 'PTR',
  name,
  ttlSeconds: OTHER_TTL_SECONDS,
  flush: false,
  target,
})

/** RFC 6762 section 6.1: kept as long as the record would be that does not exist. */
const denial = (name: string, types: readonly RecordType[]): DenialRecord => ({
  type: 'NSEC',
  name,
  ttlSeconds: HOST_TTL_SECONDS,
  flush: true,
  types,
})

/** What makes this node known, and what it takes back in the end. */
export const recordsOf = (service: NodeService): ResourceRecord[] => [service.pointer, ...uniqueRecordsOf(service)]

/** Those whose names only one may hold: they are probed for. */
export const uniqueRecordsOf = (service: NodeService): ResourceRecord[] => [
  service.service,
  service.text,
  ...service.hosts,
]

/** The records that answer a question; if the name is ours and has none of that type, the record that says so. */
export const answersTo = (question: Question, service: NodeService): ResourceRecord[] => {
  const key = nameKey(question.name)
  const named = [service.kind, ...recordsOf(service)].filter((record) => nameKey(record.name) === key)
  const fitting = named.filter(({ type }) => question.type === 'ANY' || question.type === type)
  return fitting.length > 0 ? fitting : service.denials.filter((record) => nameKey(record.name) === key)
}

/** What an asker will want next (RFC 6763 section 12), and what it need not ask for. */
export const additionsTo = (answers: readonly ResourceRecord[], service: NodeService): ResourceRecord[] => {
  const names = new Set(answers.map((record) => nameKey(record.name)))
  const instance = names.has(nameKey(SERVICE_TYPE)) || names.has(nameKey(service.pointer.target))
  if (instance) return [...uniqueRecordsOf(service), ...service.denials]
  const host = nameKey(service.service.target)
  if (!names.has(host)) return []
  return [...service.hosts, ...service.denials.filter((record) => nameKey(record.name) === host)]
}

/** The address without zone if it can be announced on this interface. */
const hostOnScope = (address: string, scope: Scope): string | undefined => {
  const [host = '', zone] = address.split('%')
  if (!isIPv4(host) && !isIPv6(host)) return undefined
  if (host === '0.0.0.0' || host === '::') return undefined
  if (isLoopbackHost(host)) return scope.loopback ? host : undefined
  if (isLinkLocal(host)) return zone === scope.interfaceName ? host : undefined
  return host
}

/** A received address as this machine can dial it; undefined if it cannot be meant for us. */
export const addressFrom = (host: string, port: number, scope: Scope): Address | undefined => {
  if (host === '0.0.0.0' || host === '::' || (isLoopbackHost(host) && !scope.loopback)) return undefined
  return { host: isLinkLocal(host) ? `${host}%${scope.interfaceName}` : host, port }
}

const suffixOf = (number: number): string => (number === 1 ? '' : `-${number}`)

const instanceLabel = (node: NodeRecord, suffix: string): string => {
  const room = MAX_LABEL_BYTES - INSTANCE_ID_LENGTH - 1 - suffix.length
  // The encoder takes a dot for the end of a label.
  const name = Buffer.from(node.name.replaceAll('.', '-')).subarray(0, room).toString().replaceAll('\ufffd', '')
  return `${name}-${node.id.slice(0, INSTANCE_ID_LENGTH)}${suffix}`
}

const textOf = (node: NodeRecord): string[] => [
  `v=${TEXT_VERSION}`,
  `id=${node.id}`,
  `name=${node.name}`,
  `inc=${node.incarnation}`,
  `tag=${node.clusterTag}`,
  ...registrationTexts(node.registrations),
]

/** What a TXT record says of a node. */
interface NodeText {
  readonly id: string
  readonly name: string
  readonly incarnation: string
  readonly clusterTag: string
  readonly registrations: readonly Registration[]
}

/** Reads a TXT record; undefined if it is of another version or malformed. */
export const readText = (strings: readonly string[]): NodeText | undefined => {
  const values = new Map<string, string>()
  for (const text of strings) {
    const end = text.indexOf('=')
    const key = text.slice(0, end).toLowerCase()
    // RFC 6763 section 6.4: of a key that occurs twice the first counts.
    if (end > 0 && !values.has(key)) values.set(key, text.slice(end + 1))
  }
  const id = values.get('id')
  const name = values.get('name') ?? ''
  const incarnation = values.get('inc') ?? ''
  const clusterTag = values.get('tag')
  if (values.get('v') !== TEXT_VERSION || !isNodeId(id) || clusterTag === undefined) return undefined
  if (!NAME_PATTERN.test(name) || !INCARNATION_PATTERN.test(incarnation)) return undefined
  return { id, name, incarnation, clusterTag, registrations: readRegistrations(values) }
}
