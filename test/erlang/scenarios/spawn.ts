/** Processes that start others. */
import { anywhere, onTwoNodes, type Scenario } from '../scenario.ts'

export const SPAWN: readonly Scenario[] = [
  anywhere('a new process begins to work', [23], 'a', [
    ['a', 'spawn', 'c', 'n2', [['send', 'a', 'hello']]],
    ['a', 'take', 1],
    ['a', 'send', 'c', 'and to you'],
    ['c', 'take', 1],
  ]),
  anywhere('a link from the first instant', [16, 23], 'a', [
    ['a', 'trap', true],
    ['a', 'spawnLink', 'c', 'n2', [['end', 'exit', 'at once']]],
    ['a', 'take', 1],
    ['a', 'rest'],
  ]),
  anywhere('a link from the first instant, not trapped', [16, 23], 'a', [
    ['a', 'spawnLink', 'c', 'n2', [['end', 'error', 'at once']]],
    ['a', 'ended'],
  ]),
  anywhere('a link that holds both ways', [15, 23], 'a', [
    ['a', 'spawnLink', 'c', 'n2', []],
    ['a', 'end', 'exit', 'over'],
    ['c', 'ended'],
  ]),
  anywhere('a monitor from the first instant', [10, 23], 'a', [
    ['a', 'spawnMonitor', 'c', 'n2', [['end', 'exit', 'at once']]],
    ['a', 'take', 1],
    ['a', 'rest'],
  ]),
  anywhere('a monitor on who returns at once', [7, 23], 'a', [
    ['a', 'spawnMonitor', 'c', 'n2', [['end', 'return']]],
    ['a', 'take', 1],
  ]),
  anywhere('the first words of a new process arrive before its end', [1, 6, 24], 'a', [
    ['a', 'trap', true],
    [
      'a',
      'spawnLink',
      'c',
      'n2',
      [
        ['send', 'a', 'one'],
        ['send', 'a', 'two'],
        ['end', 'exit', 'done'],
      ],
    ],
    ['a', 'take', 3],
  ]),
  anywhere('a new process knows its own pid and that of its maker', [3, 20, 23], 'a', [
    ['a', 'spawn', 'c', 'n2', [['send', 'a', ['made by', { pid: 'a' }]]]],
    ['a', 'take', 1],
    ['c', 'send', 'a', { pid: 'c' }],
    ['a', 'take', 1],
  ]),
  anywhere('unlinked from a new process', [17, 23], 'a', [
    ['a', 'spawnLink', 'c', 'n2', []],
    ['a', 'unlink', 'c'],
    ['a', 'fence', 'c'],
    ['c', 'end', 'exit', 'over'],
    ['c', 'ended'],
    ['a', 'monitor', 'c', 'm'],
    ['a', 'take', 1],
    ['a', 'rest'],
  ]),
  anywhere('a monitor of the first instant taken back', [13, 23], 'a', [
    ['a', 'spawnMonitor', 'c', 'n2', []],
    ['a', 'demonitor', 'monitor of c'],
    ['a', 'fence', 'c'],
    ['c', 'end', 'exit', 'over'],
    ['c', 'ended'],
    ['a', 'monitor', 'c', 'm'],
    ['a', 'take', 1],
    ['a', 'rest'],
  ]),
  onTwoNodes('a process may be started from its own node too', [23], 'a | b', [
    ['a', 'spawnMonitor', 'c', 'n2', []],
    ['c', 'spawnLink', 'd', 'n1', [['send', 'a', 'here I am']]],
    ['a', 'take', 1],
    ['d', 'end', 'exit', 'over'],
    ['c', 'ended'],
    ['a', 'take', 1],
    ['b', 'isAlive', 'c'],
    ['b', 'isAlive', 'a'],
  ]),
  onTwoNodes('a new process that was linked from its first instant hears of a lost connection', [4, 16, 23], 'a', [
    ['a', 'trap', true],
    ['a', 'spawnLink', 'c', 'n2', []],
    ['n1', 'disconnect'],
    ['a', 'take', 1],
    ['c', 'ended'],
    ['n1', 'connect'],
  ]),
  onTwoNodes(
    'a new process that was monitored from its first instant lives on behind a lost connection',
    [12, 23],
    'a',
    [
      ['a', 'spawnMonitor', 'c', 'n2', []],
      ['n1', 'disconnect'],
      ['a', 'take', 1],
      ['n1', 'connect'],
      ['a', 'isAlive', 'c'],
      ['a', 'fence', 'c'],
      ['a', 'rest'],
    ],
  ),
]
