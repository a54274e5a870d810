/**
 * Two nodes that talk ten thousand messages a second each way while the network under them changes: NATs forget, an
 * interface goes and another comes, an address changes, a relayed connection becomes direct. Nothing is lost, nothing comes
 * twice or out of order, and nobody counts as down.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import type { Abuse, AbuserCommand } from '../nat/abuser.ts'
import type { NatType } from '../nat/box-rules.ts'
import { HostChild } from '../nat/child.ts'
import { NatLab } from '../nat/lab.ts'
import { knows, meetServers, PORT, startServers } from '../nat/matrix.ts'
import { Member } from '../nat/member-process.ts'
import { suite, type TestContext } from '../support/suite.ts'

const test = suite('roaming', { watchdogMs: 400_000 })
const ABUSER = fileURLToPath(new URL('../nat/abuser.ts', import.meta.url))
/** Each way, of all speakers together. */
const MESSAGES_PER_SECOND = 10_000
const SPEAKERS = 2
/** Two seconds of talk. */
const A_WHILE = 2 * MESSAGES_PER_SECOND
/** Traffic again both ways within this. */
const MAX_SILENCE_MS = 5000
/** Far more than any of this takes: what has not happened by then does not. */
const PATIENCE_MS = 15_000
/** Direct ways are tried anew after 5 and 30 s, and a busy machine adds to it. */
const UPGRADE_PATIENCE_MS = 45_000
const POLL_MS = 50
const [A, B] = ['a@lab', 'b@lab']

class Pair {
  readonly lab: NatLab
  readonly a: Member
  readonly b: Member

  readonly ids: readonly string[]

  private constructor(lab: NatLab, a: Member, b: Member, ids: readonly string[]) {
    this.lab = lab
    this.a = a
    this.b = b
    this.ids = ids
  }

  /** A and B, each connected to both servers and not yet to each other. */
  static async start(t: TestContext, typeA: NatType, typeB: NatType): Promise<Pair> {
    const lab = await NatLab.open(t, { roundTripMs: 20 })
    lab.arrange(typeA, typeB)
    const [s1, s2, a, b] = (await Promise.all([...lab.servers, lab.a, lab.b].map((host) => Member.spawn(t, host)))) as [
      Member,
      Member,
      Member,
      Member,
    ]
    await startServers(s1, s2)
    const ids = [
      await a.start({ name: A, port: PORT, logLevel: 'warn' }),
      await b.start({ name: B, port: PORT, logLevel: 'warn' }),
    ]
    await Promise.all([meetServers(lab, a), meetServers(lab, b)])
    await Promise.all([knows(a, B), knows(b, A)])
    return new Pair(lab, a, b, ids)
  }

  async talk(): Promise<void> {
    await this.a.guard(B)
    await this.b.guard(A)
    const how = { speakers: SPEAKERS, perSecond: MESSAGES_PER_SECOND }
    await Promise.all([this.a.talk({ peer: B, ...how }), this.b.talk({ peer: A, ...how })])
    await this.goesOn('at the beginning')
  }

  /** What `change` does disturbs nobody for longer than MAX_SILENCE_MS. */
  async survives(what: string, change: () => void): Promise<void> {
    await Promise.all([this.a.mark(), this.b.mark()])
    change()
    await this.goesOn(what)
  }

  /** Both hear a while of talk from now on. */
  async goesOn(what: string): Promise<void> {
    for (const [name, member] of [
      [A, this.a],
      [B, this.b],
    ] as const) {
      const { received } = await member.tally()
      await until(`${name} hears the other, ${what}`, async () => (await member.tally()).received >= received + A_WHILE)
      const { longestSilenceMs } = await member.tally()
      assert.ok(longestSilenceMs < MAX_SILENCE_MS, `${name} heard nothing for ${longestSilenceMs} ms, ${what}`)
    }
  }

