/**
 * Whether UDP gets out of here and answers get back in, judged by all addresses that were asked together.
 */
import { type Address, formatAddress } from '../../transport/address.ts'
import { type Finding, failed, ok, skipped } from './finding.ts'
import type { Sounding } from './sounding.ts'

export interface UdpFacts {
  /** Of the addresses that were given. */
  readonly soundings: readonly Sounding[]
  /** For each address or name that was given, the literal addresses behind it. */
  readonly places: readonly (readonly Address[])[]
  /** Given names that have no address. */
  readonly unresolved: readonly Address[]
  /** Somebody answered there otherwise, which proves as much. */
  readonly isProven: (address: Address) => boolean
  /** Members on other machines that were reached by UDP. */
  readonly reached: number
}

export const checkUdp = ({ soundings: all, places, unresolved, isProven, reached }: UdpFacts): readonly Finding[] => {
  const names = unresolved.map(({ host }) =>
    failed(
      'udp',
      `The host name ${host} has no address.`,
      'The name service does not know it, or cannot be asked.',
      `Check the spelling and the name service (getent hosts ${host}), or give the IP address.`,
    ),
  )
  const answered = all.filter(({ udp, address }) => udp === 'answered' || isProven(address))
  const alive = new Set(answered.map(({ address }) => formatAddress(address)))
  // A name may have addresses of a family that is not to be had here: one that answers is enough.
  const enough = places.filter((place) => place.some((address) => alive.has(formatAddress(address)))).flat()
  const excused = new Set(enough.map(formatAddress))
  const soundings = all.filter((one) => answered.includes(one) || !excused.has(formatAddress(one.address)))
  if (soundings.length === 0 && names.length > 0) return names
  if (soundings.length === 0 && reached > 0) {
    return [ok('udp', `UDP goes out and answers come in: ${reached} on other machines answered`)]
  }
  if (soundings.length === 0) return [skipped('udp', 'No address was given to try, so it is not known.', GIVE)]
  if (answered.length > 0) return [...names, ok('udp', summary(answered, soundings)), ...absent(soundings, answered)]
  return [...names, ...silence(soundings)]
}

const GIVE = 'Give a node of the cluster or of the DHT: skein doctor --seed HOST:PORT, or --dht HOST:PORT.'

const summary = (answered: readonly Sounding[], all: readonly Sounding[]): string => {
  const fastest = answered.map(({ tookMs }) => tookMs).filter((ms) => ms !== undefined)
  const took = fastest.length === 0 ? '' : `, the first after ${Math.min(...fastest).toFixed(1)} ms`
  return `UDP goes out and answers come in: ${answered.length} of ${all.length} addresses answered${took}`
}

/** UDP works; these alone do not answer. */
const absent = (soundings: readonly Sounding[], answered: readonly Sounding[]): Finding[] =>
  soundings.filter((one) => !answered.includes(one)).map((one) => explain(one, true))

/** Nobody answered: one cause where all ended alike, else one finding for each. */
const silence = (soundings: readonly Sounding[]): readonly Finding[] => {
  const kinds = new Set(soundings.map(({ udp, tcp, elsewhere }) => `${udp} ${tcp} ${elsewhere}`))
  const [first] = soundings
  if (kinds.size > 1 || first === undefined) return soundings.map((one) => explain(one, false))
  return [explain(first, false, soundings.map(({ address }) => formatAddress(address)).join(', '))]
}

const explain = ({ address, udp, tcp, elsewhere }: Sounding, othersAnswer: boolean, all?: string): Finding => {
  const where = all ?? formatAddress(address)
  const rule = `let UDP from and to port ${address.port} pass`
  switch (udp) {
    case 'forbidden':
      return failed(
        'udp',
        `UDP blocked: this machine does not let packets to ${where} out.`,
        'Its own packet filter forbids them.',
        `In the filter of this machine ${rule}; sudo nft list ruleset, or sudo iptables -S OUTPUT, shows its rules.`,
      )
    case 'noRoute':
      return failed(
        'udp',
        `There is no way to ${where}.`,
        'The system, or a router, says that the network or host cannot be reached.',
        `Check the address and the routes: ip route get ${address.host}.`,
      )
    case 'closed':
      return failed(
        'udp',
        `Nobody listens at ${where}.`,
        'UDP gets there: the host answers that the port is closed.',
        `Start the node there (skein start --port ${address.port}), or correct the port.`,
      )
    default:
  }
  if (elsewhere && othersAnswer) {
    return failed(
      'udp',
      `UDP gets to the host of ${where} and back, but that port is silent.`,
      'A node there that has another cookie and no DHT answers nothing; or a firewall drops this one port.',
      `Compare the tags that skein doctor shows on both machines: they must be equal. Then ${rule} in the firewall there.`,
    )
  }
  if (elsewhere) {
    return failed(
      'udp',
      `UDP blocked on the way back, or a stranger: ${where} answers nothing by UDP, though UDP gets to its host.`,
      'Another port of the host says by ICMP that it is closed. A firewall drops UDP that comes in here, or at that port there; or the node there has another cookie and no DHT, and is silent.',
      `In the firewalls of both sides ${rule}; then compare the tags that skein doctor shows on both machines: they must be equal.`,
    )
  }
  if (tcp === 'there' && !othersAnswer) {
    return failed(
      'udp',
      `UDP blocked: ${where} answers nothing by UDP, while the host answers by TCP.`,
      'A firewall here, there or between drops UDP, or its answers; a node there that has another cookie and no DHT would be as silent.',
      `In the firewalls of both sides ${rule}. Where that cannot be had, let a member listen on TCP.`,
    )
  }
  if (othersAnswer) {
    return failed(
      'udp',
      `${where} does not answer, while others do.`,
      tcp === 'there' ? 'Its host is there (TCP answers).' : 'Its host answers neither by UDP nor by TCP.',
      `Check that the node runs at that address, and ${rule} in the firewall there.`,
    )
  }
  return failed(
    'udp',
    `${where} answers neither by UDP nor by TCP.`,
    'The host is down, the address is wrong, or everything between is blocked.',
    `Check the address (ping ${address.host}), then ${rule} in the firewalls of both sides.`,
  )
}
