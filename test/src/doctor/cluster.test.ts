/** The checks of others: clocks, what members tell, and why two nodes do not meet. */
import * as assert from 'uvu/assert'
import { checkClock } from '../../../src/doctor/clock.ts'
import type { Finding } from '../../../src/doctor/finding.ts'
import { checkMembers, type MembersFacts } from '../../../src/doctor/members.ts'
import { judgeWay } from '../../../src/doctor/node-way.ts'
import { judgePair, type Side } from '../../../src/doctor/pair.ts'
import { type ReachReport, readReport } from '../../../src/doctor/reach-report.ts'
import { type Dial, judged } from '../../../src/doctor/visit.ts'
import { suite } from '../../support/suite.ts'
import { settled, startCluster } from '../node-support.ts'

const test = suite('doctor: the cluster')

const NOW_MS = Date.UTC(2030, 0)

const clockOf = (...aheadMs: number[]): string[] => {
  const members = aheadMs.map((ahead, index) => ({ name: `m${index}`, clock: { aheadMs: ahead, uncertainMs: 100 } }))
  return checkClock(NOW_MS, members).map(({ state, what, why }) => `${state} ${what} ${why ?? ''}`)
}

test('a clock: right, noticeably off, far off, and whose it is', () => {
  assert.match(clockOf(3000, -40)[0] ?? '', /^ok Within 3\.0 s of 2 members/)
  assert.match(clockOf(5050)[0] ?? '', /^ok/, 'within what the question took')
  assert.match(clockOf(6000)[0] ?? '', /^warning Clock off: this machine is 6\.0 s behind m0/)
  assert.match(clockOf(-301_000)[0] ?? '', /^failed Clock off: this machine is 5\.0 minutes ahead of m0/)
  assert.match(clockOf(600_000, 601_000)[0] ?? '', /this machine, so its clock is the wrong one/)
  for (const told of clockOf(600_000, -600_000)) assert.not.match(told, /wrong one/, 'they do not agree')
  const one = clockOf(600_000, 0)
  assert.is(one.length, 1)
  assert.not.match(one[0] ?? '', /wrong one/)
  assert.match(checkClock(NOW_MS, [])[0]?.state ?? '', /skipped/)
  const [ancient] = checkClock(Date.UTC(1970, 0), [])
  assert.equal([ancient?.state, /timedatectl/.test(ancient?.remedy ?? '')], ['failed', true])
})

const dial = (code: string, message = 'said so', through: Dial['through'] = 'seeds'): Dial => ({
  target: '10.0.0.1:4433',
  through,
  result: { type: 'failed', code, message, attempts: [] } as Dial['result'],
})

const membersOf = (facts: Partial<MembersFacts>): string[] =>
  checkMembers({ dials: [], members: [], soundings: [], cookiePlace: '/c', cluster: 'x', ...facts }).map(
    ({ check, state, what }) => `${check} ${state} ${what}`,
  )

const whyOf = (dials: readonly Dial[], members: MembersFacts['members']): string =>
  checkMembers({ dials, members, soundings: [], cookiePlace: '/c', cluster: 'x' })[0]?.why ?? ''

