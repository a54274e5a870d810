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
  // A neighbour sees no NAT that stands farther out; nor does who sees a private address.
  const outer = v4.filter((one) => isOutside(one))
  const observations = outer.length > 0 ? outer : v4
  const [first] = observations
  if (first === undefined) return { nat: 'unknown', publicAddress: undefined, observations }
  const addresses = new Set(own.map(formatAddress))
  // A machine on two networks is seen at an address of its own in each.
  if (observations.every(({ observed }) => addresses.has(formatAddress(observed)))) {
    return { nat: 'open', publicAddress: first.observed, observations }
  }
  const observers = hostsOf(observations)
  if (observers === 1) return { nat: 'unknown', publicAddress: first.observed, observations }
  const agreed = observations.find(({ observed }) => {
    const same = observations.filter((one) => formatAddress(one.observed) === formatAddress(observed))
    return hostsOf(same) * 2 > observers
  })
  // One of many may err, or lie.
  if (agreed === undefined) return { nat: 'symmetric', publicAddress: undefined, observations }
  const publicAddress = agreed.observed
  return { nat: addresses.has(formatAddress(publicAddress)) ? 'open' : 'cone', publicAddress, observations }
}

const isOutside = ({ observer, observed }: Observation): boolean =>
  !isExemptHost(observer.host) && !isExemptHost(observed.host)

const hostsOf = (observations: readonly Observation[]): number =>
  new Set(observations.map(({ observer }) => observer.host)).size

export const checkNat = ({ nat, publicAddress, observations }: NatView): readonly Finding[] => {
  if (observations.length === 0) {
    return [skipped('nat', 'Nobody told at which address this machine is seen.', `Name nodes outside: ${NAME_NODES}`)]
  }
  const seen = observations.map(({ observer, observed }) => `${formatAddress(observed)} by ${observer.host}`).join(', ')
  switch (nat) {
    case 'open':
      return [
        ok(
          'nat',
          `Open: seen at its own address ${formatAddress(publicAddress!)}, so no NAT is on the way to those asked`,
          observations.some(isOutside) ? undefined : NEIGHBOURS,
        ),
      ]
    case 'cone':
      return [
        ok(
          'nat',
          `Cone: one socket is seen at ${formatAddress(publicAddress!)} by ${agreeing(publicAddress!, observations)} of ${observations.length} nodes`,
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

const agreeing = (address: Address, observations: readonly Observation[]): number =>
  observations.filter(({ observed }) => formatAddress(observed) === formatAddress(address)).length

const NEIGHBOURS = 'All of them are in private networks: a NAT farther out shows only to nodes beyond it.'
const NAME_NODES = 'skein doctor --dht HOST:PORT --dht HOST:PORT'
const CONE = 'Others get through once both sides send; a node that both know brings them together.'
const SYMMETRIC =
  'It gives every destination another port. Nodes behind two such NATs cannot reach each other directly and go through a relay; with one such side it takes some seconds.'
/** What helps wherever a NAT is in the way. */
export const OPEN_A_PORT =
  "Forward the node's UDP port on the router, switch on port mapping (UPnP or NAT-PMP) there, use IPv6, or keep a member that both reach: it relays."
