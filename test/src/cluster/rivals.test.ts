/** Who gets in when there is a rival: the table of docs/handshake.md, row by row. */
import * as assert from 'uvu/assert'
import {
  judgeRivals,
  type Newcomer,
  type PendingRival,
  type Standing,
  type Verdict,
} from '../../../src/cluster/rivals.ts'
import { suite } from '../../support/suite.ts'

const test = suite('rivals')

const OLD = '0000000000000001'
const NOW = '0000000000000002'
const NEW = '0000000000000003'
/** Ids with the own one in the middle. */
const LESSER = 'a'
const SELF = 'm'
const GREATER = 'z'

const standing = (changes: Partial<Standing> = {}): Standing => ({
  self: { id: SELF, name: 'self@host', incarnation: NOW },
  up: undefined,
  pending: undefined,
  nameHolder: undefined,
  full: false,
  ...changes,
})

const comer = (role: 'initiator' | 'acceptor', id: string, said: Partial<Newcomer['said']> = {}): Newcomer => ({
  role,
  id,
  said: { name: 'other@host', incarnation: NOW, replace: false, ...said },
})

const byKey = (id: string): Newcomer => ({ role: 'initiator', id, said: undefined })

const codeOf = (verdict: Verdict): string =>
  verdict.type === 'refuse' ? verdict.refusal.code : verdict.endPending ? 'accept, end the rival' : 'accept'

const pending = (role: PendingRival['role'], promised?: string): PendingRival => ({ role, promised })

const cases: [string, Newcomer, Partial<Standing>, string][] = [
  ['nobody is there', comer('acceptor', LESSER), {}, 'accept'],
  ['nobody is there, by key', byKey(GREATER), {}, 'accept'],
  ['it is this node', comer('acceptor', SELF), {}, 'ERR_SKEIN_SELF'],
  [
    'it is another process with our key',
    comer('acceptor', SELF, { incarnation: NEW }),
    {},
    'ERR_SKEIN_STALE_INCARNATION',
  ],
  ['it takes our name', comer('acceptor', LESSER, { name: 'self@host' }), {}, 'ERR_SKEIN_NAME_TAKEN'],
  ['it takes the name of a live node', comer('initiator', LESSER), { nameHolder: 'b' }, 'ERR_SKEIN_NAME_TAKEN'],
  ['no room', comer('acceptor', LESSER), { full: true }, 'ERR_SKEIN_TOO_MANY_CONNECTIONS'],
  [
    'no room, but it replaces itself',
    comer('acceptor', LESSER, { incarnation: NEW }),
    { full: true, up: { incarnation: NOW } },
    'accept',
  ],

  ['up, and it says nothing', comer('acceptor', GREATER), { up: { incarnation: NOW } }, 'ERR_SKEIN_SIMULTANEOUS'],
  ['up, and it says replace', comer('acceptor', LESSER, { replace: true }), { up: { incarnation: NOW } }, 'accept'],
  ['up, and it has restarted', comer('acceptor', LESSER, { incarnation: NEW }), { up: { incarnation: NOW } }, 'accept'],
  [
    'up, and an old one comes',
    comer('acceptor', LESSER, { incarnation: OLD, replace: true }),
    { up: { incarnation: NOW } },
    'ERR_SKEIN_STALE_INCARNATION',
  ],
  ['up, and we dialled the same', comer('initiator', LESSER), { up: { incarnation: NOW } }, 'ERR_SKEIN_SIMULTANEOUS'],
  [
    'up, and we dialled its successor',
    comer('initiator', LESSER, { incarnation: NEW }),
    { up: { incarnation: NOW } },
    'accept',
  ],

  [
    'we are dialling, the greater comes',
    comer('acceptor', GREATER),
    { pending: pending('initiator') },
    'accept, end the rival',
  ],
  [
    'we are dialling, the lesser comes',
    comer('acceptor', LESSER),
    { pending: pending('initiator') },
    'ERR_SKEIN_SIMULTANEOUS',
  ],
  ['the lesser is coming, our dial opens', byKey(LESSER), { pending: pending('acceptor') }, 'accept, end the rival'],
  ['the greater is coming, our dial opens', byKey(GREATER), { pending: pending('acceptor') }, 'ERR_SKEIN_SIMULTANEOUS'],
  [
    'we promised the lesser, our dial opens',
    byKey(LESSER),
    { pending: pending('acceptor', NOW) },
    'ERR_SKEIN_SIMULTANEOUS',
  ],
  [
    'we are dialling, a second dial of ours opens',
    byKey(LESSER),
    { pending: pending('initiator') },
    'ERR_SKEIN_SIMULTANEOUS',
  ],
  [
    'it dials again before we promised',
    comer('acceptor', LESSER),
    { pending: pending('acceptor') },
    'accept, end the rival',
  ],
  [
    'it dials again after we promised',
    comer('acceptor', LESSER),
    { pending: pending('acceptor', NOW) },
    'ERR_SKEIN_SIMULTANEOUS',
  ],
  [
    'we promised, and it says replace',
    comer('acceptor', LESSER, { replace: true }),
    { pending: pending('acceptor', NOW) },
    'accept, end the rival',
  ],
  [
    'we promised, and it has restarted',
    comer('acceptor', LESSER, { incarnation: NEW }),
    { pending: pending('acceptor', NOW) },
    'accept, end the rival',
  ],
  [
    'we promised, and an old one comes',
    comer('acceptor', LESSER, { incarnation: OLD }),
    { pending: pending('acceptor', NOW) },
    'ERR_SKEIN_STALE_INCARNATION',
  ],
  [
    'up as an old one, promised to a newer, the newer comes again',
    comer('acceptor', LESSER),
    { up: { incarnation: OLD }, pending: pending('acceptor', NOW) },
    'ERR_SKEIN_SIMULTANEOUS',
  ],
]

for (const [what, newcomer, changes, expected] of cases) {
  test(`${what}: ${expected}`, () => {
    assert.is(codeOf(judgeRivals(newcomer, standing(changes))), expected)
  })
}

test('when both dial at once exactly one connection lives, whichever hello comes first', () => {
  // Each side judges the other's hello while its own dial is pending.
  const atLesser = judgeRivals(
    comer('acceptor', GREATER),
    standing({ self: { id: LESSER, name: 'l@h', incarnation: NOW }, pending: pending('initiator') }),
  )
  const atGreater = judgeRivals(
    comer('acceptor', LESSER),
    standing({ self: { id: GREATER, name: 'g@h', incarnation: NOW }, pending: pending('initiator') }),
  )
  assert.is(codeOf(atLesser), 'accept, end the rival')
  assert.is(codeOf(atGreater), 'ERR_SKEIN_SIMULTANEOUS')
})

test.run()
