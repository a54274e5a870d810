/**
 * Invitations without the commands: tokens that are copied wrongly, and the process that hands over, between real nodes.
 */
import { randomBytes } from 'node:crypto'
import * as assert from 'uvu/assert'
import { type ErrorCode, isSkeinError } from '../../../certs/errors.ts'
import {
  type Handover,
  INVITATION_PROCESS,
  invitationProcess,
  redeem,
  startMeetingNode,
} from '../../../src/cli/invitation.ts'
import { decodeToken, encodeToken, MAX_TOKEN_ADDRESSES, meetingPlaceOf } from '../../../src/cli/invitation-token.ts'
import type { SkeinNode } from '../../../src/node.ts'
import { formatAddress } from '../../../transport/address.ts'
import { suite, type TestContext } from '../../support/suite.ts'

const DEADLINE_MS = 60_000

const test = suite('invitation')

const USUAL = { host: '127.0.0.1', discovery: { mdns: false }, logLevel: 'silent' } as const

const anInvitation = () => ({
  secret: new Uint8Array(randomBytes(32)),
  endMs: 1_900_000_000_000,
  addresses: [
    { host: '192.168.1.7', port: 4433 },
    { host: '2001:db8::1', port: 50_000 },
    { host: 'home.example.org', port: 1 },
  ],
})

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work
    return 'no error'
  } catch (error) {
    return isSkeinError(error) ? error.code : String(error)
  }
}

const throwsCode = (code: ErrorCode, work: () => unknown, message: RegExp): void => {
  try {
    work()
  } catch (error) {
    if (!isSkeinError(error, code)) throw error
    assert.match(error.message, message)
    return
  }
  assert.unreachable(`${code} was expected`)
}

test('a token says what went in, and begins with a letter', () => {
  const invitation = anInvitation()
  const token = encodeToken(invitation)
  assert.match(token, /^A[A-Za-z0-9_-]+$/)
  assert.equal(decodeToken(token), invitation)
  assert.equal(decodeToken(encodeToken({ ...invitation, addresses: [] })).addresses, [])
})

test('every mistyped or missing character is found', () => {
  const token = encodeToken(anInvitation())
  for (let i = 0; i < token.length - 1; i++) {
    const other = token[i] === 'x' ? 'y' : 'x'
    throwsCode(
      'ERR_SKEIN_BAD_INVITATION',
      () => decodeToken(`${token.slice(0, i)}${other}${token.slice(i + 1)}`),
      /checksum/,
    )
  }
  throwsCode('ERR_SKEIN_BAD_INVITATION', () => decodeToken(token.slice(0, -3)), /checksum/)
  throwsCode('ERR_SKEIN_BAD_INVITATION', () => decodeToken(token.slice(0, 20)), /too short/)
  throwsCode('ERR_SKEIN_BAD_INVITATION', () => decodeToken(`${token} ${token}`), /characters/)
  throwsCode('ERR_SKEIN_BAD_INVITATION', () => decodeToken('x'.repeat(10_000)), /too long/)
  throwsCode('ERR_SKEIN_BAD_INVITATION', () => decodeToken(''), /characters/)
})

test('a token with too many addresses, or with none that is one, is refused', () => {
  const { secret, endMs } = anInvitation()
  const many = Array.from({ length: MAX_TOKEN_ADDRESSES + 1 }, (_, i) => ({ host: '10.0.0.1', port: i + 1 }))
  throwsCode('ERR_SKEIN_BAD_INVITATION', () => decodeToken(encodeToken({ secret, endMs, addresses: many })), /too many/)
  for (const host of ['a b', 'a\u001b[2J', '$(id)', 'münchen.example', '']) {
    const odd = [{ host, port: 1 }]
    throwsCode(
      'ERR_SKEIN_BAD_INVITATION',
      () => decodeToken(encodeToken({ secret, endMs, addresses: odd })),
      /no address/,
    )
  }
})

test('each secret opens a cluster of its own', () => {
  const [one, other] = [meetingPlaceOf(anInvitation().secret), meetingPlaceOf(anInvitation().secret)]
  assert.match(one.cluster, /^skein\.invite\.[0-9a-f]{16}$/)
  assert.is.not(one.cluster, other.cluster)
  assert.not.equal(one.cookie, other.cookie)
})

const HANDOVER: Handover = {
  cluster: 'real',
  cookie: new TextEncoder().encode('the real cookie'),
  seeds: ['192.168.1.7:4433'],
  dht: [],
}

