/**
 * What stands between this machine and others, from where several of them see one and the same socket of ours.
 *
 * The names are those of RFC 4787 section 4.1 in short: behind a `cone` NAT all others see the socket at one address
 * (endpoint-independent mapping), behind a `symmetric` one each sees it at another.
 */
import { isIPv4 } from 'node:net'
import { isExemptHost } from '../../discovery/dht/dht-id.ts'
import type { NatClass } from '../../discovery/source.ts'
import { type Address, formatAddress } from '../../transport/address.ts'
import { type Finding, ok, skipped, warning } from './finding.ts'

/** One host tells where it sees a socket. */
export interface Observation {
  readonly observer: Address
  readonly observed: Address
}

export interface NatView {
  readonly nat: NatClass
  readonly publicAddress: Address | undefined
  /** Those whose word counts. */
  readonly observations: readonly Observation[]
}

/** `own`: addresses at which the socket is on its own machine. Only IPv4 is judged: IPv6 is hardly ever translated. */
export const natOf = (all: readonly Observation[], own: readonly Address[]): NatView => {
  const v4 = all.filter(({ observer, observed }) => isIPv4(observer.host) && isIPv4(observed.host))
  // A neighbour sees no NAT that stands farther out.
  const outer = v4.filter(({ observer }) => !isExemptHost(observer.host))
  const observations = outer.length > 0 ? outer : v4
  const [first] = observations
  if (first === undefined) return { nat: 'unknown', publicAddress: undefined, observations }
  const seen = new Set(observations.map(({ observed }) => formatAddress(observed)))
  const observers = new Set(observations.map(({ observer }) => observer.host))
  if (seen.size > 1 && observers.size > 1) return { nat: 'symmetric', publicAddress: undefined, observations }
  const publicAddress = first.observed
  if (own.some((address) => formatAddress(address) === formatAddress(publicAddress))) {
    return { nat: 'open', publicAddress, observations }
  }
  return { nat: observers.size > 1 ? 'cone' : 'unknown', publicAddress, observations }
}

export const checkNat = ({ nat, publicAddress, observations }: NatView): readonly Finding[] => {
  if (observations.length === 0) {
    return [skipped('nat', 'Nobody told at which address this machine is seen.', `Name nodes outside: ${NAME_NODES}`)]
  }
  const seen = observations.map(({ observer, observed }) => `${formatAddress(observed)} by ${observer.host}`).join(', ')
  switch (nat) {
    case 'open':
      return [ok('nat', `Open: seen at its own address ${formatAddress(publicAddress!)}, so no NAT is on the way`)]
    case 'cone':
      return [
        ok(
          'nat',
          `Cone: one socket is seen at ${formatAddress(publicAddress!)} by all of ${observations.length} nodes`,
          CONE,
        ),
      ]
    case 'symmetric':
      return [warning('nat', `Symmetric NAT: one socket is seen at ${seen}`, SYMMETRIC, OPEN_A_PORT)]
    default:
      return [
        skipped(
          'nat',
          `There is a NAT: this machine is seen at ${seen}. One node alone cannot tell its class.`,
          `Name a second node of the DHT: ${NAME_NODES}`,
        ),
      ]
  }
}

const NAME_NODES = 'skein doctor --dht HOST:PORT --dht HOST:PORT'
const CONE = 'Others get through once both sides send; a node that both know brings them together.'
const SYMMETRIC =
  'It gives every destination another port. Nodes behind two such NATs cannot reach each other directly and go through a relay; with one such side it takes some seconds.'
/** What helps wherever a NAT is in the way. */
export const OPEN_A_PORT =
  "Forward the node's UDP port on the router, switch on port mapping (UPnP or NAT-PMP) there, use IPv6, or keep a member that both reach: it relays."
