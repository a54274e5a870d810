/**
 * What one node may have here was given back when a process ended, though its function went on: whoever had processes
 * started and ended that do not heed their end used up what all need. And a share that is not given back on some path locks
 * an honest node out after days, so all paths are gone here many times.
 */
import * as assert from 'uvu/assert'
import type { Pid } from '../../src/pid.ts'
import type { Self } from '../../src/process/self.ts'
import { actor, brief, codeOf, pair } from '../src/process/process-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('shares that are given back')

const B = 'b@test'
const CYCLES = 50

test('an ended process whose function goes on counts until it returns', async (t) => {
  const net = pair(t, { limits: { processesOfNode: 2 } })
  const going: (() => void)[] = []
  net.b.processes.catalogue.add('heedless', () => new Promise<void>((resolve) => void going.push(resolve)))
  const ask = async (): Promise<Pid> => {
    const asked = net.a.processes.spawns.spawn(undefined, B, 'heedless')
    await net.flow()
    return asked
  }
  for (let i = 0; i < 2; i++) net.b.processes.exit(await ask(), 'kill')
  await net.flow()
  assert.is(net.b.processes.count, 0)
  assert.is(await codeOf(ask()), 'ERR_SKEIN_LIMIT')
  going[0]?.()
  await net.flow()
  net.b.processes.exit(await ask(), 'kill')
  assert.is(await codeOf(ask()), 'ERR_SKEIN_LIMIT')
  for (const stop of going) stop()
})

test('whatever ends a process, a link or a monitor, its place is free again', async (t) => {
  const net = pair(t, { limits: { processesOfNode: 1, linksOfNode: 1, monitorsOfNode: 1 } })
  net.b.processes.catalogue.add('child', async (self: Self<unknown>) => {
    for await (const message of self) if (message === 'end') return
  })
  net.b.processes.catalogue.add('brief', () => {})
  const local = await actor(net.b)
  const fresh = () => actor(net.a)
  const spawned = async (asked: Promise<Pid>): Promise<Pid> => {
    await net.flow()
    return asked
  }
  const paths: readonly (() => Promise<unknown>)[] = [
    async () => net.b.processes.exit(await spawned((await fresh()).self.spawnLinkOn(B, 'child')), 'kill'),
    async () => {
      const { self } = await fresh()
      const pid = await spawned(self.spawnLinkOn(B, 'child'))
      self.unlink(pid)
      self.send(pid, 'end')
    },
    async () => {
      const { self } = await fresh()
      const asked = self.spawnMonitorOn(B, 'child')
      await net.flow()
      const { pid, ref } = await asked
      self.demonitor(ref)
      self.exit(pid, 'over')
    },
    async () => {
      const { self } = await fresh()
      await spawned(self.spawnLinkOn(B, 'child'))
      net.a.processes.exit(self.pid, 'kill')
    },
    async () => {
      const { self } = await fresh()
      await spawned(self.spawnLinkOn(B, 'child'))
      net.cut()
      net.reconnect()
    },
    () => spawned(net.a.processes.spawns.spawn(undefined, B, 'brief')),
    async () => {
      const { self } = await fresh()
      self.link(local.self.pid)
      await net.flow()
      self.unlink(local.self.pid)
    },
    async () => {
      const { self } = await fresh()
      self.link(local.self.pid)
      await net.flow()
      local.self.unlink(self.pid)
    },
    async () => {
      const { self } = await fresh()
      self.link(local.self.pid)
      self.monitor(local.self.pid)
      await net.flow()
      net.a.processes.exit(self.pid, 'kill')
    },
    async () => {
      const { self } = await fresh()
      self.demonitor(self.monitor(local.self.pid))
      await net.flow()
      self.monitor(local.self.pid)
      await net.flow()
      net.cut()
      net.reconnect()
    },
    async () => {
      const [{ self }, other] = [await fresh(), await actor(net.b)]
      self.link(other.self.pid)
      self.monitor(other.self.pid)
      await net.flow()
      net.b.processes.exit(other.self.pid, 'kill')
    },
  ]
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    for (const path of paths) {
      await path()
      await net.flow()
    }
  }
  const last = await fresh()
  const asked = last.self.spawnLinkOn(B, 'child')
  await net.flow()
  last.self.unlink(await asked)
  await net.flow()
  last.self.link(local.self.pid)
  last.self.monitor(local.self.pid)
  await net.flow()
  assert.equal(last.log.map(brief), [], 'all are to be had')
  const another = await fresh()
  another.self.link(local.self.pid)
  another.self.monitor(local.self.pid)
  await net.flow()
  assert.equal(another.log.map(brief).toSorted(), ['DOWN system_limit', 'EXIT system_limit'], 'and one of each')
  assert.is(
    await codeOf(
      (async () => {
        const more = another.self.spawnOn(B, 'child')
        await net.flow()
        return more
      })(),
    ),
    'ERR_SKEIN_LIMIT',
  )
})

test.run()
