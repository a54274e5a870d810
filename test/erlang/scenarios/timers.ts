/** Timers. Erlang's send only within the node, so that is where they are compared. */
import { onOneNode, type Scenario } from '../scenario.ts'

export const TIMERS: readonly Scenario[] = [
  onOneNode('a timer sends once, not before its time', [26], 'a', [
    ['a', 'sendAfter', 30, 'a', 'ring', 't'],
    ['a', 'take', 1],
    ['a', 'passed', 30],
    ['a', 'fence', 'a'],
    ['a', 'rest'],
  ]),
  onOneNode('a timer of no time at all', [26], 'a b', [
    ['a', 'sendAfter', 0, 'b', 'ring', 't'],
    ['b', 'take', 1],
  ]),
  onOneNode('a timer that was cancelled in time never sends', [26], 'a', [
    ['a', 'sendAfter', 30, 'a', 'never', 't'],
    ['a', 'cancel', 't'],
    ['a', 'sendAfter', 60, 'a', 'later', 'fence'],
    ['a', 'take', 1],
    ['a', 'rest'],
  ]),
  onOneNode('a timer that has sent cannot be cancelled', [26], 'a', [
    ['a', 'sendAfter', 5, 'a', 'ring', 't'],
    ['a', 'take', 1],
    ['a', 'cancel', 't'],
  ]),
  onOneNode('cancelling twice: in time, too late', [26], 'a', [
    ['a', 'sendAfter', 5000, 'a', 'never', 't'],
    ['a', 'cancel', 't'],
    ['a', 'cancel', 't'],
  ]),
  onOneNode('timers send in the order of their times', [26], 'a b', [
    ['a', 'sendAfter', 80, 'b', 'third', 't3'],
    ['a', 'sendAfter', 20, 'b', 'first', 't1'],
    ['a', 'sendAfter', 50, 'b', 'second', 't2'],
    ['b', 'take', 3],
  ]),
  onOneNode('a timer outlives who set it', [26], 'a b', [
    ['a', 'sendAfter', 30, 'b', 'from beyond', 't'],
    ['a', 'end', 'return'],
    ['a', 'ended'],
    ['b', 'take', 1],
  ]),
  onOneNode('another process may cancel a timer', [26], 'a b', [
    ['a', 'sendAfter', 5000, 'b', 'never', 't'],
    ['b', 'cancel', 't'],
    ['a', 'cancel', 't'],
  ]),
  onOneNode('a timer for who has died is nothing', [26], 'a b', [
    ['a', 'sendAfter', 20, 'b', 'too late', 't'],
    ['b', 'end', 'return'],
    ['b', 'ended'],
    ['a', 'sendAfter', 40, 'a', 'fence', 'fence'],
    ['a', 'take', 1],
    ['a', 'rest'],
  ]),
]
