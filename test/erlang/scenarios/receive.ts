/** Selective receive. */
import { anywhere, type Scenario } from '../scenario.ts'

export const RECEIVE: readonly Scenario[] = [
  anywhere('what is passed over keeps its order', [31], 'a | b', [
    ['a', 'sendMany', 'b', 5],
    ['a', 'send', 'b', 'wanted'],
    ['a', 'sendMany', 'b', 2],
    ['a', 'fence', 'b'],
    ['b', 'pick', 'wanted'],
    ['b', 'rest'],
  ]),
  anywhere('the oldest of equal messages is taken', [31], 'a | b', [
    ['a', 'send', 'b', 'x'],
    ['a', 'send', 'b', 1],
    ['a', 'send', 'b', 'x'],
    ['a', 'send', 'b', 2],
    ['a', 'fence', 'b'],
    ['b', 'pick', 'x'],
    ['b', 'take', 1],
    ['b', 'rest'],
  ]),
  anywhere('a receive waits for what matches', [31], 'a | b', [
    [
      'together',
      ['b', 'pick', 'wanted'],
      ['a', 'send', 'b', 'early'],
      ['a', 'send', 'b', 'wanted'],
      ['a', 'send', 'b', 'after'],
    ],
    ['a', 'fence', 'b'],
    ['b', 'rest'],
  ]),
  anywhere('a receive that times out takes nothing', [31], 'a | b', [
    ['a', 'sendMany', 'b', 3],
    ['a', 'fence', 'b'],
    ['b', 'pickWithin', 'wanted', 30],
    ['b', 'rest'],
  ]),
  anywhere('a receive of no time looks once', [31], 'a | b', [
    ['a', 'send', 'b', 1],
    ['a', 'send', 'b', 'wanted'],
    ['a', 'fence', 'b'],
    ['b', 'pickWithin', 'wanted', 0],
    ['b', 'pickWithin', 'wanted', 0],
    ['b', 'rest'],
  ]),
  anywhere('messages of the system keep their places among others', [1, 8, 31], 'a | b', [
    ['b', 'trap', true],
    ['a', 'send', 'b', 1],
    ['a', 'exit', 'b', 'knock'],
    ['a', 'send', 'b', 2],
    ['a', 'exit', 'b', 'again'],
    ['a', 'fence', 'b'],
    ['b', 'pick', 2],
    ['b', 'rest'],
  ]),
]