/** An inviter, and as many who have the token. */
const meeting = async (t: TestContext, count: number, handover: unknown, endMs = Date.now() + 60_000) => {
  const place = meetingPlaceOf(randomBytes(32))
  const used: string[] = []
  const start = async (options: Parameters<typeof startMeetingNode>[1]): Promise<SkeinNode> => {
    const { node } = await startMeetingNode(place, options, USUAL)
    t.defer(() => node.stop())
    return node
  }
  const inviter = await start({ name: 'invitation' })
  const terms = { handover: handover as Handover, endMs, onUsed: (node: string) => used.push(node) }
  inviter.spawnWith({ name: INVITATION_PROCESS }, invitationProcess(terms))
  const invited = await Promise.all(Array.from({ length: count }, (_, i) => start({ name: `b${i}`, hidden: true })))
  const address = inviter.addresses.map(formatAddress).join()
  const names = await Promise.all(invited.map((node) => node.connect(address)))
  return { place, inviter, address, invited, name: names[0] ?? '', used }
}

test(
  'of three who ask at once one gets it, the others are told that it was used, and so is whoever asks later',
  async (t) => {
    const { invited, name, used } = await meeting(t, 3, HANDOVER)
    const outcomes = await Promise.all(
      invited.map(async (node) => {
        try {
          return await redeem(node, name)
        } catch (error) {
          return isSkeinError(error) ? error.code : String(error)
        }
      }),
    )
    assert.equal(
      outcomes.filter((outcome) => outcome === 'ERR_SKEIN_INVITATION_USED').length,
      2,
      outcomes.map(String).join(),
    )
    const winner = outcomes.findIndex((outcome) => typeof outcome === 'object')
    assert.equal(outcomes[winner], HANDOVER)
    assert.equal(used, [invited[winner]?.name])
    for (const node of invited) assert.is(await codeOf(redeem(node, name)), 'ERR_SKEIN_INVITATION_USED')
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'after its time nobody gets it',
  async (t) => {
    const { invited, name, used } = await meeting(t, 1, HANDOVER, Date.now() - 1)
    const [node] = invited as [SkeinNode]
    assert.is(await codeOf(redeem(node, name)), 'ERR_SKEIN_INVITATION_EXPIRED')
    assert.equal(used, [])
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'who has the token can do nothing else on that node, and who has not meets silence',
  async (t) => {
    const { inviter, address, invited, name, place } = await meeting(t, 1, HANDOVER)
    const [node] = invited as [SkeinNode]
    inviter.register(
      'echo',
      inviter.spawn(async (self) => void (await self.receive())),
    )
    const limit = { timeoutMs: 5000 }
    assert.is(await codeOf(node.call({ name: 'skein', node: name }, { type: 'info' }, limit)), 'ERR_SKEIN_FORBIDDEN')
    assert.is(await codeOf(node.call({ name: 'echo', node: name }, 1, limit)), 'ERR_SKEIN_FORBIDDEN')
    assert.equal(await node.call({ name: INVITATION_PROCESS, node: name }, 'cookie', limit), { type: 'unknown' })

    const stranger = await startMeetingNode({ ...place, cookie: randomBytes(32) }, { hidden: true }, USUAL)
    t.defer(() => stranger.node.stop())
    const gatedBefore = inviter.counters().gated ?? 0
    assert.is(await codeOf(stranger.node.connect(address)), 'ERR_SKEIN_CONNECT_TIMEOUT')
    assert.ok((inviter.counters().gated ?? 0) > gatedBefore, 'the gate dropped what the stranger sent')
  },
  { deadlineMs: DEADLINE_MS },
)

for (const [what, handover] of Object.entries({
  'a cluster that is no name': { ...HANDOVER, cluster: '../evil' },
  'a cookie that is a text': { ...HANDOVER, cookie: 'the real cookie' },
  'a cookie that is too short': { ...HANDOVER, cookie: new Uint8Array(3) },
  'seeds that are no list': { ...HANDOVER, seeds: 'x' },
  'too many seeds': { ...HANDOVER, seeds: Array(17).fill('10.0.0.1:4433') },
  'a seed that is no address': { ...HANDOVER, seeds: ['\u001b[2J:1'] },
  'a seed that a shell would run': { ...HANDOVER, seeds: ['$(reboot):1'] },
})) {
  test(
    `an inviter that hands over ${what} is not believed`,
    async (t) => {
      const { invited, name } = await meeting(t, 1, handover)
      const [node] = invited as [SkeinNode]
      assert.is(await codeOf(redeem(node, name)), 'ERR_SKEIN_BAD_REPLY')
    },
    { deadlineMs: DEADLINE_MS },
  )
}

test.run()
