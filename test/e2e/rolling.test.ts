/**
 * A rolling restart: four processes on real QUIC drain and start again one after the other, while clients on all of them
 * increment one counter. It moves with its state: no increment that was acknowledged is lost or happens twice, and nobody
 * waits for long.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import type { DrainReport } from '../../src/index.ts'
import { suite, type TestContext } from '../support/suite.ts'
import type { Acknowledged, RollingCommand, RollingState } from './fixtures/rolling-node.ts'

const test = suite('rolling restart', { watchdogMs: 150_000 })

const FIXTURE = fileURLToPath(new URL('fixtures/rolling-node.ts', import.meta.url))
const NAMES = ['one', 'two', 'three', 'four'] as const
const PATIENCE_MS = 30_000
/** The longest time in which no client anywhere is answered, on a busy machine. */
const MAX_GAP_MS = 4000

class Member {
  readonly child: ChildProcess
  #last = 0
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()

  constructor(t: TestContext) {
    this.child = fork(FIXTURE, [], { execArgv: ['--import', 'tsx'] })
    t.defer(() => this.child.kill('SIGKILL'))
    this.child.on('message', ({ id, value, error }: { id: number; value?: unknown; error?: string }) => {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === undefined) waiting?.resolve(value)
      else waiting?.reject(new Error(error))
    })
  }

  tell<T>(command: RollingCommand): Promise<T> {
    const id = ++this.#last
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject })
      this.child.send({ id, command })
    })
  }

  state(): Promise<RollingState> {
    return this.tell({ do: 'state' })
  }

  async end(): Promise<void> {
    const exited = once(this.child, 'exit')
    this.child.disconnect()
    await exited
  }
}

const until = async (what: string, isSo: () => Promise<boolean>): Promise<void> => {
  for (const endMs = Date.now() + PATIENCE_MS; !(await isSo()); await new Promise((go) => setTimeout(go, 50))) {
    if (Date.now() > endMs) throw new Error(`in vain for ${PATIENCE_MS} ms: ${what}`)
  }
}

/** A line for each counter: what it said, and in which seconds after the first answer of all. */
const lives = (inOrder: readonly Acknowledged[]): string => {
  const since = (atMs = 0): string => ((atMs - (inOrder[0]?.atMs ?? 0)) / 1000).toFixed(2)
  return Array.from(new Set(inOrder.map(({ pid }) => pid)), (pid) => {
    const its = inOrder.filter((one) => one.pid === pid)
    return `${pid}: ${its[0]?.total} to ${its.at(-1)?.total}, ${since(its[0]?.atMs)} to ${since(its.at(-1)?.atMs)} s`
  }).join('\n')
}

test(
  'under traffic a counter keeps its state, and nobody waits for long',
  async (t) => {
    const members = new Map<string, Member>()
    const acknowledged: Acknowledged[] = []
    const cookie = 'a cookie for the rolling restart, long enough'

    const start = async (name: string): Promise<void> => {
      const others = await Promise.all(Array.from(members.values(), (member) => member.state()))
      const member = new Member(t)
      await member.tell({ do: 'start', name, cookie, seeds: others.map(({ address }) => address) })
      members.set(name, member)
    }
    const meshed = (): Promise<void> =>
      until('all see each other and one counter', async () => {
        const states = await Promise.all(Array.from(members.values(), (member) => member.state()))
        const [first] = states
        return states.every(
          ({ nodes, counter, leader }) =>
            nodes.length === members.size - 1 &&
            counter !== undefined &&
            counter === first?.counter &&
            leader !== undefined &&
            leader === first?.leader,
        )
      })

    for (const name of NAMES) await start(name)
    await meshed()
    await until('traffic', async () => (await members.get('one')?.state())?.acknowledged.length !== 0)
    let moves = 0
    for (const name of NAMES) {
      const member = members.get(name) as Member
      const before = await member.state()
      const runsHere = before.counter?.startsWith(`${name}@`) === true
      const report = await member.tell<DrainReport>({ do: 'drain' })
      assert.equal(report.notMoved, [])
      assert.equal(report.moved, runsHere ? ['sup/counter'] : [])
      moves += report.moved.length
      assert.ok(report.elapsedMs < 8000, `the drain took ${report.elapsedMs} ms`)
      acknowledged.push(...(await member.state()).acknowledged)
      members.delete(name)
      await member.end()
      await start(name)
      await meshed()
    }
    for (const member of members.values()) acknowledged.push(...(await member.state()).acknowledged)

    const totals = acknowledged.map(({ total }) => total)
    const inOrder = acknowledged.toSorted((one, other) => one.atMs - other.atMs)
    const isTwice = new Set(totals).size < totals.length
    assert.not(isTwice, `increments were acknowledged twice: there were two counters.\n${lives(inOrder)}`)
    let gapMs = 0
    for (const [i, { atMs }] of inOrder.entries()) {
      gapMs = Math.max(gapMs, atMs - (inOrder[i - 1]?.atMs ?? atMs))
    }
    const last = Math.max(...totals)
    // Whoever was cut off during a call does not know whether it counted.
    assert.ok(last >= totals.length, `${totals.length} acknowledged, and the counter says ${last}`)
    assert.ok(gapMs < MAX_GAP_MS, `nobody was answered for ${gapMs} ms`)
    console.log(`${totals.length} increments, ${moves} moves, at most ${gapMs.toFixed(0)} ms without an answer`)
    assert.ok(moves >= 1)
  },
  { deadlineMs: 120_000 },
)

test.run()
