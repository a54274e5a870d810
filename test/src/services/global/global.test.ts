import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../../certs/errors.ts'
import { Fence, type GlobalEvent, type NodeEvent, type Pid, type SkeinNode } from '../../../../src/index.ts'
import { simulate } from '../../../../src/testing/index.ts'
import { suite } from '../../../support/suite.ts'
import { waiter } from '../support.ts'

const test = suite('global names')

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'done',
    (error: unknown) => (isSkeinError(error) ? error.code : String(error)),
  )

const nodesOf = (sim: { hosts: Readonly<Record<string, { node: SkeinNode }>> }): SkeinNode[] =>
  Object.values(sim.hosts).map(({ node }) => node)

const everywhere = (nodes: readonly SkeinNode[], name: string, pid: Pid | undefined): boolean =>
  nodes.every((node) =>
    pid === undefined ? node.global.whereis(name) === undefined : pid.equals(node.global.whereis(name)),
  )

/** Collects from now on. */
const collect = <T>(events: AsyncIterable<T>): T[] => {
  const seen: T[] = []
  void (async () => {
    for await (const event of events) seen.push(event)
  })()
  return seen
}

test('a name is seen by all, and goes with unregister', async () => {
  await simulate({ nodes: ['a', 'b', 'c'] }, async (sim) => {
    await sim.meshed()
    const nodes = nodesOf(sim)
    const [a, b] = nodes as [SkeinNode, SkeinNode]
    const pid = waiter(a)
    const seen = collect(b.global.watch())
    const { token } = await a.global.register('x', pid)
    assert.ok(pid.equals(a.global.whereis('x')))
    await sim.until('all see it', () => everywhere(nodes, 'x', pid), { withinMs: 100 })
    for (const node of nodes) {
      assert.is(node.global.token('x'), token)
      assert.equal(node.global.names(), ['x'])
      const { registeredAt, ...info } = node.global.info('x') ?? { registeredAt: 0 }
      assert.equal(info, { name: 'x', pid, token, claims: 1 })
      assert.ok(Math.abs(registeredAt - sim.hosts.a.clock.wallNow()) < 1000)
    }
    assert.equal(a.global.names({ own: true }), ['x'])
    assert.equal(b.global.names({ own: true }), [])
    assert.is(await codeOf(b.global.unregister('x')), 'ERR_SKEIN_NOT_OWNER')
    assert.is(await codeOf(b.global.transfer('x', waiter(b))), 'ERR_SKEIN_NOT_OWNER')
    await a.global.unregister('x')
    await sim.until('none sees it', () => everywhere(nodes, 'x', undefined), { withinMs: 100 })
    assert.is(await codeOf(a.global.unregister('x')), 'ERR_SKEIN_NOT_REGISTERED')
    assert.is(a.global.token('x'), undefined)
    assert.is(a.global.info('x'), undefined)
    assert.ok(await a.isProcessAlive(pid))
    assert.equal(seen satisfies (GlobalEvent | { type: 'lagged' })[], [
      { type: 'registered', name: 'x', pid, token },
      { type: 'unregistered', name: 'x', pid },
    ])
  })
})

test('visible everywhere within two round trips', async () => {
  await simulate({ nodes: ['a', 'b', 'c', 'd'] }, async (sim) => {
    await sim.meshed()
    sim.conditions({ delayMs: 25 })
    await sim.sleep(1000)
    const nodes = nodesOf(sim)
    const [a] = nodes as [SkeinNode]
    const pid = waiter(a)
    const startMs = sim.nowMs
    void a.global.register('x', pid)
    await sim.until('all see it', () => everywhere(nodes, 'x', pid))
    const tookMs = sim.nowMs - startMs
    assert.ok(tookMs >= 50 && tookMs <= 100, `${tookMs} ms`)
  })
})