test('members: silence with and without an answer of the DHT, refusals, nobody at all', () => {
  const answered = {
    address: { host: '10.0.0.1', port: 4433 },
    udp: 'answered',
    tookMs: 1,
    tcp: 'notTried',
    elsewhere: false,
  } as const
  const silence = dial('ERR_SKEIN_CONNECT_TIMEOUT')
  assert.match(
    membersOf({ dials: [silence], soundings: [answered] })[0] ?? '',
    /^cookie failed Wrong cookie: 10\.0\.0\.1/,
  )
  assert.match(membersOf({ dials: [silence] })[0] ?? '', /^members failed No member answered/)
  assert.match(membersOf({ dials: [{ ...silence, through: 'local' }] })[0] ?? '', /^members warning No node was found/)
  const local = membersOf({ dials: [{ ...silence, through: 'local' }], soundings: [answered] })
  assert.match(local[0] ?? '', /^cookie warning Wrong cookie/, 'it may be meant for somebody else')
  assert.match(membersOf({ dials: [dial('ERR_SKEIN_WRONG_COOKIE')] })[0] ?? '', /^cookie failed/)
  assert.match(
    membersOf({ dials: [dial('ERR_SKEIN_WRONG_CLUSTER')] })[0] ?? '',
    /^members failed .* another cluster than "x"/,
  )
  const both = membersOf({
    dials: [silence, { ...silence, target: '127.0.0.1:4433', through: 'local' }],
    soundings: [{ ...answered, address: { host: '127.0.0.1', port: 4433 } }],
  })
  assert.is(both.length, 2, 'a stranger on this machine does not hide that the seed is silent')
  assert.match(both[1] ?? '', /^members failed No member answered at 10\.0\.0\.1/)
  assert.match(membersOf({ dials: [dial('ERR_SKEIN_BAD_NAME')] })[0] ?? '', /^members failed No member answered/)
  const [variable] = checkMembers({
    ...{ dials: [silence], members: [], soundings: [answered], cluster: 'x' },
    cookiePlace: 'SKEIN_COOKIE',
  })
  assert.not.match(variable?.remedy ?? '', /scp/, 'a variable is no file')
  const beside = { ...dial('ERR_SKEIN_WRONG_CLUSTER'), through: 'local' as const }
  assert.match(membersOf({ dials: [beside] })[0] ?? '', /^members warning No node was found/)
  assert.match(membersOf({ dials: [dial('ERR_SKEIN_VERSION')] })[0] ?? '', /^members failed .*ERR_SKEIN_VERSION/)
  assert.match(membersOf({ dials: [dial('SOMETHING_NEW')] })[0] ?? '', /^members failed .*SOMETHING_NEW/)
})

test('a certificate that is not valid now: whether it or the clock is to blame', () => {
  const dials = [dial('ERR_SKEIN_CERT_EXPIRED', 'No connection. The certificate expired at 2029-12-01T00:00:00.000Z')]
  const way = 'port' as const
  const member = { name: 'a', host: '10.0.0.1', way, clock: undefined, usesMulticast: false, connected: [] }
  assert.match(whyOf(dials, [member]), /or one of the two clocks is wrong/, 'its clock is not known')
  const other = { ...member, name: 'b', host: '10.0.0.2', clock: { aheadMs: 0, uncertainMs: 1 } }
  assert.match(whyOf(dials, [other]), /or one of the two clocks/, "nor does somebody else's tell")
  const at = (aheadMs: number) => [{ ...member, clock: { aheadMs, uncertainMs: 1 } }]
  assert.match(membersOf({ dials, members: at(-60 * 86_400_000) })[0] ?? '', /^members failed/)
  assert.match(
    membersOf({ dials, members: at(20) })[0] ?? '',
    /^certificate failed Expired certificate: .* expired at 2029-12-01/,
  )
})

const report = (change: Partial<ReachReport>): ReachReport => ({
  connection: undefined,
  code: undefined,
  message: undefined,
  attempts: [],
  nat: 'unknown',
  ...change,
})

const side = (name: string, nat: Side['nat'], told?: ReachReport): Side => ({
  name,
  nat,
  evidence: 'seen',
  report: told,
})

const verdict = (a: Side, b: Side): Finding => judgePair([a, b]).at(-1)!

