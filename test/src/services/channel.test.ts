import * as assert from 'uvu/assert'
import { SkeinError } from '../../../certs/errors.ts'
import type { Self } from '../../../src/index.ts'
import { simulate } from '../../../src/testing/index.ts'
import { suite } from '../../support/suite.ts'
import { Ear } from './support.ts'

const test = suite('channel')

const SERVICE = 'skein.test'

test('peers find each other, and hear each other in order', async () => {
  const ears = new Map<string, Ear>()
  const boot = (node: ConstructorParameters<typeof Ear>[0], { name }: { name: string }): void =>
    void ears.set(name, new Ear(node, SERVICE))
  await simulate({ nodes: ['a', 'b', 'c'], boot }, async (sim) => {
    await sim.meshed()
    const [a, b, c] = ['a', 'b', 'c'].map((name) => ears.get(name) as Ear) as [Ear, Ear, Ear]
    await sim.until('three times two peers', () => [a, b, c].every((ear) => ear.channel.peers().length === 2))
    for (let i = 0; i < 3; i++) assert.is(a.channel.send(a.peer('b'), i), 'sent')
    assert.equal(
      a.channel.broadcast('all').map(({ node }) => node[0]),
      ['b', 'c'],
    )
    await sim.sleep(50)
    assert.equal(b.log.slice(-4), ['a: 0', 'a: 1', 'a: 2', 'a: "all"'])
    assert.is(c.log.at(-1), 'a: "all"')
    const { id, incarnation } = sim.hosts.b.node
    assert.is(a.peer('b').id, id)
    assert.is(a.peer('b').incarnation, incarnation)
    assert.is(a.channel.peerOn(sim.hosts.b.node.name), a.peer('b'))
  })
})

test('a peer goes with its connection and comes back as another one', async () => {
  const ears = new Map<string, Ear>()
  const boot = (node: ConstructorParameters<typeof Ear>[0], { name }: { name: string }): void =>
    void ears.set(name, new Ear(node, SERVICE))
  await simulate({ nodes: ['a', 'b'], boot }, async (sim) => {
    const a = ears.get('a') as Ear
    await sim.until('peers', () => a.channel.peers().length === 1)
    const first = a.peer('b')
    sim.partition([sim.hosts.a])
    await sim.until('alone', () => a.channel.peers().length === 0)
    assert.not(a.channel.has(first))
    assert.is(a.channel.send(first, 'too late'), 'refused')
    await a.channel.drained(first)
    sim.heal()
    await sim.until('peers again', () => a.channel.peers().length === 1)
    assert.is.not(a.peer('b'), first)
    sim.hosts.b.crash()
    await sim.until('alone again', () => a.channel.peers().length === 0)
    await sim.hosts.b.restart()
    await sim.until('its next incarnation', () => a.channel.peers().length === 1)
    assert.is.not(a.peer('b').incarnation, first.incarnation)
    assert.equal(a.log, ['up b', 'down b', 'up b', 'down b', 'up b'])
  })
})

