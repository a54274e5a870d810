/** What `skein top` asks and keeps: slow nodes, nodes that go and come, and those that it learns of. */
import * as assert from 'uvu/assert'
import { type Asked, Samples } from '../../../../src/cli/top/samples.ts'
import type { ObservedNode } from '../../../../src/observe/observer.ts'
import { suite } from '../../../support/suite.ts'
import { connection, snapshot } from './top-support.ts'

const test = suite('top samples')

type Answer = () => Promise<ObservedNode>

const ok =
  (node: string, over: Parameters<typeof snapshot>[1] = {}): Answer =>
  async () => ({ node, status: 'ok', snapshot: snapshot(node, over) })
const failing =
  (node: string): Answer =>
  async () => ({ node, status: 'failed', code: 'ERR_SKEIN_NOCONNECTION', message: 'gone' })

const setUp = (answers: Map<string, Answer>, nodes: readonly string[], follows = true) => {
  const asked: string[] = []
  let nowMs = 0
  const observer: Asked = {
    snapshot: async ({ nodes: [node = ''] }) => {
      asked.push(node)
      return { at: 0, nodes: [await (answers.get(node) ?? failing(node))()] }
    },
  }
  const samples = new Samples(observer, nodes, follows, () => nowMs)
  const pass = (ms: number): void => {
    nowMs += ms
  }
  const seen = (): unknown[] => samples.all.map(({ node, code }) => (code === undefined ? node : [node, code]))
  return { samples, asked, pass, seen }
}

test('nodes that others are connected to are asked too, tools are not', async () => {
  const list = [connection('b@vm'), connection('tool@vm', { hidden: true })]
  const answers = new Map([
    ['a@vm', ok('a@vm', { connections: { count: 2, list } })],
    ['b@vm', ok('b@vm')],
  ])
  const { samples, seen, asked } = setUp(answers, ['a@vm'])
  await samples.round()
  assert.equal(seen(), ['a@vm'])
  assert.not(samples.isComplete)
  await samples.round()
  assert.equal(seen(), ['a@vm', 'b@vm'])
  assert.ok(samples.isComplete)
  assert.not(asked.includes('tool@vm'))
  const alone = setUp(answers, ['a@vm'], false)
  await alone.samples.round()
  await alone.samples.round()
  assert.equal(alone.seen(), ['a@vm'])
})

test('a node that is gone is shown for a while, then no more', async () => {
  const answers = new Map([['a@vm', ok('a@vm')]])
  const { samples, seen, pass } = setUp(answers, ['a@vm', 'b@vm'])
  await samples.round()
  assert.equal(seen(), ['a@vm', ['b@vm', 'ERR_SKEIN_NOCONNECTION']])
  pass(31_000)
  await samples.round()
  assert.equal(seen(), ['a@vm'])
})

test('a node that does not answer holds nobody up, and is asked once', async () => {
  let answer: (observed: ObservedNode) => void = () => {}
  const slow = new Promise<ObservedNode>((resolve) => {
    answer = resolve
  })
  const { samples, seen, asked } = setUp(
    new Map([
      ['a@vm', ok('a@vm')],
      ['b@vm', () => slow],
    ]),
    ['a@vm', 'b@vm'],
  )
  await samples.round()
  assert.equal(seen(), ['a@vm'])
  await samples.round()
  assert.is(asked.filter((node) => node === 'b@vm').length, 1)
  answer({ node: 'b@vm', status: 'ok', snapshot: snapshot('b@vm') })
  await samples.round()
  assert.equal(seen(), ['a@vm', 'b@vm'])
})

test('where only slow nodes are left to answer, a round waits for them', async () => {
  const slow = (): Promise<ObservedNode> =>
    new Promise((resolve) => setTimeout(() => void ok('a@vm')().then(resolve), 1200))
  const { samples, asked } = setUp(new Map([['a@vm', slow]]), ['a@vm'])
  await samples.round()
  assert.not(samples.isComplete)
  await samples.round()
  assert.ok(samples.isComplete)
  assert.equal(asked, ['a@vm'])
})

test('rates compare with the snapshot before, not with that of a node that was started again', async () => {
  const answers = new Map([['a@vm', ok('a@vm', { uptimeMs: 1000 })]])
  const { samples } = setUp(answers, ['a@vm'])
  const span = (): number | undefined => samples.all[0]?.before?.spanMs
  await samples.round()
  assert.is(span(), undefined)
  answers.set('a@vm', ok('a@vm', { uptimeMs: 3000 }))
  await samples.round()
  assert.is(span(), 2000)
  // The same snapshot again, as others have just asked for it.
  await samples.round()
  assert.is(span(), 2000)
  answers.set('a@vm', failing('a@vm'))
  await samples.round()
  assert.is(span(), undefined)
  answers.set('a@vm', ok('a@vm', { uptimeMs: 500, incarnation: 'fedcba9876543210' }))
  await samples.round()
  assert.is(span(), undefined)
})

test('there is a limit to the nodes asked', async () => {
  const names = Array.from({ length: 400 }, (_, index) => `n${index}@vm`)
  const { samples, asked } = setUp(new Map(), names)
  await samples.round()
  assert.is(asked.length, 256)
  assert.ok(samples.isComplete)
})

test.run()
