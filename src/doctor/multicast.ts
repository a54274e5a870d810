/**
 * Whether multicast DNS works here: on each interface one socket sends a question to the group and another listens for it.
 *
 * Hearing it proves that this machine lets multicast out and in; whether the network carries it shows only by what other
 * hosts say. So a host on the same network that uses multicast, by its own account, and is not heard is the proof that
 * the network drops it.
 */
import {
  isOwnAddress,
  type MulticastInterface,
  multicastInterfaces,
  neighboursOf,
} from '../../discovery/mdns/interfaces.ts'
import { SERVICE_TYPE } from '../../discovery/mdns/service.ts'
import { MDNS_PORT, type MulticastSocket, type OpenSocket, openMulticastSocket } from '../../discovery/mdns/socket.ts'
import type { Clock } from '../../transport/clock.ts'
import type { Random } from '../../transport/random.ts'
import { type Finding, failed, ok, skipped, warning } from './finding.ts'

/** Others may wait for 120 ms, and more where there are many answers (RFC 6762 section 6). */
const LISTEN_MS = 1500
const ASK_AT_MS = [0, 500]
const NAME_BYTES = 6
/** Hosts remembered of one interface. */
const MAX_HEARD = 64

export interface MulticastProbe {
  readonly face: MulticastInterface
  /** Its own question came back. */
  readonly works: boolean
  /** What the system said against it. */
  readonly errors: readonly string[]
  /** Other hosts of this network that said something. */
  readonly heard: readonly string[]
}

export interface MulticastParts {
  readonly clock: Clock
  readonly random: Random
  readonly openSocket?: OpenSocket
}

/** Tries every interface at once. Never rejects. */
export const probeMulticast = (
  parts: MulticastParts,
  faces: readonly MulticastInterface[] = multicastInterfaces(),
): Promise<readonly MulticastProbe[]> => Promise.all(faces.map((face) => probe(parts, face)))

const probe = async (
  { clock, random, openSocket = openMulticastSocket }: MulticastParts,
  face: MulticastInterface,
): Promise<MulticastProbe> => {
  const token = `doctor-${Buffer.from(random.bytes(NAME_BYTES)).toString('hex')}.${SERVICE_TYPE}`
  const isNeighbour = neighboursOf(face)
  const errors = new Set<string>()
  const heard = new Set<string>()
  let works = false
  const onError = (reason: string): void => void errors.add(reason)
  const quiet = { onPacket: () => {}, onMalformed: () => {}, onError }
  const listener = await openSocket(face, MDNS_PORT, {
    ...quiet,
    onPacket: ({ questions }, { host }) => {
      if (questions.some(({ name }) => name === token)) works = true
      else if (isNeighbour(host) && !isOwnAddress(face, host) && heard.size < MAX_HEARD) heard.add(host)
    },
  })
  const speaker = await openSocket(face, MDNS_PORT, quiet)
  const questions = [
    { name: token, type: 'TXT' },
    { name: SERVICE_TYPE, type: 'PTR' },
  ] as const
  const packet = {
    kind: 'query',
    id: 0,
    questions,
    answers: [],
    authorities: [],
    additionals: [],
    truncated: false,
  } as const
  const timers = ASK_AT_MS.map((atMs) => clock.after(atMs, () => speaker.send(packet)))
  await new Promise<void>((resolve) => clock.after(LISTEN_MS, resolve))
  for (const timer of timers) timer.cancel()
  await Promise.all([listener, speaker].map((socket: MulticastSocket) => socket.close()))
  return { face, works, errors: [...errors], heard: [...heard] }
}

/** A member whose address is known, and that says that it uses multicast. */
export interface MulticastUser {
  readonly name: string
  readonly host: string
}

export const checkMulticast = (
  probes: readonly MulticastProbe[],
  users: readonly MulticastUser[],
): readonly Finding[] => {
  const outer = probes.filter(({ face }) => !face.loopback)
  if (probes.length === 0) return [skipped('multicast', 'No interface has an address, so there is nothing to try.')]
  const tried = outer.length > 0 ? outer : probes
  const broken = tried.filter(({ works }) => !works)
  const working = tried.filter(({ works }) => works)
  const findings = broken.map((one) => (working.length === 0 ? blockedHere(one) : notOn(one)))
  for (const one of working) findings.push(judge(one, users))
  return findings
}

const blockedHere = ({ face, errors }: MulticastProbe): Finding =>
  failed(
    'multicast',
    `Multicast blocked on ${face.interfaceName}: a packet to the group does not come back${told(errors)}.`,
    "This machine's own packet filter, or the system, does not let multicast DNS (UDP port 5353) out and in.",
    'Let UDP to 224.0.0.251 port 5353 pass here: sudo ufw allow proto udp to 224.0.0.0/4 port 5353, or the like; or use --seed or --dht, which need no multicast.',
  )

const notOn = ({ face, errors }: MulticastProbe): Finding =>
  warning(
    'multicast',
    `${face.interfaceName} carries no multicast${told(errors)}, other interfaces do.`,
    'Nodes behind that interface are not found by multicast DNS.',
    'That is as it should be for tunnels and unused bridges; elsewhere let UDP port 5353 pass, or use --seed or --dht.',
  )

const judge = ({ face, heard }: MulticastProbe, users: readonly MulticastUser[]): Finding => {
  const isNeighbour = neighboursOf(face)
  const here = users.filter(({ host }) => isNeighbour(host) && !isOwnAddress(face, host))
  const missed = here.filter(({ host }) => !heard.includes(host))
  const what = `Multicast works on this machine (${face.interfaceName})`
  if (missed.length > 0 && missed.length === here.length && !face.loopback) {
    const names = missed.map(({ name, host }) => `${name} (${host})`).join(', ')
    if (heard.length > 0) {
      return warning(
        'multicast',
        `${what}, but ${names} was not heard, while ${count(heard.length)} were.`,
        'The filter of that host drops multicast, or it answers from another address.',
        'Run skein doctor on that machine too.',
      )
    }
    return failed(
      'multicast',
      `Multicast blocked on the network of ${face.interfaceName}: ${names} uses it there and is not heard.`,
      'The switch, access point or cloud network passes no multicast on, or the filter of that host drops it.',
      'Switch off client isolation or IGMP snooping without a querier; where the network has no multicast, as in clouds, use --seed or --dht.',
    )
  }
  if (heard.length > 0) return ok('multicast', `${what}, and ${count(heard.length)} answered`)
  return ok(
    'multicast',
    `${what}; no other host was heard`,
    'Either there is none that uses it, or the network does not pass multicast on.',
  )
}

const count = (hosts: number): string => `${hosts} other ${hosts === 1 ? 'host' : 'hosts'}`

const told = (errors: readonly string[]): string => (errors.length === 0 ? '' : ` (${errors.join(', ')})`)
