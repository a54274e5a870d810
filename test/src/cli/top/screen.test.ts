/** The screen of `skein top`, as a pure function of what is known and where the user is. */
import { stripVTControlCharacters } from 'node:util'
import * as assert from 'uvu/assert'
import type { Palette } from '../../../../src/cli/output.ts'
import { type Picture, type Size, screen } from '../../../../src/cli/top/screen.ts'
import { afterKey, startState, type TopState } from '../../../../src/cli/top/state.ts'
import { tableOf } from '../../../../src/cli/top/tables.ts'
import { suite } from '../../../support/suite.ts'
import { connection, glance, gone, sample, snapshot } from './top-support.ts'

const test = suite('top screen')

const plain: Palette = { bold: (text) => text, dim: (text) => text, good: (text) => text, bad: (text) => text }
const STANDARD: Size = { columns: 80, rows: 24 }

const busy = glance('b@vm', 31, { names: ['orders'], messages: 4000, bytes: 1_200_000, bonds: 2, state: 'running' })
const picture: Picture = {
  cluster: 'shop',
  clock: '12:00:00',
  detail: undefined,
  more: [],
  samples: [
    sample(
      snapshot('a@vm', {
        connections: {
          count: 2,
          list: [connection('b@vm', { rttMs: 12.4, sentBytes: 5000 }), connection('tool@vm', { hidden: true })],
        },
        counters: { signalsSent: 2100, signalsReceived: 300 },
      }),
      snapshot('a@vm', { uptimeMs: 63_000, connections: { count: 1, list: [connection('b@vm')] } }),
    ),
    sample(
      snapshot('b@vm', {
        eventLoop: { utilisation: 0.93, lagMs: 1, maxLagMs: 480 },
        processes: {
          count: 13,
          byMessages: [busy],
          byBytes: [busy],
          byBonds: [glance('b@vm', 2, { label: 'tree', bonds: 9 })],
        },
        connections: {
          count: 1,
          list: [connection('a@vm', { lostPackets: 3, queuedBytes: 70_000, dedicatedLanes: 2, heldLanes: 1 })],
        },
      }),
    ),
    gone('c@vm'),
  ],
}

const press = (keys: readonly string[], start: TopState = startState(), of: Picture = picture): TopState => {
  let state = start
  for (const key of keys) {
    const next = afterKey(state, key, tableOf(state.view, of.samples, state.node))
    assert.ok(next !== undefined, `${key} leaves`)
    state = next as TopState
  }
  return state
}

const shown = (keys: readonly string[], of: Picture = picture, size = STANDARD): string[] =>
  screen(of, press(keys, startState(), of), size, plain).map((line) => line.trimEnd())

test('nodes: one line each, those that are gone marked, within 80 columns', () => {
  assert.equal(shown([]).slice(0, 8), [
    'skein top  cluster shop: 2 nodes, 1 gone, 25 processes, 6 messages      12:00:00',
    '[1 nodes]  2 peers   3 processes',
    '',
    '  NODE*                    UP  CPU     LAG  MEM  PROCS  WAIT  PEERS  IN/s  OUT/s',
    '> a                        1m   7% 1.50 ms  84M     12     3      1     0   1.0k',
    '  b                        1m  93%  480 ms  84M     13     3      1     -      -',
    ' !c: NOCONNECTION           -    -       -    -      -     -      -     -      -',
    '',
  ])
  assert.is(shown([]).at(-1), 'Enter look  Esc back  1 2 3 views  s sort  r reverse  ? help  q quit')
})

test('peers: the way between each two nodes, without tools', () => {
  assert.equal(shown(['2']).slice(3, 6), [
    '  NODE*       PEER        WAY         RTT  LOST  LANES  HELD  QUEUE  IN/s  OUT/s',
    '> a           b           port      12 ms     0      0     0      0     0   2.0k',
    '  b           a           port    0.50 ms     3      2     1    70k     -      -',
  ])
})