test('two nodes: the surest cause is named', () => {
  const address = { host: '1.1.1.1', port: 1 }
  const direct = report({ connection: { address, way: 'port' } })
  const relayed = report({ connection: { address, way: 'relay' } })
  const failed = (code: string): ReachReport =>
    report({ code, message: 'm', attempts: [{ what: 'x', code, message: 'm' }] })
  const timeout = failed('ERR_SKEIN_CONNECT_TIMEOUT')
  const say = (a: Side, b: Side): string => {
    const { state, what, why = '', remedy = '' } = verdict(a, b)
    assert.ok(state === 'ok' || remedy !== '')
    return `${state} ${what} ${why}`
  }
  assert.match(say(side('a', 'open', direct), side('b', 'cone', direct)), /^ok a and b are connected/)
  assert.match(say(side('a', 'cone', relayed), side('b', 'cone', relayed)), /^warning .* through a relay/)
  assert.match(say(side('a', 'symmetric'), side('b', 'symmetric')), /^failed Symmetric pair: a and b/)
  assert.match(say(side('a', 'symmetric', relayed), side('b', 'symmetric', relayed)), /^warning Symmetric pair/)
  assert.match(
    say(side('a', 'open', failed('ERR_SKEIN_NAME_TAKEN')), side('b', 'open')),
    /^failed .* ERR_SKEIN_NAME_TAKEN/,
  )
  assert.match(say(side('a', 'cone', timeout), side('b', 'open')), /a is behind a NAT/)
  assert.match(say(side('a', 'unknown', timeout), side('b', 'unknown', timeout)), /a firewall between them/)
  assert.match(say(side('a', 'unknown'), side('b', 'unknown')), /Neither of a and b could be asked/)
  assert.match(say(side('a', 'cone'), side('b', 'open')), /Neither of a and b could be asked/, 'nobody said so')
  const attempts = judgePair([side('a', 'open', timeout), side('b', 'open', direct)]).filter(
    ({ check }) => check === 'attempt',
  )
  assert.is(attempts.length, 1)
})

test('the way to one node: what answers there tells why it cannot be reached', () => {
  const place = (found: number) => ({
    target: 'b@there',
    found: Array(found).fill({
      name: 'b@there',
      addresses: [],
      sources: [],
      registrations: [],
      id: '',
      incarnation: '',
    }),
    seen: [],
  })
  const failure = (code: string, tried: string[] = [code]) =>
    ({
      ...dial(code),
      result: { ...dial(code).result, attempts: tried.map((one) => ({ what: 'x', code: one, message: 'm' })) },
    }) as Dial
  const timeout = failure('ERR_SKEIN_CONNECT_TIMEOUT')
  const seen = (udp: 'answered' | 'closed' | 'silent', tcp: 'there' | 'silent', host = '10.99.0.1') => [
    { address: { host, port: 1 }, udp, tookMs: undefined, tcp, elsewhere: false },
  ]
  const why = (...[where, result, connection, soundings]: Parameters<typeof judgeWay>): string => {
    const finding = judgeWay(where, result, connection, soundings)
    assert.ok(finding.state === 'ok' || (finding.remedy ?? '') !== '')
    return `${finding.state} ${finding.what} ${finding.why ?? ''}`
  }
  assert.match(why(place(0), timeout, undefined, seen('answered', 'silent')), /^failed .* Wrong cookie/)
  assert.match(why(place(1), timeout, undefined, seen('answered', 'silent')), /1200 bytes/)
  assert.match(why(place(1), timeout, undefined, seen('closed', 'silent')), /Nobody listens/)
  assert.match(why(place(1), timeout, undefined, seen('silent', 'there')), /UDP blocked/)
  assert.match(why(place(1), timeout, undefined, seen('silent', 'silent')), /behind a NAT/)
  assert.match(why(place(1), timeout, undefined, seen('silent', 'silent', '198.51.100.9')), /Nothing answers/)
  const mixedWays = [...seen('closed', 'silent', '172.17.0.9'), ...seen('silent', 'there', '198.51.100.9')]
  assert.match(why(place(1), timeout, undefined, mixedWays), /UDP blocked/, 'one closed port among others says little')
  assert.match(why(place(0), timeout, undefined, []), /Nothing tells at which address/)
  const mixed = failure('ERR_SKEIN_CONNECT_FAILED', ['ERR_SKEIN_CONNECT_TIMEOUT', 'ERR_SKEIN_WRONG_CLUSTER'])
  assert.match(why(place(1), mixed, undefined, []), /Somebody answered and refused/)
  const up: Dial = { ...timeout, result: { type: 'up', node: 'b@there', tookMs: 1, way: 'port' } }
  const by = (way: 'relay' | 'tcp' | 'port') => ({ name: 'b', address: { host: '1.1.1.1', port: 1 }, way, listens: [] })
  assert.match(why(place(1), up, by('relay'), []), /^warning .* through a relay/)
  assert.match(why(place(1), up, by('tcp'), []), /^warning .* over TCP/)
  assert.match(why(place(1), up, by('port'), []), /^ok .* directly/)
})

