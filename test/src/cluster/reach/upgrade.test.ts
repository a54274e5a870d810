import * as assert from 'uvu/assert'
import type { NatClass } from '../../../../discovery/source.ts'
import { decodePlan, encodePlan, type PunchPlan } from '../../../../src/cluster/reach/punch-plan.ts'
import type { Punch, Puncher } from '../../../../src/cluster/reach/puncher.ts'
import { Upgrade } from '../../../../src/cluster/reach/upgrade.ts'
import type { Session } from '../../../../src/cluster/session.ts'
import type { Address } from '../../../../transport/address.ts'
import { VirtualClock } from '../../../../transport/virtual-clock.ts'
import type { Way } from '../../../../transport/way.ts'
import { suite } from '../../../support/suite.ts'
import { relayedOf, wayOf } from './idle-ways.ts'

const test = suite('upgrade from a relay')

const ELSEWHERE: Address = { host: '10.0.0.2', port: 4433 }

const stage = (nat: NatClass = 'cone', role: Session['role'] = 'initiator') => {
  const clock = new VirtualClock()
  const log: string[] = []
  const plans: PunchPlan[] = []
  let found: (way: Way) => void = () => {}
  const asked: string[] = []
  const puncher = {
    begin: (task: { targets: readonly Address[]; token: Uint8Array; found(way: Way): void }): Punch => {
      log.push(`punch ${task.token[0]} ${task.targets.map(({ host }) => host)}`)
      found = task.found
      return {
        addTargets: (addresses) => log.push(`targets ${addresses.map(({ host }) => host)}`),
        spread: ({ host, port }) => log.push(`spread ${host} ${port}`),
        sweep: (host) => log.push(`sweep ${host}`),
        end: () => log.push('end'),
      }
    },
    release: (way: Way) => log.push(`release ${way.key}`),
  }
  const upgrade = new Upgrade(
    {
      clock,
      puncher: puncher as unknown as Puncher,
      self: () => ({ nat, candidates: [ELSEWHERE] }),
      again: ({ relayId }) => asked.push(`${relayId} at ${Math.round(clock.now())}`),
    },
    relayedOf(1),
  )
  const session = {
    role,
    way: 'relay' as Session['way'],
    isOver: false,
    lanes: { connection: { way: relayedOf(1).way, offer: (way: Way) => log.push(`offer ${way.key}`) } },
    meshFrame: (_type: number, body: Uint8Array) => plans.push(decodePlan(body)),
  }
  return {
    clock,
    log,
    plans,
    asked,
    upgrade,
    session,
    asSession: session as unknown as Session,
    find: (way: Way) => found(way),
  }
}

const told = (token: number, nat: NatClass): PunchPlan =>
  decodePlan(encodePlan({ token: new Uint8Array(16).fill(token), nat, candidates: [ELSEWHERE] }))

test('a punch begins at once, and what it found is offered when the connection is open', () => {
  const { upgrade, log, find, asSession } = stage()
  assert.equal(log, ['punch 1 198.51.100.2'])
  find(wayOf('port', 'direct'))
  assert.equal(log, ['punch 1 198.51.100.2'])
  upgrade.opened(asSession)
  assert.equal(log.slice(1), ['offer direct'])
  find(wayOf('port', 'second'))
  assert.equal(log.slice(2), ['offer second'])
})

test('the ends tell each other where else they may be found', () => {
  const { upgrade, log, plans, asSession } = stage('cone')
  upgrade.up(asSession)
  assert.is(plans.length, 1)
  assert.is(plans[0]?.nat, 'cone')
  assert.equal(plans[0]?.candidates, [ELSEWHERE])
  upgrade.told(told(1, 'open'))
  assert.equal(log.slice(1), ['targets 10.0.0.2'])
})

test('a plan that comes before its token waits for it; one of another token is of no use', () => {
  const { upgrade, log } = stage()
  upgrade.told(told(2, 'cone'))
  assert.equal(log, ['punch 1 198.51.100.2'])
  upgrade.begin(relayedOf(2))
  assert.equal(log.slice(1), ['end', 'punch 2 198.51.100.2', 'targets 10.0.0.2'])
})

for (const [own, other, expected] of [
  ['symmetric', 'cone', ['spread 198.51.100.2 7000']],
  ['cone', 'symmetric', ['sweep 198.51.100.2']],
  ['unknown', 'symmetric', ['sweep 198.51.100.2']],
  ['symmetric', 'symmetric', []],
  ['cone', 'cone', []],
] as const) {
  test(`many ports, ${own} towards ${other}: ${expected.length === 0 ? 'not tried' : expected[0]}`, async () => {
    const { upgrade, log, clock, asSession } = stage(own)
    upgrade.up(asSession)
    upgrade.told(told(1, other))
    await clock.run({ untilMs: 690 })
    assert.equal(log.slice(2), [])
    await clock.run({ untilMs: 710 })
    assert.equal(log.slice(2), expected)
  })
}

test('a plan that comes late still leads to many ports, once', async () => {
  const { upgrade, log, clock, asSession } = stage('cone')
  upgrade.up(asSession)
  await clock.run({ untilMs: 900 })
  upgrade.told(told(1, 'symmetric'))
  upgrade.told(told(1, 'symmetric'))
  assert.equal(
    log.filter((line) => line.startsWith('sweep')),
    ['sweep 198.51.100.2'],
  )
})

test('many ports are not tried when the plain punch found a way', async () => {
  const { upgrade, log, clock, find, asSession } = stage('symmetric')
  upgrade.up(asSession)
  upgrade.told(told(1, 'cone'))
  find(wayOf('port', 'direct'))
  await clock.run({ untilMs: 1000 })
  assert.is(
    log.some((line) => line.startsWith('spread')),
    false,
  )
})

test('the dialler asks again after 5, 40 and 75 s, then every 5 minutes, while the connection is relayed', async () => {
  const { upgrade, asked, clock, asSession } = stage()
  upgrade.up(asSession)
  await clock.run({ untilMs: 700_000 })
  assert.equal(asked, ['r at 5000', 'r at 40000', 'r at 75000', 'r at 375000', 'r at 675000'])
  upgrade.end()
})

test('the other end does not ask', async () => {
  const { upgrade, asked, clock, asSession } = stage('cone', 'acceptor')
  upgrade.up(asSession)
  await clock.run({ untilMs: 100_000 })
  assert.equal(asked, [])
})

test('once it is direct nothing more is tried; back on a relay it begins from the start', async () => {
  const { upgrade, asked, clock, session, asSession, log } = stage()
  upgrade.up(asSession)
  session.way = 'port'
  upgrade.moved(asSession)
  assert.equal(log.slice(-1), ['end'])
  await clock.run({ untilMs: 50_000 })
  assert.equal(asked, [])
  session.way = 'relay'
  upgrade.moved(asSession)
  await clock.run({ untilMs: 56_000 })
  assert.equal(asked, ['r at 55000'])
  upgrade.end()
})

test('sockets of ways that are not in use are given back', () => {
  const { upgrade, log, find, session, asSession } = stage()
  upgrade.up(asSession)
  const [used, spare] = [wayOf('socket', 'used'), wayOf('socket', 'spare')]
  find(used)
  find(spare)
  session.way = 'socket'
  Object.assign(session.lanes.connection, { way: used })
  upgrade.begin(relayedOf(2))
  assert.equal(
    log.filter((line) => line.startsWith('release')),
    ['release spare'],
  )
  upgrade.end()
  assert.equal(
    log.filter((line) => line.startsWith('release')),
    ['release spare', 'release used'],
  )
})

test.run()
