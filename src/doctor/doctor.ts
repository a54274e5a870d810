/**
 * `skein doctor`: all checks of this machine, and of the way to one node or between two.
 *
 * What is harmless beside each other runs at once; findings come in a fixed order, each as soon as it and those before it
 * are known. A visit to the cluster is paid once and used by every check about others. Nothing is changed, made or left
 * running; nothing rejects, and every check has a deadline: what is about named nodes begins when the visit is over, and
 * has as long again.
 */
import { networkInterfaces } from 'node:os'
import type { Environment } from '../../certs/config-folder.ts'
import { multicastInterfaces } from '../../discovery/mdns/interfaces.ts'
import { resolveBySystem, resolveOne } from '../../discovery/resolve.ts'
import { MAX_SEEDS } from '../../discovery/seeds.ts'
import { within } from '../../discovery/within.ts'
import { type Address, formatAddress, parseHostPort } from '../../transport/address.ts'
import type { Clock } from '../../transport/clock.ts'
import type { Random } from '../../transport/random.ts'
import { isNodeName } from '../cluster/node-name.ts'
import type { Config } from '../config.ts'
import { DEFAULT_PORT } from '../discovery-config.ts'
import { checkClock } from './clock.ts'
import { type CookieFacts, findCookie } from './cookie.ts'
import { type CheckName, examine, type Finding, skipped } from './finding.ts'
import { checkIdentity } from './identity-file.ts'
import { checkInterfaces } from './interfaces.ts'
import { checkMembers, isProven } from './members.ts'
import { checkMulticast, probeMulticast } from './multicast.ts'
import { checkNat, type NatView, natOf } from './nat.ts'
import { addressesOf, judgeWay, locate, tellAttempts, tellWhere } from './node-way.ts'
import { checkPair, natBySight, symmetricPair } from './pair.ts'
import { checkPlatform } from './platform.ts'
import { checkBuffers, checkPort, measureBuffers } from './port.ts'
import { checkPortMapping } from './port-mapping.ts'
import { type Soundings, sound } from './sounding.ts'
import { checkUdp } from './udp.ts'
import { isDirect, Visit } from './visit.ts'

export interface DoctorOptions {
  readonly config: Config
  /** Where a cookie is looked for. */
  readonly env: Environment
  readonly identityFile: string | undefined
  /** Ask the router too. */
  readonly portMapping: boolean
  /** None, one to be reached, or two that should reach each other. */
  readonly nodes: readonly string[]
  /** For each check. */
  readonly timeoutMs: number
  readonly clock: Clock
  readonly random: Random
}

/** All findings, in order. */
export async function* diagnose(options: DoctorOptions): AsyncGenerator<Finding> {
  const doctor = new Doctor(options)
  try {
    for (const findings of doctor.checks()) yield* await findings
  } finally {
    await doctor.stop()
  }
}

/** A name service that cannot be asked lets one wait for long. */
const RESOLVE_MS = 3000

interface Resolved {
  readonly seeds: readonly Address[]
  readonly dht: readonly Address[]
  /** Names that have no address. */
  readonly unresolved: readonly Address[]
  /** For each that was given, its literal addresses. */
  readonly places: readonly (readonly Address[])[]
}

class Doctor {
  readonly #options: DoctorOptions
  readonly #resolved: Promise<Resolved>
  readonly #soundings: Promise<Soundings>
  readonly #cookie: Promise<CookieFacts>
  readonly #visit: Promise<Visit | undefined>
  readonly #ending = new AbortController()

  constructor(options: DoctorOptions) {
    this.#options = options
    this.#resolved = resolve(options)
    this.#soundings = this.#resolved.then(({ seeds, dht }) => sound(options, unique([...seeds, ...dht, this.#local])))
    this.#cookie = findCookie(options.env, options.config.cluster)
    this.#visit = this.#pay()
    // Whoever waits for it is told; before that it is nobody's.
    this.#visit.catch(() => {})
    this.#soundings.catch(() => {})
  }