test('processes: the busiest of all nodes, each once', () => {
  assert.equal(
    shown(['3']).slice(3, 7),
    [
      '  NODE                     PID NAME                 STATE   WAIT*  BYTES  BONDS',
      '> b                         31 orders               running  4.0k   1.2M      2',
      '  b                          2 tree                 waiting     0      0      9',
      '',
    ].map((line) => line),
  )
})

test('Enter leads from a node to its processes and on to one of them, Esc back', () => {
  const node = press(['down', 'return'])
  assert.equal([node.view, node.node], ['processes', 'b@vm'])
  const lines = screen(picture, node, STANDARD, plain)
  assert.match(lines[1] ?? '', '[3 processes]  of b@vm')
  assert.match(lines[2] ?? '', 'id abcdefghijklmnopqrstuvwxyz234567, incarnation 0123456789abcdef, up 1m')
  assert.match(lines[3] ?? '', 'event loop 93% busy, 480 ms late at most; memory 84M, heap 21M; 4 names')
  const process = press(['return'], node)
  assert.equal([process.process?.node, process.process?.pid.number], ['b@vm', 31])
  assert.match(
    screen(picture, process, STANDARD, plain).join('\n'),
    /#abcdef\.31>: it has ended, or its node has not answered yet/,
  )
  const bonds = { count: 0, list: [] }
  const detail = {
    ...busy,
    behaviour: 'gen_server',
    parent: undefined,
    trapExit: true,
    pressed: true,
    limit: 1000,
    onFull: 'block',
    links: { count: 70, list: [{ node: 'a@vm', pid: undefined, name: 'log\u001b[2J' }] },
    monitors: bonds,
    watchers: bonds,
  } as const
  const detailed = screen({ ...picture, detail }, process, STANDARD, plain).join('\n')
  for (const text of [
    'names       orders',
    'behaviour   gen_server',
    'running, traps exits',
    'mailbox     4000 messages, 1.2M bytes, holds its senders back',
    'limit       1000, then block',
    'links       70: log?[2J on a@vm',
    'watched by  none',
  ]) {
    assert.match(detailed, text)
  }
  const back = press(['escape'], process)
  assert.equal([back.process, back.node], [undefined, 'b@vm'])
  const again = press(['escape'], back)
  assert.equal([again.view, again.node], ['nodes', undefined])
  assert.equal(press(['escape'], again), again)
})

test('a node that is looked at shows its other processes too', () => {
  const more = [
    glance('b@vm', 31, { names: ['orders'], messages: 1 }),
    glance('b@vm', 44, { names: ['echo'] }),
    glance('a@vm', 5),
  ]
  const lines = screen({ ...picture, more }, press(['down', 'return']), STANDARD, plain)
  const rows = lines.filter((line) => /waiting|running/.test(line)).map((line) => line.trim().split(/ +/).join(' '))
  assert.equal(rows, ['> 31 orders running 4.0k 1.2M 2', '2 tree waiting 0 0 9', '44 echo waiting 0 0 0'])
})

test('sorting: by any column, either way; the cursor stays with its row', () => {
  const byCpu = ['s', 's']
  assert.match(shown(byCpu)[3] ?? '', 'CPU*')
  assert.equal(
    shown(byCpu)
      .slice(4, 7)
      .map((line) => line[2]),
    ['b', 'a', 'c'],
  )
  assert.equal(
    shown([...byCpu, 'r'])
      .slice(4, 7)
      .map((line) => line[2]),
    ['c', 'a', 'b'],
  )
  const onB = press(['down'])
  const lines = screen(picture, press(byCpu, onB), STANDARD, plain)
  assert.ok(lines[4]?.startsWith('> b'), lines[4])
  // The row is gone: the cursor stays where it was.
  const less = { ...picture, samples: picture.samples.slice(0, 1) }
  assert.ok(screen(less, onB, STANDARD, plain)[4]?.startsWith('> a'))
  assert.equal(press(['s', 'left']), press([]))
  assert.match(shown(['S'])[3] ?? '', 'OUT/s*')
})

