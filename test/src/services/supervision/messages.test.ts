/** What another node sent is judged before it is believed. */
import fc from 'fast-check'
import * as assert from 'uvu/assert'
import { isSkeinError, Pid } from '../../../../src/index.ts'
import { Origin } from '../../../../src/pid.ts'
import { keepSpec, readSpec } from '../../../../src/services/supervision/child-spec.ts'
import { readMessage } from '../../../../src/services/supervision/messages.ts'
import { Plan } from '../../../../src/services/supervision/plan.ts'
import { readSlot } from '../../../../src/services/supervision/slot.ts'
import { MessageCodec } from '../../../../src/wire/codec.ts'
import { suite } from '../../../support/suite.ts'

const test = suite('messages of supervision')

const ORIGIN = new Origin('a@a', 'a'.repeat(32), '0'.repeat(16))
const codec = new MessageCodec({ local: ORIGIN })
const { spec } = keepSpec({ id: 'x', behaviour: 'counter', args: [1, { two: 2 }], version: '1.0' }, codec)

test('what is sound passes', () => {
  assert.equal(readSpec(spec), spec)
  const about = { supervisor: 'sup', id: 'x', run: '1' }
  for (const message of [
    { type: 'start', ...about, spec },
    { type: 'start', ...about, spec, state: Uint8Array.of(1) },
    { type: 'stop', ...about, handOver: true },
    { type: 'fetch', ...about },
    { type: 'noted', ...about },
    { type: 'unmovable', ...about },
    { type: 'state', ...about },
    { type: 'failed', ...about, code: 'ERR_SKEIN_LIMIT', text: 'so' },
  ]) {
    assert.equal(readMessage(message), message)
  }
  const slot = { run: '1', pid: new Pid(ORIGIN, 1), status: 'ended', orderly: false, reason: 'so' }
  assert.equal(readSlot(slot), slot)
})

test('nonsense is refused with a code, or read as nothing', () => {
  const word = fc.constantFrom('start', 'stop', 'fetch', 'noted', 'failed', 'state', 'sup', 'x', '', 'running', 'ended')
  const value = fc.oneof(word, fc.anything(), fc.constant(spec), fc.constant(new Uint8Array(2 ** 21)))
  const message = fc.record(
    {
      type: value,
      supervisor: value,
      id: value,
      run: value,
      spec: value,
      state: value,
      code: value,
      text: value,
      status: value,
      pid: value,
      orderly: value,
      reason: value,
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(fc.oneof(message, fc.anything()), (given) => {
      try {
        const { supervisor, id, run } = readMessage(given)
        assert.ok(typeof supervisor === 'string' && id.length > 0 && typeof run === 'string')
      } catch (error) {
        assert.ok(isSkeinError(error, 'ERR_SKEIN_PROTOCOL'), String(error))
      }
      readSlot(given)
      readSpec(given)
    }),
    { numRuns: 2000 },
  )
})

test('specifications are refused where they are given', () => {
  const code = (given: unknown): string => {
    try {
      keepSpec(given, codec)
      return 'none'
    } catch (error) {
      return isSkeinError(error) ? error.code : String(error)
    }
  }
  const sound = { id: 'x', behaviour: 'counter' }
  assert.is(code(sound), 'none')
  for (const wrong of [
    null,
    { ...sound, id: '' },
    { ...sound, id: 'x'.repeat(129) },
    { ...sound, behaviour: 'a b' },
    { ...sound, args: 'none' },
    { ...sound, version: '' },
    { ...sound, restart: 'always' },
    { ...sound, shutdown: 'infinity' },
    { ...sound, args: ['x'.repeat(20_000)] },
  ]) {
    assert.is(code(wrong), 'ERR_SKEIN_BAD_ARGUMENT')
  }
  assert.is(code({ ...sound, args: [() => {}] }), 'ERR_SKEIN_UNSERIALISABLE')
})

test('plans that were apart come to the same, in whatever order they hear of each other', () => {
  const action = fc.record({
    who: fc.integer({ min: 0, max: 2 }),
    id: fc.constantFrom('x', 'y', 'z'),
    wanted: fc.constantFrom('running' as const, 'stopped' as const, 'deleted' as const, 'gaveUp' as const),
    tells: fc.option(fc.integer({ min: 0, max: 2 })),
  })
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), fc.boolean(), (actions, backwards) => {
      const told: Map<string, Parameters<Plan['merge']>[1]>[] = [new Map(), new Map(), new Map()]
      const plans = told.map(
        (own, i) =>
          new Plan(`node ${i}`, [['x', spec]], (id, entry) => {
            if (entry === undefined) own.delete(id)
            else own.set(id, entry)
          }),
      )
      for (const { who, id, wanted, tells } of actions) {
        plans[who]?.decide(id, wanted, { spec })
        if (tells !== null) for (const [key, entry] of told[who] ?? []) plans[tells]?.merge(key, entry)
      }
      const order = backwards ? [2, 1, 0] : [0, 1, 2]
      for (const from of order) {
        for (const to of order) for (const [key, entry] of [...(told[from] ?? [])]) plans[to]?.merge(key, entry)
      }
      for (const from of order) {
        for (const to of order) for (const [key, entry] of [...(told[from] ?? [])]) plans[to]?.merge(key, entry)
      }
      const seen = plans.map((plan) => JSON.stringify(['x', 'y', 'z'].map((id) => plan.get(id)?.wanted ?? 'none')))
      assert.is(new Set(seen).size, 1, seen.join(' '))
    }),
  )
})

test.run()
