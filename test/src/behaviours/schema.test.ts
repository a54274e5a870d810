/** Schemas: checked where a message arrives from another node, and what each side hears of a bad one. */
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { genServer } from '../../../src/behaviours/gen-server.ts'
import { withSchema } from '../../../src/behaviours/with-schema.ts'
import type { CallMessage } from '../../../src/process/calls.ts'
import type { Issue, StandardSchema } from '../../../src/process/schema.ts'
import type { SystemMessage } from '../../../src/signals.ts'
import { suite } from '../../support/suite.ts'
import { actor, errorOf, pair, type TestNode, thrown } from '../process/process-support.ts'

const test = suite('schema')

/** A schema by hand, as the standard describes it. */
const schemaOf = <T>(validate: StandardSchema<unknown, T>['~standard']['validate']): StandardSchema<unknown, T> => ({
  '~standard': { version: 1, vendor: 'test', validate },
})

const add = schemaOf<{ readonly add: number }>((value) => {
  const { add } = (value ?? {}) as { add?: unknown }
  if (typeof add === 'number') return { value: { add } }
  return { issues: [{ message: 'not a number', path: ['add'] }] }
})

const recorder = (schema: {
  call?: StandardSchema<unknown, never>
  cast?: StandardSchema<unknown, never>
  info?: StandardSchema<unknown, never>
}) =>
  genServer({
    init: (_self, log: unknown[]) => ({ state: log }),
    handleCall: (request: unknown, _from, log) => ({ reply: log.push(['call', request]) }),
    handleCast: (message: unknown, log) => void log.push(['cast', message]),
    handleInfo: (message: unknown, log) => void log.push(['info', message]),
    schema,
  })

const letters = (node: TestNode): unknown[] =>
  node.reports.map((report) => report.type === 'deadLetter' && { reason: report.reason, issues: report.issues })

test('what fits is delivered as the schema gives it, the rest is refused, and the server notices nothing', async (t) => {
  const net = pair(t)
  const log: unknown[] = []
  const any = add as StandardSchema<unknown, never>
  const pid = net.b.processes.spawn(recorder({ call: any, cast: any, info: any }), { name: 'recorder' }, log)
  const { self } = await actor(net.a)
  const good = self.call(pid, { add: 1, more: true })
  self.cast(pid, { add: 2, more: true })
  self.send({ name: 'recorder', node: net.b.origin.name }, { add: 3, more: true })
  const bad = errorOf(self.call(pid, { add: 'one' }))
  self.cast(pid, { subtract: 1 })
  self.send(pid, null as never)
  await net.flow()
  assert.is(await good, 1)
  assert.equal(log, [
    ['call', { add: 1 }],
    ['cast', { add: 2 }],
    ['info', { add: 3 }],
  ])
  const error = await bad
  assert.is(error.code, 'ERR_SKEIN_BAD_REQUEST')
  assert.match(error.message, 'add: not a number')
  const issues: Issue[] = [{ path: 'add', message: 'not a number' }]
  assert.equal(error.cause, issues)
  const letter = { reason: 'ERR_SKEIN_BAD_REQUEST', issues }
  assert.equal(letters(net.b), [letter, letter])
  const [report] = net.b.reports as { from: unknown }[]
  assert.equal(report?.from, self.pid)
  assert.equal(letters(net.a), [])
})

test('messages of the same node and system messages are not checked', async (t) => {
  const net = pair(t)
  const log: unknown[] = []
  const refuseAll = schemaOf<never>(() => ({ issues: [{ message: 'no' }] }))
  const pid = net.b.processes.spawn(recorder({ call: refuseAll, cast: refuseAll, info: refuseAll }), {}, log)
  const near = await actor(net.b)
  near.self.cast(pid, 1)
  near.self.send(pid, 2 as never)
  assert.is(await near.self.call(pid, 3), 3)
  const watching = genServer({
    init: (self) => {
      self.trapExit = true
      self.monitorNodes(true)
      return { state: 0 }
    },
    handleInfo: (message: SystemMessage) => void log.push(message.type),
    schema: { info: refuseAll },
  })
  const watcher = net.b.processes.spawn(watching)
  const far = await actor(net.a)
  far.self.link(watcher)
  await net.flow()
  net.b.processes.nodeUp('a@test')
  net.a.processes.exit(far.self.pid, 'kill')
  await net.flow()
  assert.equal(log.slice(3), ['nodeup', 'EXIT'])
  assert.equal(letters(net.b), [])
})

