/**
 * The judge of `skein chaos`: what it lets pass, and that it sees what it is there to see; and the plan of what is done.
 */
import * as assert from 'uvu/assert'
import { inWords, planFaults } from '../../../src/cli/chaos-faults.ts'
import { ChaosJudge } from '../../../src/cli/chaos-judge.ts'
import { ChaosMember, viewsOf } from '../../../src/cli/chaos-member.ts'
import type { ChaosView } from '../../../src/cli/chaos-protocol.ts'
import { seededRandom } from '../../../transport/random.ts'
import { suite } from '../../support/suite.ts'

const test = suite('chaos judge')

const NAMES = ['n1@h', 'n2@h', 'n3@h']
const ID = 'a'.repeat(32)
const token = (number: number): string => `${number.toString(16).padStart(32, '0')}${ID}`

/** Nothing of it is started. */
const CLUSTER = { entry: '', cluster: '', cookie: '', folder: '', heard: () => {}, lost: () => {} }

const judged = () => {
  const violations: string[] = []
  return { judge: new ChaosJudge((text) => violations.push(text)), violations }
}

const viewOf = (index: number, changes: Partial<ChaosView> = {}): ChaosView => ({
  nodes: NAMES.filter((_, other) => other !== index),
  names: { lock: 'n1/p1 token' },
  held: index === 0 ? ['lock'] : [],
  answered: 0,
  ...changes,
})

const views = (...changes: Partial<ChaosView>[]): ChaosView[] => NAMES.map((_, i) => viewOf(i, changes[i]))

test('nodes agree when each sees all others, the same holders, and each name is held once', () => {
  const { judge } = judged()
  assert.is(judge.disagreement(NAMES, views()), '')
  assert.is(judge.disagreement(NAMES, views({}, { nodes: ['n1@h'] })), 'n2@h does not see n3@h')
  assert.is(
    judge.disagreement(NAMES, views({}, {}, { names: { lock: 'n3/p9 token' } })),
    'n1@h and n3@h differ in who holds lock',
  )
  assert.is(judge.disagreement(NAMES, views({}, {}, { names: {} })), 'n1@h and n3@h differ in who holds lock')
  assert.is(judge.disagreement(NAMES, views({}, { held: ['lock'] })), 'lock is held 2 times: n1@h, n2@h')
  assert.is(judge.disagreement(NAMES, views({ held: [] })), 'lock is held 0 times: ')
})

test('a call may fail only if one of its nodes was under a fault while it ran', () => {
  const { judge, violations } = judged()
  const lost = (from: string, to: string, nowMs: number, tookMs = 10): void =>
    judge.heard(from, { type: 'noReply', to, code: 'ERR_SKEIN_NOCONNECTION', tookMs }, nowMs)
  judge.excuse('n1@h', 10_000)
  lost('n2@h', 'n1@h', 12_000)
  lost('n1@h', 'n3@h', 13_000)
  lost('n2@h', 'n3@h', 14_000)
  assert.equal(violations, [], 'it waits until all is known')
  judge.agreed(20_000)
  assert.is(judge.endedByFaults, 2)
  assert.equal(violations, [
    'a reply was lost: n2@h asked n3@h, which nothing had happened to (ERR_SKEIN_NOCONNECTION)',
  ])

  // Long after the fault its nodes have no excuse any more, but for calls that began when they had.
  lost('n2@h', 'n1@h', 24_000, 5000)
  lost('n2@h', 'n1@h', 24_000, 100)
  judge.agreed(30_000)
  assert.equal([judge.endedByFaults, judge.violations], [3, 2])
})

test('a node that stepped back from a split is excused as well', () => {
  const { judge, violations } = judged()
  judge.heard('n2@h', { type: 'noReply', to: 'n3@h', code: 'ERR_SKEIN_NOCONNECTION', tookMs: 1 }, 5000)
  judge.heard('n3@h', { type: 'steppedBack' }, 5100)
  judge.agreed(9000)
  assert.equal(violations, [])
})

test('two holders with one token are seen, and an overtaken one that is fenced off is none', () => {
  const { judge, violations } = judged()
  const write = (holder: string, number: number): void =>
    judge.heard('n1@h', { type: 'write', name: 'lock', token: token(number), holder }, 0)
  write('p1', 1)
  write('p2', 2)
  write('p1', 1)
  write('p2', 2)
  assert.equal(violations, [])
  write('p3', 2)
  assert.equal(violations, [`lock: p3 and p2 both write with token ${token(2)}`])
})

test('the reply to another question, and what nobody caught, are violations', () => {
  const { judge, violations } = judged()
  judge.heard('n1@h', { type: 'wrongReply', to: 'n2@h' }, 0)
  judge.heard('n1@h', { type: 'defect', text: 'unhandledRejection: Error: x' }, 0)
  assert.equal(violations, [
    'n1@h asked n2@h and got the answer to another question',
    'n1@h: unhandledRejection: Error: x',
  ])
})

test('who is asked what it sees and never answers holds up neither the run nor its end', async () => {
  const silent = { label: 'n2', view: () => new Promise<never>(() => {}) }
  const quick = { label: 'n1', view: async () => viewOf(0) }
  const gone = { label: 'n3', view: () => Promise.reject(new Error('n3 is down')) }
  const never = new AbortController().signal
  assert.equal(await viewsOf([quick], 60_000, never), [viewOf(0)])
  assert.is(await viewsOf([quick, silent], 50, never), 'n2 did not answer')
  assert.is(await viewsOf([quick, silent, gone], 60_000, never), 'n3 is down')
  assert.is(await viewsOf([silent], 60_000, AbortSignal.timeout(50)), 'n2 did not answer')
})

test('a seed repeats the plan, and most members are left alone', () => {
  const members = Array.from({ length: 5 }, (_, i) => new ChaosMember(`n${i}`, CLUSTER))
  const plan = (seed: number): string[] => {
    const random = seededRandom(seed)
    return Array.from({ length: 50 }, () => {
      const faults = planFaults(members, random)
      assert.ok(faults.length === 1 || faults.length === 2)
      assert.is(new Set(faults.map(({ member }) => member)).size, faults.length, 'each member once')
      return faults.map(inWords).join()
    })
  }
  assert.equal(plan(7), plan(7))
  assert.not.equal(plan(7), plan(8))
  const kinds = process.platform === 'win32' ? ['back at once', 'stop'] : ['back at once', 'stop', 'freeze']
  for (const kind of kinds)
    assert.ok(
      plan(7).some((text) => text.includes(kind)),
      kind,
    )
})

test.run()