test(
  'of five that register at once exactly one succeeds',
  async () => {
    await simulate({ nodes: ['a', 'b', 'c', 'd', 'e'], seed: 100, runs: 10 }, async (sim) => {
      sim.conditions({ jitterMs: 20 })
      const nodes = nodesOf(sim)
      await sim.meshed()
      for (const host of Object.values(sim.hosts)) host.skewClock({ wallOffsetMs: (sim.random.float() - 0.5) * 60_000 })
      const pids = nodes.map((node) => waiter(node))
      const registering = nodes.map(async (node, index) => {
        await sim.sleep(sim.random.float() * 30)
        return codeOf(node.global.register('x', pids[index] as Pid))
      })
      const outcomes = await Promise.all(registering)
      assert.equal(outcomes.filter((code) => code === 'done').length, 1, String(outcomes))
      assert.equal(outcomes.filter((code) => code === 'ERR_SKEIN_NAME_REGISTERED').length, 4, String(outcomes))
      const winner = pids[outcomes.indexOf('done')]
      await sim.sleep(500)
      assert.ok(everywhere(nodes, 'x', winner))
    })
  },
  { deadlineMs: 60_000 },
)

test(
  'two nodes that have just met do not both register a name',
  async () => {
    await simulate({ nodes: ['a', 'b'], seed: 200, runs: 10 }, async (sim) => {
      const { a, b } = sim.hosts
      await sim.until('they are connected', () => a.node.nodes().length === 1)
      const outcomes = await Promise.all([
        codeOf(a.node.global.register('x', waiter(a.node))),
        codeOf(b.node.global.register('x', waiter(b.node))),
      ])
      assert.equal(outcomes.sort(), ['ERR_SKEIN_NAME_REGISTERED', 'done'])
    })
  },
  { deadlineMs: 60_000 },
)

test('the end of a process frees its names, and a later registration has a greater token', async () => {
  await simulate({ nodes: ['a', 'b', 'c'] }, async (sim) => {
    await sim.meshed()
    const nodes = nodesOf(sim)
    const [a, b] = nodes as [SkeinNode, SkeinNode]
    // The next holder's calendar is behind.
    sim.hosts.b.skewClock({ wallOffsetMs: -3_600_000 })
    const pid = waiter(a)
    const first = await a.global.register('x', pid)
    await a.global.register('y', pid)
    a.exit(pid, 'kill')
    assert.is(a.global.whereis('x'), undefined)
    const next = waiter(b)
    // b's table has the dead one yet; a says that it has not.
    const second = await b.global.register('x', next)
    assert.ok(second.token > first.token)
    await sim.until('all agree', () => everywhere(nodes, 'x', next) && everywhere(nodes, 'y', undefined), {
      withinMs: 100,
    })
    const fence = new Fence()
    assert.ok(fence.admits(first.token))
    assert.ok(fence.admits(second.token))
    assert.not(fence.admits(first.token))
  })
})

test('the names of a node that is gone go, and its next incarnation can have them', async () => {
  await simulate({ nodes: ['a', 'b', 'c'] }, async (sim) => {
    await sim.meshed()
    const { a, b, c } = sim.hosts
    await b.node.global.register('x', waiter(b.node))
    b.crash()
    await sim.until('nobody has it', () => everywhere([a.node, c.node], 'x', undefined), { withinMs: 10_000 })
    await b.restart()
    await sim.meshed()
    const pid = waiter(b.node)
    await b.node.global.register('x', pid)
    await sim.until('all see it', () => everywhere([a.node, b.node, c.node], 'x', pid))
  })
})

test('a process of another node is registered there', async () => {
  await simulate({ nodes: ['a', 'b', 'c'] }, async (sim) => {
    await sim.meshed()
    const { a, b, c } = sim.hosts
    const pid = waiter(b.node)
    const { token } = await a.node.global.register('x', pid)
    await sim.until('all see it', () => everywhere([a.node, b.node, c.node], 'x', pid))
    assert.is(a.node.global.token('x'), token)
    assert.is(await codeOf(c.node.global.register('x', pid)), 'ERR_SKEIN_NAME_REGISTERED')
    const resolve = () => pid
    assert.is(await codeOf(a.node.global.register('z', pid, { resolve })), 'ERR_SKEIN_BAD_ARGUMENT')
    b.node.exit(pid, 'kill')
    await sim.sleep(50)
    assert.is(await codeOf(a.node.global.register('y', pid)), 'ERR_SKEIN_NOPROC')
    b.crash()
    await sim.until('nodedown', () => a.node.nodes().length === 1)
    assert.is(await codeOf(a.node.global.register('y', pid)), 'ERR_SKEIN_NOCONNECTION')
  })
})

