/**
 * Every type of NAT against every other: A connects to B, whom it knows only through two public members, and what came of it
 * is held against the goals.
 *
 * The goals, with R for the round trip from A to B:
 *   two endpoint-independent mappings (none, full, addr, port)  direct in 3 R + 100 ms, always
 *   port and sym                                               direct in 5 s, in 97 of 100 runs
 *   sym and what filters less than port                        direct in 5 s, always
 *   sym and sym, and whatever is blocked                       connected in 1 s, always, through a relay or TCP
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { TestContext } from '../support/suite.ts'
import { NAT_TYPES, type NatType, type OwnDatagrams } from './box-rules.ts'
import { NatLab } from './lab.ts'
import { type Connected, Member } from './member-process.ts'

export const PORT = 4433
/** Longer than any goal: to see how late a miss was. */
const DIRECT_PATIENCE_MS = 8000
/** From being connected to the servers to knowing of each other. */
const GOSSIP_PATIENCE_MS = 10_000
const LOOK_INTERVAL_MS = 20

export interface Setting {
  readonly own: OwnDatagrams
  /** From a host to a server. */
  readonly roundTripMs: number
}

export interface Cell extends Setting {
  readonly a: NatType
  readonly b: NatType
}

export interface Goal {
  readonly what: 'direct' | 'connected'
  readonly withinMs: number
  /** Of all runs of such pairs that have to meet it. */
  readonly share: number
}

export interface Result {
  readonly cell: Cell
  readonly goal: Goal
  readonly met: boolean
  /** Undefined: it could not connect. */
  readonly connected: Connected | undefined
  readonly failure: string
  /** Of both nodes, where the goal was missed. */
  readonly logs: readonly [a: string, b: string]
}

const goalOf = ({ a, b, roundTripMs }: Cell): Goal => {
  const has = (type: NatType): boolean => a === type || b === type
  if (has('blocked') || (a === 'sym' && b === 'sym')) return { what: 'connected', withinMs: 1000, share: 1 }
  if (has('sym')) return { what: 'direct', withinMs: 5000, share: has('port') ? 0.97 : 1 }
  return { what: 'direct', withinMs: 3 * 2 * roundTripMs + 100, share: 1 }
}

export const pairsOf = (types: readonly NatType[]): (readonly [NatType, NatType])[] =>
  NAT_TYPES.filter((type) => types.includes(type)).flatMap((a, _, sorted) => sorted.map((b) => [a, b] as const))

/** A laboratory with members on its servers, and programs on its hosts that get a new node for each cell. */
export class MatrixLab {
  readonly #lab: NatLab
  readonly #a: Member
  readonly #b: Member
  #cells = 0

  private constructor(lab: NatLab, a: Member, b: Member) {
    this.#lab = lab
    this.#a = a
    this.#b = b
  }

  static async open(t: TestContext, roundTripMs: number, bridge = false): Promise<MatrixLab> {
    const lab = await NatLab.open(t, { roundTripMs, bridge })
    const hosts = [...lab.servers, lab.a, lab.b]
    const [s1, s2, a, b] = (await Promise.all(hosts.map((host) => Member.spawn(t, host)))) as [
      Member,
      Member,
      Member,
      Member,
    ]
    await startServers(s1, s2)
    return new MatrixLab(lab, a, b)
  }

  /** Everything fresh but the servers: boxes that know nothing, new nodes with new keys. */
  async run(cell: Cell): Promise<Result> {
    const goal = goalOf(cell)
    const [a, b] = [this.#a, this.#b]
    this.#lab.arrange(cell.a, cell.b, cell.own)
    const number = ++this.#cells
    const started: Member[] = []
    let connected: Connected | undefined
    let failure = ''
    try {
      for (const [member, name] of [
        [a, `a${number}@lab`],
        [b, `b${number}@lab`],
      ] as const) {
        member.forgetLog()
        await member.start({ name, port: PORT, logLevel: 'debug' })
        started.push(member)
      }
      await Promise.all(started.map((member) => meetServers(this.#lab, member)))
      await knows(a, `b${number}@lab`)
      const patienceMs = goal.what === 'direct' ? DIRECT_PATIENCE_MS : 0
      connected = await a.connect(`b${number}@lab`, patienceMs)
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error)
    }
    const tookMs = goal.what === 'direct' ? connected?.directMs : connected?.upMs
    const met = tookMs !== undefined && tookMs <= goal.withinMs
    const logs = met ? (['', ''] as const) : ([a.log(), b.log()] as const)
    await Promise.all(started.map((member) => member.stop()))
    return { cell, goal, met, connected, failure, logs }
  }
}

/** The public members; they know each other. */
export const startServers = async (...servers: readonly Member[]): Promise<void> => {
  for (const [index, server] of servers.entries()) {
    await server.start({ name: `s${index + 1}@lab`, port: PORT, tcp: true, logLevel: 'warn' })
  }
  const [first, ...others] = servers
  for (const other of others) await other.connect(`${first!.host.address}:${PORT}`)
}

export const meetServers = async (lab: NatLab, member: Member): Promise<void> => {
  await Promise.all(lab.servers.map(({ address }) => member.connect(`${address}:${PORT}`)))
}

/** Resolves when the member has heard of that one, and throws when it is connected to it already. */
export const knows = async (member: Member, name: string): Promise<void> => {
  const endMs = performance.now() + GOSSIP_PATIENCE_MS
  while (!(await member.known()).includes(name)) {
    if (performance.now() > endMs) throw new Error(`it has not heard of ${name}`)
    await sleep(LOOK_INTERVAL_MS)
  }
  if ((await member.nodes()).includes(name)) throw new Error(`it is connected to ${name} before it was told to`)
}