  /** Begins all checks. */
  checks(): readonly Promise<readonly Finding[]>[] {
    const { config, clock, random, identityFile, portMapping } = this.#options
    const { mdns } = config.discovery
    const probes = mdns ? probeMulticast({ clock, random }, multicastInterfaces(hostsOf(config))) : Promise.resolve([])
    return [
      this.#check('platform', () => checkPlatform()),
      this.#check('interfaces', () => checkInterfaces(networkInterfaces())),
      this.#check('port', () => checkPort(config, { answers: (port) => this.#answers(port) })),
      this.#check('buffers', async () => checkBuffers(await measureBuffers(config))),
      this.#check('cookie', async () => [(await this.#cookie).finding]),
      this.#check('identity', () => checkIdentity(identityFile, clock.wallNow())),
      this.#check('udp', () => this.#udp()),
      this.#check('nat', async () => checkNat(await this.#nat())),
      this.#check('port mapping', () => checkPortMapping(portMapping, { clock, random })),
      this.#check('multicast', async () => {
        if (!mdns) return [skipped('multicast', 'Switched off: discovery by multicast DNS is not wanted here.')]
        const members = (await this.#visitor())?.members ?? []
        return checkMulticast(
          await probes,
          // Of a relayed one only the relay's address is known.
          members.filter(({ usesMulticast, way }) => usesMulticast && way !== 'relay'),
        )
      }),
      this.#check('members', () => this.#members()),
      this.#check('clock', async () => checkClock(clock.wallNow(), (await this.#visitor())?.members ?? [])),
      ...(this.#options.nodes.length === 1 ? [this.#checkVisited('connection', () => this.#node())] : []),
      ...(this.#options.nodes.length === 2 ? [this.#checkVisited('pair', () => this.#pair())] : []),
    ]
  }

  async stop(): Promise<void> {
    this.#ending.abort()
    const visit = await this.#visit.catch(() => undefined)
    await visit?.node.stop()
  }

  #check(name: CheckName, work: () => Promise<readonly Finding[]> | readonly Finding[]): Promise<readonly Finding[]> {
    return examine(this.#options.clock, name, this.#options.timeoutMs, work)
  }

  /** What comes after the visit has all its time for itself. */
  async #checkVisited(name: CheckName, work: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
    await within(this.#options.clock, this.#options.timeoutMs, this.#visitor())
    return this.#check(name, work)
  }

  async #pay(): Promise<Visit | undefined> {
    const { config, clock, random } = this.#options
    const [{ cookie }, { seeds }] = await Promise.all([this.#cookie, this.#resolved])
    if (cookie === undefined) return undefined
    const discovery = { ...config.discovery, seeds }
    const { signal } = this.#ending
    return Visit.pay({ config: { ...config, discovery }, cookie, clock, random, local: this.#local, signal })
  }

  /** The visit, if one could be paid: why not is told once, by the check of members. */
  #visitor(): Promise<Visit | undefined> {
    return this.#visit.catch(() => undefined)
  }

  /** The node that may run on this machine: at the chosen port, else at the one that every node tries. */
  get #local(): Address {
    const { host, port, portFallback } = this.#options.config
    const isAnywhere = host === undefined || host === '::' || host === '0.0.0.0'
    return { host: isAnywhere ? '127.0.0.1' : host, port: portFallback || port === 0 ? DEFAULT_PORT : port }
  }

  async #answers(port: number): Promise<boolean> {
    const { results } = await sound(this.#options, [{ ...this.#local, port }])
    return results.some(({ udp }) => udp === 'answered')
  }

  async #udp(): Promise<readonly Finding[]> {
    const [{ seeds, dht, unresolved, places }, { results }, visit] = await Promise.all([
      this.#resolved,
      this.#soundings,
      this.#visitor(),
    ])
    const given = new Set([...seeds, ...dht].map(formatAddress))
    const members = visit?.members ?? []
    const others = members.filter(({ host, way }) => isDirect(way) && !isOwn(host))
    return checkUdp({
      soundings: results.filter(({ address }) => given.has(formatAddress(address))),
      places,
      unresolved,
      isProven: (address) => isProven(visit?.dials ?? [], address),
      reached: others.length,
    })
  }

  async #nat(): Promise<NatView> {
    const { observations, localPort = 0 } = await this.#soundings
    // What is on this machine says nothing about what is outside.
    const outer = observations.filter(({ observer }) => !isOwn(observer.host))
    return natOf(
      outer,
      ownHosts().map((host) => ({ host, port: localPort })),
    )
  }