test('what cannot be registered', async () => {
  await simulate({ nodes: ['a', 'b'] }, async (sim) => {
    await sim.meshed()
    const { node } = sim.hosts.a
    const pid = waiter(node)
    for (const name of ['', 'x'.repeat(256), 'a\tb', 7 as unknown as string]) {
      assert.is(await codeOf(node.global.register(name, pid)), 'ERR_SKEIN_BAD_NAME')
    }
    const dead = waiter(node)
    node.exit(dead, 'kill')
    assert.is(await codeOf(node.global.register('x', dead)), 'ERR_SKEIN_NOPROC')
    // It ends while the others are asked.
    const dying = waiter(node)
    const registering = codeOf(node.global.register('x', dying))
    node.exit(dying, 'kill')
    assert.is(await registering, 'ERR_SKEIN_NOPROC')
    assert.is(node.global.whereis('x'), undefined)
    for (let i = 0; i < 4096; i++) await node.global.register(`n${i}`, pid)
    assert.is(await codeOf(node.global.register('one more', pid)), 'ERR_SKEIN_LIMIT')
    assert.is(await codeOf(node.global.register('n1', waiter(node))), 'ERR_SKEIN_NAME_REGISTERED')
  })
})

test('a node that does not answer for long is a coded error; one that is gone is not', async () => {
  await simulate({ nodes: ['a', 'b', 'c'], liveness: { tickIntervalMs: 10_000, downAfterMs: 40_000 } }, async (sim) => {
    await sim.meshed()
    const { a, b, c } = sim.hosts
    await sim.sleep(100)
    b.pause()
    assert.is(await codeOf(a.node.global.register('x', waiter(a.node))), 'ERR_SKEIN_GLOBAL_TIMEOUT')
    assert.is(a.node.global.whereis('x'), undefined)
    const registering = codeOf(a.node.global.register('x', waiter(a.node)))
    await sim.sleep(100)
    await a.node.disconnect(b.node.name)
    assert.is(await registering, 'done')
    b.resume()
    c.crash()
  })
})

test(
  'a name is handed over, and never found with nobody',
  async () => {
    await simulate({ nodes: ['a', 'b', 'c', 'd'], seed: 300, runs: 10 }, async (sim) => {
      sim.conditions({ jitterMs: 30 })
      await sim.meshed()
      const nodes = nodesOf(sim)
      const [a, b, c] = nodes as [SkeinNode, SkeinNode, SkeinNode]
      const [one, two, three] = [waiter(a), waiter(a), waiter(b)] as [Pid, Pid, Pid]
      const tokens = [(await a.global.register('x', one)).token]
      await sim.until('all see it', () => everywhere(nodes, 'x', one))
      sim.always('somebody has it', () => nodes.every((node) => node.global.whereis('x') !== undefined))
      const seen = collect(c.global.watch())
      tokens.push((await a.global.transfer('x', two)).token)
      // Others who want it meanwhile do not get it.
      const [moved, wanted] = await Promise.all([
        a.global.transfer('x', three),
        codeOf(c.global.register('x', waiter(c))),
        codeOf(a.global.transfer('x', one)),
      ])
      assert.is(wanted, 'ERR_SKEIN_NAME_REGISTERED')
      tokens.push(moved.token)
      await sim.sleep(500)
      assert.ok(everywhere(nodes, 'x', three))
      assert.equal([...tokens].sort(), tokens)
      assert.is(c.global.token('x'), tokens[2])
      assert.equal(
        seen.map((event) => event.type),
        ['moved', 'moved'],
      )
      // It belongs to the other node in every respect now.
      a.exit(one, 'kill')
      a.exit(two, 'kill')
      await sim.sleep(100)
      assert.is(await codeOf(a.global.transfer('x', three)), 'ERR_SKEIN_NOT_OWNER')
      tokens.push((await b.global.transfer('x', waiter(a))).token)
      assert.equal([...tokens].sort(), tokens)
    })
  },
  { deadlineMs: 60_000 },
)

