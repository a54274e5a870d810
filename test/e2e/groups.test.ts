/** Groups of processes over nodes in processes of their own, on real QUIC: kill -9, restarts, order, a stopped process. */
import { setTimeout as pause } from 'node:timers/promises'
import * as assert from 'uvu/assert'
import type { Pid } from '../../src/index.ts'
import { NodeProcess, type Puppet } from '../support/node-process.ts'
import { suite, type TestContext } from '../support/suite.ts'

const test = suite('groups between processes')

/** Silence of a killed node is noticed within a few seconds; the rest is for a busy machine. */
const PATIENCE_MS = 40_000

const membersOf = async (node: NodeProcess, group: string): Promise<string[]> =>
  ((await node.do('groups', 'members', group)) as Pid[]).map(({ key }) => key).sort()

const agree = async (nodes: readonly NodeProcess[], group: string, puppets: readonly Puppet[]): Promise<void> => {
  const wanted = puppets.map(({ pid }) => pid.key).sort()
  for (const node of nodes) {
    for (const endMs = performance.now() + PATIENCE_MS; ; await pause(20)) {
      const seen = await membersOf(node, group)
      if (seen.join() === wanted.join()) break
      if (performance.now() > endMs) assert.equal(seen, wanted, `${node.name} sees others in ${group}`)
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

const join = async (node: NodeProcess, group: string, name: string): Promise<Puppet> => {
  const puppet = await node.puppet(name)
  await node.do('groups', 'join', group, puppet.pid)
  return puppet
}

test(
  'all see who is there; who is killed with its node is gone, and comes back as another',
  async (t) => {
    const [a, b, c] = await three(t)
    const [one, two, three_] = await Promise.all([join(a, 'g', 'one'), join(b, 'g', 'two'), join(c, 'g', 'three')])
    await agree([a, b, c], 'g', [one, two, three_])
    await c.kill()
    await agree([a, b], 'g', [one, two])
    const again = await NodeProcess.start(t, { name: 'c', seeds: [a.address] })
    await agree([again], 'g', [one, two])
    const four = await join(again, 'g', 'four')
    await agree([a, b, again], 'g', [one, two, four])
    await a.do('exit', one.pid, 'kill')
    await agree([a, b, again], 'g', [two, four])
  },
  { deadlineMs: 120_000 },
)

test(
  'what is published and sent arrives in order at every member (G1)',
  async (t) => {
    const [a, b, c] = await three(t)
    const members = await Promise.all([
      join(a, 'g', 'one'),
      join(b, 'g', 'two'),
      join(c, 'g', 'three'),
      join(c, 'g', 'four'),
    ])
    await agree([a, b, c], 'g', members)
    const sender = await a.puppet('sender')
    const count = 60
    for (let i = 0; i < count; i++) {
      if (i % 2 === 0) await sender.publish('g', i)
      else await Promise.all(members.map(({ pid }) => sender.send(pid, i)))
    }
    for (const { mailbox } of members) {
      for (let i = 0; i < count; i++) assert.is((await mailbox.next()).value, i)
    }
  },
  { deadlineMs: 60_000 },
)

test(
  'large messages and small ones to many members',
  async (t) => {
    const [a, b, c] = await three(t)
    const members = await Promise.all([join(b, 'g', 'one'), join(b, 'g', 'two'), join(c, 'g', 'three')])
    await agree([a, b, c], 'g', members)
    const large = Buffer.alloc(3 << 20, 7)
    await a.do('groups', 'publish', 'g', large)
    await a.do('groups', 'publish', 'g', 'small')
    for (const { mailbox } of members) {
      const { value } = await mailbox.next()
      assert.ok(Buffer.isBuffer(value) && value.equals(large))
      assert.is((await mailbox.next()).value, 'small')
    }
  },
  { deadlineMs: 60_000 },
)

test.run()
