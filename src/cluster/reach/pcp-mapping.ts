/**
 * A mapped port by PCP or NAT-PMP: PCP is tried first, and a router that answers with the version of the other one, or
 * not at all, is asked that way (RFC 6887 section 9). Nothing is kept but which of the two it was, whether it gave
 * a mapping, and the nonce that shows a router that a renewal comes from whoever made the mapping (section 11.3).
 */
import type { Address } from '../../../transport/address.ts'
import type { Random } from '../../../transport/random.ts'
import {
  decodeNatPmpExternal,
  decodeNatPmpMap,
  decodePcpMap,
  encodeNatPmpExternal,
  encodeNatPmpMap,
  encodePcpMap,
  GATEWAY_PORT,
  type MapAnswer,
  outsideOf,
  PCP_NONCE_BYTES,
} from './gateway-frames.ts'
import { type Asking, askByUdp, defaultGateway } from './gateway-wire.ts'
import type { Lease, MappingProtocol, MapRequest } from './mapping-protocol.ts'

/** RFC 6887 section 8.1.1 begins with 3 s; the rest of its pauses are the port mapper's, which tries again later. */
const PCP_PAUSES_MS: readonly number[] = [3000, 3000]
/** RFC 6886 section 3.1 goes on to 64 s. */
const NAT_PMP_PAUSES_MS: readonly number[] = [250, 500, 1000, 2000]

type Dialect = 'unknown' | 'pcp' | 'nat-pmp'

export interface PcpMappingOptions {
  readonly random: Random
  /** Where the router listens; by default that of the default route. */
  readonly gateway?: () => Promise<Address | undefined>
}

export class PcpMapping implements MappingProtocol {
  readonly #gateway: () => Promise<Address | undefined>
  readonly #nonce: Uint8Array
  #dialect: Dialect = 'unknown'
  /** In which the mapping was given that is still to be taken back; unknown: there is none. */
  #given: Dialect = 'unknown'

  constructor({ random, gateway = routerOfDefaultRoute }: PcpMappingOptions) {
    this.#gateway = gateway
    this.#nonce = random.bytes(PCP_NONCE_BYTES)
  }

  get name(): string {
    if (this.#dialect === 'unknown') return 'PCP or NAT-PMP'
    return this.#dialect === 'pcp' ? 'PCP' : 'NAT-PMP'
  }

  async map(request: MapRequest, asking: Asking): Promise<Lease> {
    const router = await this.#gateway()
    if (router === undefined) throw new Error('the router is not known')
    const answer = await this.#ask(router, request, asking)
    if (answer.type === 'refused') throw new Error(answer.reason)
    if (answer.type !== 'mapped') throw new Error('spoken by nobody')
    const isFirst = this.#given === 'unknown'
    this.#given = this.#dialect
    try {
      const host = this.#dialect === 'pcp' ? answer.host : await this.#externalHost(router, asking)
      const address = outsideOf(host, answer.port)
      if (address === undefined) throw new Error('the router gave no address')
      return { address, lifetimeMs: answer.lifetimeSeconds * 1000 }
    } catch (error) {
      // Of no use to anybody. An earlier one stays: its address is known.
      if (isFirst) await this.unmap({ ...request, lifetimeSeconds: 0 }, asking).catch(() => {})
      throw error
    }
  }

  async unmap(request: MapRequest, asking: Asking): Promise<void> {
    const router = await this.#gateway()
    if (router === undefined || this.#given === 'unknown') return
    // A renewal that failed may have forgotten it.
    this.#dialect = this.#given
    this.#given = 'unknown'
    await this.#ask(router, request, asking)
  }

  async #ask(router: Address, request: MapRequest, asking: Asking): Promise<MapAnswer> {
    if (this.#dialect !== 'nat-pmp') {
      const answer = await this.#askPcp(router, request, asking)
      if (answer.type !== 'versionless') {
        this.#dialect = 'pcp'
        return answer
      }
      this.#dialect = 'unknown'
    }
    const encoded = encodeNatPmpMap(request)
    const accept = (bytes: Uint8Array): MapAnswer | undefined => decodeNatPmpMap(bytes, request.internalPort)
    try {
      const answer = await askByUdp(router, asking, NAT_PMP_PAUSES_MS, () => encoded, accept)
      this.#dialect = 'nat-pmp'
      return answer
    } catch (error) {
      // It may be another router by now.
      this.#dialect = 'unknown'
      throw error
    }
  }

  async #askPcp(router: Address, request: MapRequest, asking: Asking): Promise<MapAnswer> {
    const encode = (localHost: string): Uint8Array => encodePcpMap(request, localHost, this.#nonce)
    const accept = (bytes: Uint8Array): MapAnswer | undefined => decodePcpMap(bytes, request.internalPort, this.#nonce)
    try {
      return await askByUdp(router, asking, PCP_PAUSES_MS, encode, accept)
    } catch (error) {
      if (asking.signal.aborted) throw error
      return { type: 'versionless' }
    }
  }

  async #externalHost(router: Address, asking: Asking): Promise<string> {
    const answer = await askByUdp(router, asking, NAT_PMP_PAUSES_MS, encodeNatPmpExternal, decodeNatPmpExternal)
    if ('reason' in answer) throw new Error(answer.reason)
    return answer.host
  }
}

const routerOfDefaultRoute = async (): Promise<Address | undefined> => {
  const host = await defaultGateway()
  return host === undefined ? undefined : { host, port: GATEWAY_PORT }
}
