/** Definitions of state machines: what cannot work is refused at once, and the rest can be drawn. */
import * as assert from 'uvu/assert'
import { MAX_TIMEOUTS } from '../../../src/behaviours/state-machine/definition.ts'
import { SkeinError, stateMachine } from '../../../src/index.ts'
import { suite } from '../../support/suite.ts'

const test = suite('state machine definitions')

const data = (): number => 0

test('a machine is drawn with its states, events, timeouts, ends, and what it postpones', () => {
  const machine = stateMachine({
    data,
    initial: 'locked',
    common: { calls: { codeLength() {} }, on: { reset: { to: 'locked' } } },
    states: {
      locked: {
        on: { button: { to: ['open', 'alarm'], do() {} }, look() {} },
        eventTimeout() {},
        timeouts: { patience: { to: 'alarm' } },
      },
      open: {
        stateTimeout: { afterMs: 10_000, to: 'locked' },
        on: { button: 'postpone', lean: { to: 'alarm', may: 'postpone', do() {} } },
      },
      alarm: {
        enter: { may: 'stop', do() {} },
        stateTimeout: { afterMs: 1_500, may: ['stop'], do() {} },
        on: { reset: 'postpone' },
        calls: { off: { to: 'half-open' } },
      },
      'half-open': { stateTimeout: { to: 'locked' } },
    },
  })
  assert.is(
    machine.mermaid(),
    `stateDiagram-v2
  state "half-open" as state4
  [*] --> locked
  locked --> locked : reset
  locked --> open : button
  locked --> alarm : button
  locked --> alarm : timeout patience
  note right of locked
    stays on look, call codeLength, event timeout
  end note
  open --> locked : reset
  open --> alarm : lean
  open --> locked : after 10 s
  note right of open
    postpones button, lean
    stays on call codeLength
  end note
  alarm --> [*] : enter
  alarm --> state4 : call off
  alarm --> [*] : after 1500 ms
  note right of alarm
    postpones reset
    stays on call codeLength
  end note
  state4 --> locked : reset
  state4 --> locked : state timeout
  note right of state4
    stays on call codeLength
  end note
`,
  )
})

test('names that mean something to Mermaid are written so that they do not', () => {
  const machine = stateMachine({
    data,
    initial: 'end',
    states: {
      end: { on: { 'a:b;c\n[*] --> x': { to: 'state1' }, 'end note': 'postpone' } },
      state1: {},
      'ein "Zustand"': {},
    },
  })
  assert.is(
    machine.mermaid(),
    `stateDiagram-v2
  state "end" as state1_
  state "ein #34;Zustand#34;" as state3
  [*] --> state1_
  state1_ --> state1 : a#58;b#59;c#10;#91;#42;#93; --#62; x
  note right of state1_
    postpones end#32;note
  end note
`,
  )
})

test('a definition that cannot work is refused, with what is wrong with it', () => {
  const a = { a: {} }
  const cases: readonly [unknown, string][] = [
    [undefined, 'The definition of a state machine is no object'],
    [{ data, initial: 'a' }, 'states is no object'],
    [{ data, initial: 'a', states: {} }, 'states is empty'],
    [{ initial: 'a', states: a }, 'data is a function'],
    [{ data, states: a }, 'initial names the state "undefined"'],
    [{ data, initial: 'lokced', states: { locked: {} } }, 'Did you mean "locked"?'],
    [{ data, initial: 'toString', states: a }, 'initial names the state "toString"'],
    [{ data, initial: 'a', states: a, comon: {} }, 'Did you mean "common"?'],
    [{ data, initial: 'a', states: a, terminate: 5 }, 'terminate is a function'],
    [{ data, initial: 'a', states: a, label: 5 }, 'label is a text'],
    [{ data, initial: 'a', states: a, schema: { call: 5 } }, 'schema.call'],
    [{ data, initial: 'a', states: { a: 5 } }, 'State a is no object'],
    [{ data, initial: 'a', states: { a: { onn: {} } } }, 'State a has "onn"'],
    [{ data, initial: 'a', states: { a: { on: 5 } } }, 'on in state a is no object'],
    [{ data, initial: 'a', states: a, common: { on: { go: 5 } } }, 'go in state a is a function'],
    [{ data, initial: 'a', states: { a: { on: { go: 'pospone' } } } }, 'go in state a is a function'],
    [
      { data, initial: 'a', states: { a: { calls: { go: { to: 'b' } } } } },
      'to of call go in state a names the state "b"',
    ],
    [{ data, initial: 'a', states: { a: { on: { go: {} } } } }, 'go in state a has no "do"'],
    [{ data, initial: 'a', states: { a: { on: { go: { to: ['a', 'a'] } } } } }, 'go in state a has no "do"'],
    [{ data, initial: 'a', states: { a: { on: { go: { to: 'a', may: 'stop' } } } } }, 'go in state a has no "do"'],
    [{ data, initial: 'a', states: { a: { on: { go: { to: 'a', do: 5 } } } } }, 'do of go in state a is a function'],
    [{ data, initial: 'a', states: { a: { on: { go: { may: 'x', do() {} } } } } }, 'may of go in state a'],
    [{ data, initial: 'a', states: { a: { on: { go: { afterMs: 5, to: 'a' } } } } }, 'has "afterMs"'],
    [{ data, initial: 'a', states: { a: { enter: { to: 'a' } } } }, 'enter in state a neither goes'],
    [
      { data, initial: 'a', states: { a: { stateTimeout: { afterMs: -1, to: 'a' } } } },
      'afterMs of stateTimeout in state a',
    ],
    [
      { data, initial: 'a', states: { a: { stateTimeout: { afterMs: '5', to: 'a' } } } },
      'afterMs of stateTimeout in state a',
    ],
  ]
  for (const [definition, text] of cases) {
    try {
      stateMachine(definition as never)
    } catch (error) {
      assert.instance(error, SkeinError)
      assert.is((error as SkeinError).code, 'ERR_SKEIN_BAD_ARGUMENT')
      assert.ok((error as SkeinError).message.includes(text), (error as SkeinError).message)
      continue
    }
    assert.unreachable(text)
  }
})

test('a machine has as many timeouts as it has names, and those are bounded', () => {
  const timeouts = Object.fromEntries(Array.from({ length: MAX_TIMEOUTS + 1 }, (_, i) => [`t${i}`, () => {}]))
  try {
    stateMachine({ data, initial: 'a', states: { a: { timeouts } } })
    assert.unreachable()
  } catch (error) {
    assert.is((error as SkeinError).code, 'ERR_SKEIN_LIMIT')
  }
})

test.run()
