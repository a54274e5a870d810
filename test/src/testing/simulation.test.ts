/** Scenarios: time runs while they wait, faults do what they say, failures name their seed, and a seed repeats. */
import { setTimeout as realSleep } from 'node:timers/promises'
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../certs/errors.ts'
import type { CallMessage, Self } from '../../../src/index.ts'
import { ScenarioFailure, type Simulation, simulate } from '../../../src/testing/index.ts'
import { suite } from '../../support/suite.ts'

const test = suite('simulation')

const nodes = ['a', 'b', 'c'] as const
type Name = (typeof nodes)[number]

const echo = async (self: Self<CallMessage<number, number>>): Promise<void> => {
  for await (const { from, request } of self) self.reply(from, request)
}

const codeOf = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise
    return 'resolved'
  } catch (error) {
    return isSkeinError(error) ? error.code : String(error)
  }
}

const failureOf = async (promise: Promise<unknown>): Promise<ScenarioFailure> => {
  try {
    await promise
  } catch (error) {
    assert.instance(error, ScenarioFailure)
    return error as ScenarioFailure
  }
  return assert.unreachable('it did not fail') as never
}

/** A small life with every kind of fault; gives its log. */
const life = async (sim: Simulation<Name>): Promise<readonly string[]> => {
  const { a, b, c } = sim.hosts
  await sim.meshed()
  const pid = b.node.spawn(echo)
  sim.conditions({ delayMs: 3, jitterMs: 5, loss: 0.1, reorder: 0.1, duplicate: 0.1 })
  for (let i = 0; i < 5; i++) sim.note(`answer ${await a.node.call(pid, i)}`)
  sim.partition([c])
  a.skewClock({ rate: 1.2, wallOffsetMs: 5000 })
  await sim.sleep(6000)
  sim.heal()
  b.crash()
  await sim.sleep(sim.random.float() * 1000)
  await b.restart({ identity: 'new' })
  await sim.meshed()
  return sim.log
}

test('time runs while a scenario waits', async () => {
  const startMs = performance.now()
  const value = await simulate({ nodes }, async (sim) => {
    await sim.meshed()
    const pid = sim.hosts.b.node.spawn(echo)
    assert.is(await sim.hosts.a.node.call(pid, 7), 7)
    const beforeMs = sim.nowMs
    await sim.sleep(60_000)
    assert.is(sim.nowMs, beforeMs + 60_000)
    return 'done'
  })
  assert.is(value, 'done')
  assert.ok(performance.now() - startMs < 8000, 'a minute of virtual time is no minute')
})

test('a seed repeats, another differs', async () => {
  const logs: string[] = []
  for (const seed of [1, 1, 2]) logs.push((await simulate({ nodes, seed }, life)).join('\n'))
  assert.is(logs[0], logs[1])
  assert.is.not(logs[0], logs[2])
})

test('runs takes one seed after the other', async () => {
  const seeds: number[] = []
  await simulate({ nodes: ['a'], seed: 5, runs: 3 }, (sim) => void seeds.push(sim.seed))
  assert.equal(seeds, [5, 6, 7])
})

test('partition, cut and heal', async () => {
  await simulate({ nodes }, async (sim) => {
    const { a, b, c } = sim.hosts
    await sim.meshed()
    const pid = b.node.spawn(echo)
    sim.partition([b])
    assert.is(await codeOf(a.node.call(pid, 1)), 'ERR_SKEIN_NOCONNECTION')
    await sim.until('c has noticed too', () => c.node.nodes().length === 1)
    assert.equal(c.node.nodes(), [a.node.name])
    sim.heal()
    await sim.meshed()
    sim.cut([b], [a])
    assert.is(await codeOf(a.node.call(pid, 1, { timeoutMs: 50 })), 'ERR_SKEIN_CALL_TIMEOUT')
    assert.is(await c.node.call(pid, 1), 1)
    sim.heal()
  })
})

test('crash and restart: a new incarnation, of the same identity or a new one', async () => {
  await simulate({ nodes, boot: (node) => node.register('echo', node.spawn(echo)) }, async (sim) => {
    const { a, b } = sim.hosts
    await sim.meshed()
    const first = b.node
    b.crash()
    assert.not(b.isUp)
    assert.is(b.state, 'crashed')
    await sim.sleep(10)
    const second = await b.restart()
    assert.ok(b.isUp)
    assert.is(second.id, first.id)
    assert.ok(second.incarnation > first.incarnation)
    await sim.meshed()
    assert.is(await a.node.call({ name: 'echo', node: b.node.name }, 3), 3)
    b.crash()
    await sim.sleep(10)
    const third = await b.restart({ identity: 'new' })
    assert.is.not(third.id, first.id)
    assert.is(await codeOf(b.restart()), 'ERR_SKEIN_BAD_ARGUMENT')
    await sim.meshed()
    await b.node.stop()
    assert.not(b.isUp)
    await b.restart()
    await sim.meshed()
  })
})