test('a report from another node may hold anything', () => {
  assert.is(readReport(undefined), undefined)
  assert.is(readReport('text'), undefined)
  const empty = { connection: undefined, code: undefined, message: undefined, attempts: [], nat: 'unknown' }
  const hostile = { connection: { address: 7 }, code: {}, message: 1, attempts: [null, 5, 'x'], nat: 'huge' }
  assert.equal(readReport({}), empty)
  assert.equal(readReport(hostile), empty)
  const nowhere = [{ host: 'name.invalid', port: 1 }, { host: '10.0.0.1', port: 70_000 }, { host: '10.0.0.1' }, null]
  for (const address of nowhere) assert.is(readReport({ connection: { address } })?.connection, undefined)
  const silent = Object.assign(Object.create(null), { toString: 5 })
  assert.is(readReport({ attempts: [{ what: silent }] })?.attempts[0]?.what, 'object')
  const many = readReport({ attempts: Array(1000).fill({ what: 1, code: null }) })
  assert.is(many?.attempts.length, 32)
  assert.equal(many?.attempts[0], { what: '1', code: 'null', message: 'undefined' })
})

test('what a member says of others may be anything, and leads nowhere but to literal addresses', () => {
  const address = { host: '10.0.0.1', port: 4433 }
  const sound = { name: 'b@there', address, way: 'port', listens: [address] }
  assert.equal(judged(sound), [sound])
  assert.equal(judged({ ...sound, listens: [null, 7, { host: 'x', port: 1 }, address] }), [sound])
  for (const host of ['name.invalid', '', 7, undefined]) {
    assert.equal(judged({ ...sound, address: { host, port: 1 } }), [])
  }
  for (const port of [0, 70_000, -1, 'x', undefined]) {
    assert.equal(judged({ ...sound, address: { host: '10.0.0.1', port } }), [])
  }
  assert.equal(judged({ ...sound, name: 'b@x\u001b[31m' }), [])
  for (const value of [undefined, null, 7, {}]) assert.equal(judged(value), [])
})

test('nodes are sought for others a few at a time, and snapshots are still to be had', async (t) => {
  const cluster = await startCluster(t, 2)
  const [a, b] = cluster.nodes
  const ask = (request: unknown): Promise<unknown> => a!.call({ name: 'skein', node: b!.name }, request)
  const many = Array.from({ length: 40 }, (_, index) => ask({ type: 'reach', node: `nobody${index}@nowhere` }))
  const snapshot = (await settled(cluster, ask({ type: 'snapshot' }))) as { type: string }
  assert.is(snapshot.type, 'snapshot')
  const answers = (await settled(cluster, Promise.all(many))) as { type: string }[]
  assert.is(answers.filter(({ type }) => type === 'busy').length, 32)
})

test('a node tells its time and its way to another, and knocks nowhere else', async (t) => {
  const cluster = await startCluster(t, 3)
  const [a, b, c] = cluster.nodes
  const ask = (request: unknown): Promise<unknown> =>
    settled(cluster, a!.call({ name: 'skein', node: b!.name }, request))
  const time = (await ask({ type: 'time' })) as { type: string; wallMs: number }
  assert.ok(Math.abs(time.wallMs - cluster.clock.wallNow()) < 5000)
  const way = (await ask({ type: 'reach', node: c!.name })) as { reach: ReachReport }
  assert.ok(readReport(way.reach)?.connection)
  const nobody = (await ask({ type: 'reach', node: 'nobody@nowhere' })) as { reach: ReachReport }
  assert.is(nobody.reach.code, 'ERR_SKEIN_NODE_UNKNOWN')
  for (const node of ['10.0.0.1:4433', '', 7, undefined, { host: 'x' }]) {
    const refused = (await ask({ type: 'reach', node })) as { reach: ReachReport }
    assert.is(refused.reach.code, 'ERR_SKEIN_BAD_NAME')
  }
})

test.run()