test('keys that move, hold, help and leave', () => {
  assert.is(press(['end']).cursor.index, 2)
  assert.is(press(['end', 'down', 'k', 'up', 'up', 'up']).cursor.index, 0)
  assert.is(press(['pagedown', 'j']).cursor.index, 2)
  assert.is(press(['tab', 'tab', 'tab']).view, 'nodes')
  assert.match(shown(['space']).at(-1) ?? '', /^HELD/)
  assert.not(press(['p', 'p']).isPaused)
  assert.match(shown(['?']).join('\n'), 'share of time the event loop worked')
  assert.not(press(['?', 'x']).showsHelp)
  assert.equal(press(['f12', 'ctrl-a', '']), press([]))
  for (const key of ['q', 'ctrl-c']) {
    assert.is(afterKey(startState(), key, tableOf('nodes', picture.samples)), undefined)
    assert.is(afterKey(press(['?']), key, tableOf('nodes', picture.samples)), undefined)
  }
})

test('whatever the size: as many lines as there are rows, none too wide, and the cursor in sight', () => {
  const many = Array.from({ length: 300 }, (_, index) =>
    sample(snapshot(`node-${String(index).padStart(3, '0')}@machine-${index % 7}.example`)),
  )
  const large = { ...picture, samples: many }
  const keys = [
    [],
    ['2'],
    ['3'],
    ['return'],
    ['3', 'return'],
    ['?'],
    ['end'],
    ['pagedown', 'pagedown', 'pagedown', 'pagedown'],
  ]
  for (const of of [picture, large]) {
    for (const state of keys.map((pressed) => press(pressed, startState(), of))) {
      for (const columns of [1, 20, 40, 79, 80, 81, 300]) {
        for (const rows of [1, 2, 5, 24, 60]) {
          const lines = screen(of, state, { columns, rows }, plain)
          assert.is(lines.length, rows)
          const widest = lines.find((line) => line.length > columns)
          assert.is(widest, undefined, `${columns} columns`)
        }
      }
    }
  }
  for (const pressed of [['end'], ['pagedown', 'pagedown'], ['home']]) {
    const lines = screen(large, press(pressed, startState(), large), { columns: 80, rows: 12 }, plain)
    assert.is(lines.filter((line) => line.startsWith('>')).length, 1, pressed.join())
  }
})

test('nobody there, and nothing to show', () => {
  const none = { ...picture, samples: [] }
  assert.match(shown([], none).join('\n'), 'nothing to show')
  assert.equal(press(['return', 'down', 'end', '3', 'return'], startState(), none).process, undefined)
  assert.match(shown(['end', 'return']).join('\n'), 'does not answer: ERR_SKEIN_NOCONNECTION')
})

test('names and labels of others cannot write to the terminal', () => {
  const evil = '\u001b[2J\u0007\u202e\n\u2028x'
  const one = glance('a@vm', 3, { label: evil, messages: 1 })
  const node = snapshot(`${evil}@vm`, {
    processes: { count: 1, byMessages: [one], byBytes: [], byBonds: [] },
    connections: { count: 1, list: [connection(`${evil}@vm`)] },
    discovery: [{ source: 'mdns', state: 'working', detail: evil, seen: 0 }],
  })
  const hostile = { ...picture, cluster: evil, samples: [sample(node), gone('d@vm', evil)] }
  for (const keys of [[], ['2'], ['3'], ['return'], ['3', 'return']]) {
    for (const line of shown(keys, hostile)) assert.not.match(line, /[\p{C}\p{Zl}\p{Zp}]/u)
  }
})

test('colours are all that a palette adds', () => {
  const mark = (text: string): string => `\u001b[1m${text}\u001b[22m`
  const coloured = screen(picture, startState(), STANDARD, { bold: mark, dim: mark, good: mark, bad: mark })
  const stripped = coloured.map((line) => stripVTControlCharacters(line).trimEnd())
  assert.equal(stripped, shown([]))
})

test.run()
