/** Global names over nodes in processes of their own, on real QUIC: one holder, unregister, kill -9 of the owner, handover. */
import { setTimeout as pause } from 'node:timers/promises'
import * as assert from 'uvu/assert'
import { Fence, type Pid } from '../../src/index.ts'
import { NodeProcess, RemoteFailure } from '../support/node-process.ts'
import { suite, type TestContext } from '../support/suite.ts'

const test = suite('global names between processes')

/** Silence of a killed node is noticed within a few seconds; the rest is for a busy machine. */
const PATIENCE_MS = 40_000

const agree = async (nodes: readonly NodeProcess[], name: string, pid: Pid | undefined): Promise<void> => {
  for (const node of nodes) {
    for (const endMs = performance.now() + PATIENCE_MS; ; await pause(20)) {
      const seen = (await node.do('global', 'whereis', name)) as Pid | undefined
      if (seen?.key === pid?.key) break
      if (performance.now() > endMs) assert.is(`${seen}`, `${pid}`, `${node.name} sees another as ${name}`)
    }
  }
}

const three = async (t: TestContext): Promise<readonly [NodeProcess, NodeProcess, NodeProcess]> => {
  const a = await NodeProcess.start(t, { name: 'a' })
  const [b, c] = await Promise.all(['b', 'c'].map((name) => NodeProcess.start(t, { name, seeds: [a.address] })))
  assert.ok(b && c)
  await Promise.all([b.up(c.name), c.up(b.name), a.up(b.name), a.up(c.name)])
  return [a, b, c]
}

const register = async (node: NodeProcess, name: string, pid: Pid): Promise<string> => {
  const { token } = (await node.do('global', 'register', name, pid)) as { token: string }
  return token
}

/** The code with which it fails, or what it gives. */
const outcome = (promise: Promise<unknown>): Promise<unknown> =>
  promise.catch((error: unknown) => (error instanceof RemoteFailure ? error.code : error))

test(
  'one of three that want a name gets it; it is free again when its node is killed',
  async (t) => {
    const nodes = await three(t)
    const [a, b, c] = nodes
    const puppets = await Promise.all(nodes.map((node, i) => node.puppet(`p${i}`)))
    const outcomes = await Promise.all(nodes.map((node, i) => outcome(register(node, 'x', puppets[i]!.pid))))
    assert.is(outcomes.filter((each) => each === 'ERR_SKEIN_NAME_REGISTERED').length, 2, String(outcomes))
    const winner = outcomes.findIndex((each) => each !== 'ERR_SKEIN_NAME_REGISTERED')
    await agree(nodes, 'x', puppets[winner]!.pid)
    const fence = new Fence()
    assert.ok(fence.admits(outcomes[winner] as string))

    // The owner shall not be the one that the others found first.
    const owner = await c.puppet('owner')
    const first = await register(b, 'y', owner.pid)
    await agree(nodes, 'y', owner.pid)
    await c.kill()
    await agree([a, b], 'y', undefined)
    const next = await b.puppet('next')
    const second = await register(a, 'y', next.pid)
    assert.ok(second > first)
    await agree([a, b], 'y', next.pid)

    // A node that comes back learns it, and does not get it.
    const again = await NodeProcess.start(t, { name: 'c', seeds: [a.address] })
    await Promise.all([again.up(b.name), again.up(a.name)])
    await agree([again], 'y', next.pid)
    const third = await again.puppet('third')
    assert.is(await outcome(register(again, 'y', third.pid)), 'ERR_SKEIN_NAME_REGISTERED')
  },
  { deadlineMs: 150_000 },
)

test(
  'unregister and handover are seen by all, and so is the end of a process',
  async (t) => {
    const nodes = await three(t)
    const [a, b, c] = nodes
    const [one, two] = await Promise.all([a.puppet('one'), b.puppet('two')])
    const first = await register(a, 'x', one.pid)
    await agree(nodes, 'x', one.pid)
    assert.is(await outcome(b.do('global', 'unregister', 'x')), 'ERR_SKEIN_NOT_OWNER')
    const { token } = (await a.do('global', 'transfer', 'x', two.pid)) as { token: string }
    assert.ok(token > first)
    await agree(nodes, 'x', two.pid)
    assert.is(await c.do('global', 'token', 'x'), token)
    await b.do('global', 'unregister', 'x')
    await agree(nodes, 'x', undefined)
    await register(c, 'x', one.pid)
    await agree(nodes, 'x', one.pid)
    await a.do('exit', one.pid, 'kill')
    await agree(nodes, 'x', undefined)
    assert.is(await outcome(register(c, 'x', one.pid)), 'ERR_SKEIN_NOPROC')
  },
  { deadlineMs: 90_000 },
)

test.run()