test('a handover that fails leaves the name where it was', async () => {
  await simulate({ nodes: ['a', 'b', 'c'] }, async (sim) => {
    await sim.meshed()
    const { a, b, c } = sim.hosts
    const nodes = [a.node, b.node, c.node]
    const pid = waiter(a.node)
    const { token } = await a.node.global.register('x', pid)
    const dead = waiter(b.node)
    b.node.exit(dead, 'kill')
    assert.is(await codeOf(a.node.global.transfer('x', dead)), 'ERR_SKEIN_NOPROC')
    const dying = waiter(b.node)
    const giving = codeOf(a.node.global.transfer('x', dying))
    await sim.sleep(3)
    b.node.exit(dying, 'kill')
    assert.is(await giving, 'ERR_SKEIN_NOPROC')
    b.pause()
    const lost = codeOf(a.node.global.transfer('x', waiter(b.node)))
    assert.is(await lost, 'ERR_SKEIN_NOCONNECTION')
    b.resume()
    await sim.meshed()
    await sim.sleep(2000)
    assert.ok(everywhere(nodes, 'x', pid))
    // Greater, because b was away: it may have known of another.
    assert.ok((c.node.global.token('x') ?? '') > token)
    await a.node.global.unregister('x')
    await sim.sleep(100)
    assert.ok(everywhere(nodes, 'x', undefined))
  })
})

test('after a partition the older registration wins; the loser is told, the winner has a greater token', async () => {
  await simulate({ nodes: ['a', 'b', 'c', 'd'] }, async (sim) => {
    await sim.meshed()
    const { a, b, c, d } = sim.hosts
    const nodes = nodesOf(sim)
    const events = new Map<string, NodeEvent[]>(nodes.map((node) => [node.name, collect(node.events)]))
    sim.partition([a, b])
    await sim.until('they part', () => nodes.every((node) => node.nodes().length === 1))
    const told: unknown[] = []
    const winner = waiter(c.node)
    const older = await c.node.global.register('x', winner)
    await sim.sleep(100)
    const loser = waiter(a.node, told)
    const younger = await a.node.global.register('x', loser)
    const other = waiter(b.node)
    await b.node.global.register('y', other)
    assert.ok(younger.token > older.token)
    await sim.sleep(100)
    assert.ok(everywhere([a.node, b.node], 'x', loser))
    assert.ok(everywhere([c.node, d.node], 'x', winner))
    const seen = collect(c.node.global.watch())
    sim.heal()
    await sim.meshed()
    await sim.sleep(1000)
    assert.ok(everywhere(nodes, 'x', winner))
    assert.ok(everywhere(nodes, 'y', other))
    const token = d.node.global.token('x') ?? ''
    assert.ok(token > younger.token)
    assert.ok(nodes.every((node) => node.global.token('x') === token))
    assert.is(told.length, 1)
    const [{ type, reason }] = told as [{ type: string; reason: unknown }]
    assert.is(type, 'EXIT')
    assert.ok(isSkeinError(reason, 'ERR_SKEIN_NAME_CONFLICT'))
    assert.ok(await a.node.isProcessAlive(loser))
    for (const host of [a, c]) {
      const conflicts = events.get(host.node.name)?.filter((event) => event.type === 'globalConflict')
      assert.equal(conflicts, [{ type: 'globalConflict', name: 'x', winner, loser }])
    }
    for (const host of [b, d]) {
      assert.not(events.get(host.node.name)?.some((event) => event.type === 'globalConflict'))
    }
    assert.ok(seen.some((event) => event.type === 'renewed' && event.token === token))
  })
})