test(
  'whatever happens, nothing comes before up or after down, and up and down alternate',
  async () => {
    const ears: { name: string; ear: Ear }[] = []
    const boot = (node: ConstructorParameters<typeof Ear>[0], { name }: { name: string }): void => {
      ears.push({ name, ear: new Ear(node, SERVICE) })
    }
    await simulate({ nodes: ['a', 'b', 'c'], boot, seed: 50, runs: 20 }, async (sim) => {
      ears.splice(0, ears.length - 3)
      const hosts = Object.values(sim.hosts)
      for (let i = 0; i < 40; i++) {
        const host = hosts[Math.floor(sim.random.float() * 3)] ?? sim.hosts.a
        const chance = sim.random.float()
        if (chance < 0.2) sim.partition([host])
        else if (chance < 0.4) sim.heal()
        else if (chance < 0.5 && host.state === 'running') host.pause()
        else if (chance < 0.6 && host.state === 'paused') host.resume()
        else if (chance < 0.65 && host.state === 'running') host.crash()
        else if (chance < 0.75 && !host.isUp) await host.restart()
        for (const { ear } of ears) ear.channel.broadcast(i)
        await sim.sleep(sim.random.float() * 2000)
      }
      sim.heal()
      for (const host of hosts) {
        if (host.state === 'paused') host.resume()
        if (!host.isUp) await host.restart()
      }
      await sim.meshed()
      const last = hosts.map(({ name }) => ears.filter((each) => each.name === name).at(-1)?.ear as Ear)
      await sim.until('all peers', () => last.every((ear) => ear.channel.peers().length === 2))
      for (const ear of last) ear.channel.broadcast('end')
      await sim.sleep(1000)
      for (const { ear } of ears) {
        assert.equal(ear.defects, [])
        for (const peer of ['a', 'b', 'c']) {
          let isUp = false
          let before = -1
          for (const line of ear.log) {
            if (line === `up ${peer}`) {
              assert.not(isUp, ear.log.join('\n'))
              isUp = true
            } else if (line === `down ${peer}`) {
              assert.ok(isUp, ear.log.join('\n'))
              isUp = false
              before = -1
            } else if (line.startsWith(`${peer}: `) && !line.includes('"end"')) {
              assert.ok(isUp, ear.log.join('\n'))
              const number = Number(line.slice(3))
              assert.ok(number > before, ear.log.join('\n'))
              before = number
            }
          }
        }
      }
      for (const ear of last) assert.is(ear.log.filter((line) => line.includes('"end"')).length, 2)
    })
  },
  { deadlineMs: 60_000 },
)

test('only the service itself speaks for its node, and only by casts', async () => {
  const ears = new Map<string, Ear>()
  const boot = (node: ConstructorParameters<typeof Ear>[0], { name }: { name: string }): void =>
    void ears.set(name, new Ear(node, SERVICE))
  await simulate({ nodes: ['a', 'b'], boot }, async (sim) => {
    const a = ears.get('a') as Ear
    await sim.until('peers', () => a.channel.peers().length === 1)
    const target = { name: SERVICE, node: sim.hosts.a.node.name }
    sim.hosts.b.node.spawn((self: Self) => {
      self.cast(target, 'a cast of another')
      self.send(target, { type: 'DOWN', ref: 1 })
      self.send(target, { type: 'nodedown', node: self.node })
      self.exit(a.peer('b').pid, 'kill')
      for (const pid of [a.peer('b').pid]) self.cast(pid, 'from within')
    })
    sim.hosts.b.node.cast(target, 'of the node')
    sim.hosts.a.node.cast(SERVICE, 'of its own node')
    await sim.sleep(100)
    assert.equal(a.log, ['up b'])
    assert.is(a.channel.peers().length, 1)
  })
})

test('what a handler throws costs one message, and is told once per peer and code', async () => {
  const ears = new Map<string, Ear>()
  const boot = (node: ConstructorParameters<typeof Ear>[0], { name }: { name: string }): void =>
    void ears.set(name, new Ear(node, SERVICE))
  await simulate({ nodes: ['a', 'b'], boot }, async (sim) => {
    const [a, b] = [ears.get('a') as Ear, ears.get('b') as Ear]
    await sim.until('peers', () => a.channel.peers().length === 1 && b.channel.peers().length === 1)
    a.onMessage = (_peer, message) => {
      if (message === 'bad') throw new SkeinError('ERR_SKEIN_PROTOCOL', 'Bad.')
      if (message === 'worse') throw new TypeError('worse')
    }
    for (const message of ['bad', 'good', 'bad', 'worse', 'fine']) b.channel.send(b.peer('a'), message)
    await sim.sleep(100)
    assert.equal(a.log.slice(1), ['b: "bad"', 'b: "good"', 'b: "bad"', 'b: "worse"', 'b: "fine"'])
    const { name: node } = sim.hosts.b.node
    assert.equal(a.refusals, [{ node, service: SERVICE, code: 'ERR_SKEIN_PROTOCOL', message: 'Bad.' }])
    assert.is(a.defects.length, 1)
  })
})

test.run()