test('a schema that throws, gives rubbish or takes its time refuses', async (t) => {
  const net = pair(t)
  const { self } = await actor(net.a)
  const cases: [RegExp, () => unknown][] = [
    [
      /The schema failed: boom/,
      () => {
        throw new Error('boom')
      },
    ],
    [
      /The schema failed/,
      () => {
        throw Object.create(null)
      },
    ],
    [/The schema failed/, () => undefined],
    [/The schema failed/, () => ({ issues: 5 })],
    [/The schema failed/, () => ({ issues: [null] })],
    [/asynchronous schema cannot be used/, async () => ({ value: 1 })],
    [/asynchronous schema cannot be used/, () => Promise.reject(new Error('late'))],
    [/a: b: c/, () => ({ issues: [{ message: 'c', path: ['a: b'] }] })],
    [/items\.0\.Symbol\(x\): no/, () => ({ issues: [{ message: 'no', path: ['items', { key: 0 }, Symbol('x')] }] })],
  ]
  for (const [expected, validate] of cases) {
    const schema = schemaOf(validate as StandardSchema<unknown, never>['~standard']['validate'])
    const pid = net.b.processes.spawn(recorder({ call: schema }), {}, [])
    const call = errorOf(self.call(pid, 1))
    await net.flow()
    const error = await call
    assert.is(error.code, 'ERR_SKEIN_BAD_REQUEST')
    assert.match(error.message, expected)
    assert.ok(net.b.processes.isAlive(pid))
  }
})

test('what is told of issues is bounded', async (t) => {
  const net = pair(t)
  const { self } = await actor(net.a)
  const issue = { message: 'm'.repeat(10_000), path: Array.from({ length: 1000 }, () => 'step') }
  const many = schemaOf<never>(() => ({ issues: Array.from({ length: 1000 }, () => issue) }))
  const pid = net.b.processes.spawn(recorder({ call: many }), {}, [])
  const call = errorOf(self.call(pid, 1))
  await net.flow()
  const error = await call
  assert.ok(error.message.length < 5000, String(error.message.length))
  assert.is((error.cause as Issue[]).length, 8)
})

test('a plain function has schemas too, of messages and of calls', async (t) => {
  const net = pair(t)
  const log: unknown[] = []
  const request = z.object({ add: z.number() })
  const plain = withSchema<string | CallMessage<{ add: number }>, [unknown[]]>(
    async (self, seen) => {
      for await (const message of self) {
        if (typeof message === 'string') seen.push(message)
        else self.reply(message.from, message.request.add)
      }
    },
    { message: z.string(), call: request },
  )
  const pid = net.b.processes.spawn(plain, {}, log)
  const { self } = await actor(net.a)
  self.send(pid, 'sent')
  self.cast(pid, 'cast')
  self.send(pid, 1 as never)
  self.cast(pid, {} as never)
  const good = self.call(pid, { add: 5 })
  const bad = errorOf(self.call(pid, { add: '5' as never }))
  await net.flow()
  assert.equal(log, ['sent', 'cast'])
  assert.is(await good, 5)
  assert.match((await bad).message, /add: Invalid input/)
  assert.is(letters(net.b).length, 2)
  const wrong = { message: {} as StandardSchema<unknown, string> }
  assert.is(
    thrown(() => withSchema<string, []>(async () => {}, wrong)),
    'ERR_SKEIN_BAD_ARGUMENT',
  )
})

test.run()