test('a loser that does not trap exits ends with that reason', async () => {
  await simulate({ nodes: ['a', 'b'] }, async (sim) => {
    await sim.meshed()
    const { a, b } = sim.hosts
    sim.partition([a])
    await sim.until('they part', () => a.node.nodes().length + b.node.nodes().length === 0)
    await a.node.global.register('x', waiter(a.node))
    await sim.sleep(10)
    const loser = waiter(b.node)
    const downs: unknown[] = []
    b.node.spawn(async (self) => {
      self.monitor(loser)
      for await (const message of self) downs.push(message)
    })
    await b.node.global.register('x', loser)
    sim.heal()
    await sim.until('it ends', () => downs.length > 0)
    assert.ok(isSkeinError((downs[0] as { reason: unknown }).reason, 'ERR_SKEIN_NAME_CONFLICT'))
  })
})

const CALLBACKS: Readonly<
  Record<string, { winner: 'older' | 'younger'; decide: (a: Pid, b: Pid) => Pid | Promise<Pid> }>
> = {
  'that wants the younger': { winner: 'younger', decide: (_a, b) => b },
  'that takes its time': { winner: 'younger', decide: async (_a, b) => b },
  'that wants the older': { winner: 'older', decide: (a) => a },
  'that throws': {
    winner: 'older',
    decide: () => {
      throw new Error('no idea')
    },
  },
  'that hangs': { winner: 'older', decide: () => new Promise(() => {}) },
  'that gives nonsense': { winner: 'older', decide: () => 'nobody' as unknown as Pid },
}

for (const [what, { winner, decide }] of Object.entries(CALLBACKS)) {
  test(`a conflict is resolved by a callback ${what}`, async () => {
    for (const seed of [1, 2]) {
      await simulate({ nodes: ['a', 'b', 'c'], seed }, async (sim) => {
        await sim.meshed()
        const { a, b } = sim.hosts
        const nodes = nodesOf(sim)
        sim.partition([a], [b, sim.hosts.c])
        await sim.until('they part', () => a.node.nodes().length === 0 && b.node.nodes().length === 1)
        const asked: string[] = []
        const resolve = (name: string, one: { pid: Pid }, two: { pid: Pid }): Pid | Promise<Pid> => {
          asked.push(`${name} ${one.pid.node[0]} ${two.pid.node[0]}`)
          return decide(one.pid, two.pid)
        }
        const older = waiter(b.node)
        await b.node.global.register('x', older, { resolve })
        await sim.sleep(100)
        const younger = waiter(a.node)
        await a.node.global.register('x', younger, { resolve })
        sim.heal()
        await sim.until('all agree', () => everywhere(nodes, 'x', winner === 'older' ? older : younger))
        await sim.until('no conflict is left', () => nodes.every((node) => node.global.info('x')?.claims === 1))
        await sim.sleep(20_000)
        assert.ok(everywhere(nodes, 'x', winner === 'older' ? older : younger))
        assert.equal(asked, ['x b a'])
        assert.is(await a.node.isProcessAlive(younger), winner === 'younger')
        assert.is(await b.node.isProcessAlive(older), winner === 'older')
      })
    }
  })
}

test('with one callback missing the older registration wins', async () => {
  await simulate({ nodes: ['a', 'b'] }, async (sim) => {
    await sim.meshed()
    const { a, b } = sim.hosts
    sim.partition([a])
    await sim.until('they part', () => a.node.nodes().length + b.node.nodes().length === 0)
    const older = waiter(a.node)
    await a.node.global.register('x', older)
    await sim.sleep(10)
    const younger = waiter(b.node)
    await b.node.global.register('x', younger, { resolve: (_name, _a, { pid }) => pid })
    sim.heal()
    await sim.until('it is decided', () => everywhere(nodesOf(sim), 'x', older))
  })
})

test('hidden nodes take no part, and a stopped node registers nothing', async () => {
  await simulate({ nodes: ['a', 'b'] }, async (sim) => {
    await sim.meshed()
    const { a, b } = sim.hosts
    const pid = waiter(a.node)
    b.pause()
    const registering = codeOf(a.node.global.register('x', pid))
    const ended = collect(a.node.global.watch())
    void ended
    await a.node.stop()
    assert.ok(['ERR_SKEIN_STOPPED', 'done'].includes(await registering))
    assert.is(await codeOf(a.node.global.register('y', pid)), 'ERR_SKEIN_NOPROC')
    b.resume()
  })
})

test.run()