  /** All that was said has arrived, once and in order, and nobody went down. */
  async allArrived(): Promise<void> {
    const { a, b } = this
    await Promise.all([a.hush(), b.hush()])
    await until('all has arrived', async () => {
      const [one, other] = await Promise.all([a.tally(), b.tally()])
      return one.received >= other.sent && other.received >= one.sent
    })
    for (const [name, member, other] of [
      [A, a, b],
      [B, b, a],
    ] as const) {
      const { received, lost, again, down, nodedown } = await member.tally()
      const { sent } = await other.tally()
      assert.equal(
        { name, received, lost, again, down, nodedown },
        { name, received: sent, lost: 0, again: 0, down: 0, nodedown: 0 },
      )
    }
  }

  async isDirect(): Promise<boolean> {
    const ways = await Promise.all([this.a.connection(B), this.b.connection(A)])
    return ways.every((connection) => connection !== undefined && connection.way !== 'relay')
  }
}

const until = async (what: string, isSo: () => Promise<boolean>, patienceMs = PATIENCE_MS): Promise<void> => {
  const endMs = performance.now() + patienceMs
  while (!(await isSo())) {
    assert.ok(performance.now() < endMs, `not in time: ${what}`)
    await sleep(POLL_MS)
  }
}

for (const [typeB, where] of [
  ['none', 'the other is public'],
  ['port', 'both are behind NATs'],
] as const) {
  for (const dialler of ['mover', 'other'] as const) {
    test(
      `NATs forget, the interface and the address of one change; ${where}, the ${dialler} dialled`,
      async (t) => {
        const pair = await Pair.start(t, 'port', typeB)
        const { lab, a, b } = pair
        const uplink = await lab.addUplink(lab.a, 'port')
        await (dialler === 'mover' ? a.connect(B, PATIENCE_MS) : b.connect(A, PATIENCE_MS))
        await until('both ends are direct', () => pair.isDirect())
        await pair.talk()
        await pair.survives('after conntrack -F', () => {
          lab.boxA.forget()
          lab.boxB.forget()
        })
        await pair.survives('after an interface went and another came', () => lab.changeUplink(lab.a, uplink, 'port'))
        await pair.survives('after the address changed', () => lab.changeAddress(lab.a, 'eth1'))
        await pair.allArrived()
      },
      { deadlineMs: 90_000 },
    )
  }
}

test(
  'a relayed connection becomes direct under load',
  async (t) => {
    const pair = await Pair.start(t, 'port', 'port')
    const { lab, a } = pair
    lab.wall(lab.boxA, true)
    const { wayAtUp } = await a.connect(B)
    assert.is(wayAtUp, 'relay')
    await pair.talk()
    assert.not(await pair.isDirect())
    lab.wall(lab.boxA, false)
    await until('both ends are direct', () => pair.isDirect(), UPGRADE_PATIENCE_MS)
    await pair.goesOn('directly')
    await pair.allArrived()
  },
  { deadlineMs: 90_000 },
)

test(
  'a member that floods a relay with asks and datagrams disturbs nobody whose packets go through it',
  async (t) => {
    const pair = await Pair.start(t, 'sym', 'sym')
    const { lab, a } = pair
    await a.connect(B)
    await pair.talk()
    const { address: relay, way } = (await a.connection(B))!
    assert.is(way, 'relay')
    const abuser = await HostChild.start<AbuserCommand, never>(t, lab.servers[1], ABUSER, () => {})
    await abuser.tell({ do: 'flood', relay, targets: pair.ids })
    await pair.survives('while somebody floods the relay', () => {})
    await pair.survives('while it goes on', () => {})
    const abuse = (await abuser.tell({ do: 'stop' })) as Abuse
    assert.ok(abuse.isClosed || (abuse.asks > 1000 && abuse.datagrams > 5000), JSON.stringify(abuse))
    await pair.allArrived()
    assert.is((await a.connection(B))?.way, 'relay')
  },
  { deadlineMs: 90_000 },
)

test.run()