  async #members(): Promise<readonly Finding[]> {
    const [cookie, visit, soundings] = await Promise.all([this.#cookie, this.#visit, this.#soundings])
    if (visit === undefined) return [skipped('members', 'Without a cookie no node lets this machine in.')]
    const { cluster } = this.#options.config
    const { dials, members } = visit
    return checkMembers({ dials, members, soundings: soundings.results, cookiePlace: cookie.place, cluster })
  }

  async #node(): Promise<readonly Finding[]> {
    const { nodes, clock } = this.#options
    const [text = ''] = nodes
    const visit = await this.#visitor()
    if (visit === undefined) return [skipped('connection', `Without a cookie ${text} cannot be asked.`)]
    const place = await locate(visit, text)
    const dial = await visit.dial(place.target)
    const { result } = dial
    const given = isNodeName(place.target) ? [] : await literal(parseHostPort(place.target, DEFAULT_PORT), clock)
    const all = addressesOf(place, given)
    // Containers make many machines have an address of ours, which says nothing of the node there.
    const elsewhere = all.filter(({ host }) => !isOwn(host))
    const asked = elsewhere.length > 0 ? elsewhere : all
    const soundings = result.type === 'up' ? [] : (await sound(this.#options, asked)).results
    const name = result.type === 'up' ? result.node : place.target
    const findings = [...tellWhere(visit, place), ...tellAttempts('This machine', result)]
    const connection = visit.connectionTo(name)
    findings.push(judgeWay(place, dial, connection, soundings))
    const [own, theirs] = [await this.#nat(), natBySight(visit, name)]
    if (own.nat === 'symmetric' && theirs.nat === 'symmetric') {
      findings.push(symmetricPair(`This machine and ${name}`, connection !== undefined))
    }
    return findings
  }

  async #pair(): Promise<readonly Finding[]> {
    const [one = '', other = ''] = this.#options.nodes
    const visit = await this.#visitor()
    if (visit === undefined) return [skipped('pair', 'Without a cookie no node can be asked.')]
    return checkPair(visit, one, other)
  }
}

const resolve = async ({ config: { discovery }, clock }: DoctorOptions): Promise<Resolved> => {
  const given = [...discovery.seeds, ...(discovery.dht?.bootstrap ?? [])]
  const places = await Promise.all(given.map((address) => literal(address, clock)))
  const seeds = places.slice(0, discovery.seeds.length).flat()
  const dht = places.slice(discovery.seeds.length).flat()
  const unresolved = given.filter((_, index) => places[index]?.length === 0)
  return { seeds: seeds.slice(0, MAX_SEEDS), dht: dht.slice(0, MAX_SEEDS), unresolved, places }
}

/** None where the name has none, or nobody tells in time. */
const literal = async (address: Address, clock: Clock): Promise<Address[]> =>
  (await within(clock, RESOLVE_MS, resolveOne(address, resolveBySystem)).catch(() => [])) ?? []

const ownHosts = (): readonly string[] =>
  Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address))

const isOwn = (host: string): boolean => ownHosts().includes(host)

const unique = (addresses: readonly Address[]): Address[] => [
  ...new Map(addresses.map((address) => [formatAddress(address), address])).values(),
]

/** As a node does: who listens on one address has nothing to say on the other interfaces. */
const hostsOf = ({ host }: Config): readonly string[] | undefined =>
  host === undefined || host === '::' || host === '0.0.0.0' ? undefined : [host]