test('a paused host stands still, its clock does not', async () => {
  await simulate({ nodes }, async (sim) => {
    const { a, b } = sim.hosts
    await sim.meshed()
    const pid = b.node.spawn(echo)
    b.pause()
    const answer = a.node.call(pid, 1)
    await sim.sleep(1000)
    const resumedMs = sim.nowMs
    b.resume()
    assert.is(await answer, 1)
    assert.ok(sim.nowMs - resumedMs < 10)
  })
})

test('a skewed clock: timers and calendar of that host only', async () => {
  await simulate({ nodes }, async (sim) => {
    const { a, b } = sim.hosts
    await sim.meshed()
    a.skewClock({ rate: 2, wallOffsetMs: -3_600_000 })
    const wallMs = a.clock.wallNow()
    assert.ok(Math.abs(b.clock.wallNow() - wallMs - 3_600_000) < 1)
    const startMs = sim.nowMs
    const took = async (host: typeof a): Promise<number> => {
      await new Promise<void>((resolve) => {
        host.node.spawn(async (self) => {
          await self.receive(undefined, { timeoutMs: 1000 }).catch(() => {})
          resolve()
        })
      })
      return sim.nowMs - startMs
    }
    const [fastMs, rightMs] = await Promise.all([took(a), took(b)])
    assert.ok(Math.abs(fastMs - 500) < 1, `${fastMs}`)
    assert.ok(Math.abs(rightMs - 1000) < 1, `${rightMs}`)
    assert.ok(Math.abs(a.clock.wallNow() - wallMs - 2000) < 1)
    assert.throws(
      () => a.skewClock({ rate: 0 }),
      (error: unknown) => isSkeinError(error, 'ERR_SKEIN_BAD_ARGUMENT'),
    )
  })
})

test('a failure has seed, log and cause', async () => {
  const cause = new Error('no money left')
  const failure = await failureOf(
    simulate({ nodes, seed: 42 }, async (sim) => {
      await sim.meshed()
      sim.note('all went well so far')
      sim.partition([sim.hosts.a])
      throw cause
    }),
  )
  assert.is(failure.code, 'ERR_SKEIN_SCENARIO_FAILED')
  assert.is(failure.seed, 42)
  assert.is(failure.cause, cause)
  assert.match(failure.message, /^seed 42, after \d+\.\d ms of virtual time: no money left/)
  for (const text of ['all went well so far', 'partition a | b,c', 'a: nodeup b@10.0.0.2']) {
    assert.ok(failure.message.includes(text), failure.message)
    assert.ok(failure.log.some((line) => line.includes(text)))
  }
})

test('always is asked after every event, atEnd in the end', async () => {
  let isBroken = false
  const failure = await failureOf(
    simulate({ nodes: ['a'] }, async (sim) => {
      sim.always('it is whole', () => !isBroken)
      await sim.sleep(100)
      isBroken = true
      await sim.sleep(100)
      isBroken = false
    }),
  )
  assert.match(failure.message, /seed 1, after 100\.0 ms of virtual time: does not hold: it is whole/)

  const late = simulate({ nodes: ['a'] }, async (sim) => {
    sim.atEnd('it is whole', () => {
      throw new Error('never')
    })
    await sim.sleep(5)
  })
  assert.match((await failureOf(late)).message, /after 5\.0 ms of virtual time: never/)
})

test('what never comes ends the run', async () => {
  const hangs = simulate({ nodes: ['a'], limitMs: 1000 }, () => new Promise<void>(() => {}))
  assert.match((await failureOf(hangs)).message, /has not ended within 1000 ms/)
  const waits = simulate({ nodes: ['a'] }, (sim) => sim.until('a miracle', () => false, { withinMs: 50 }))
  assert.match((await failureOf(waits)).message, /in vain for 50 ms: a miracle/)
})

test('a scenario that goes on after its failure has no effect', async () => {
  let wentOn = false
  await failureOf(
    simulate({ nodes }, async (sim) => {
      await sim.meshed()
      sim.always('not for long', () => sim.nowMs < 5000)
      await sim.sleep(4999)
      sim.hosts.b.crash()
      await sim.sleep(1).then(() => {
        wentOn = true
      })
      await sim.hosts.b.restart()
    }),
  )
  assert.not(wentOn)
})

test('time stands still outside', async () => {
  await simulate({ nodes: ['a'] }, async (sim) => {
    const beforeMs = sim.nowMs
    assert.is(await sim.outside(() => realSleep(20, 'read')), 'read')
    assert.is(sim.nowMs, beforeMs)
    assert.is(await codeOf(sim.outside(() => Promise.reject(new Error('no file')))), 'Error: no file')
  })
})

test.run()
