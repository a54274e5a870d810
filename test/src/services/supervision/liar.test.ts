/** A member that does not keep to the rules: it speaks over the channel of its own service, as any program on it could. */
import * as assert from 'uvu/assert'
import type { AllowRule, NodeEvent } from '../../../../src/index.ts'
import { Origin } from '../../../../src/pid.ts'
import { Channel, type ChannelPeer } from '../../../../src/services/channel.ts'
import { MAX_CLOCK_AHEAD_MS } from '../../../../src/services/global/stamp.ts'
import { keepSpec } from '../../../../src/services/supervision/child-spec.ts'
import { MessageCodec } from '../../../../src/wire/codec.ts'
import { suite } from '../../../support/suite.ts'
import { type Name, NODES, type Stage, stage } from './stage.ts'

const test = suite('distributed supervisors and a liar')

/** Channels of supervision, as they speak. */
const channels = new Set<Channel>()
const { send } = Channel.prototype
Channel.prototype.send = function (this: Channel, peer: ChannelPeer, message: unknown) {
  channels.add(this)
  return send.call(this, peer, message)
}
const { offer } = Channel.prototype
Channel.prototype.offer = function (this: Channel, peer: ChannelPeer, message: unknown) {
  if (this.service === 'skein.supervision') channels.add(this)
  return offer.call(this, peer, message)
}

interface Scene extends Stage {
  /** The liar is none of them. */
  readonly leader: Name
  readonly other: Name
  /** An entry on the liar's board, told to all. */
  board(key: string, value: unknown): void
  /** A message of the liar, to all. */
  say(message: unknown): void
  readonly events: NodeEvent[]
}

const scene = (title: string, allow: readonly AllowRule[], play: (scene: Scene) => Promise<void>): void =>
  test(title, () => {
    channels.clear()
    return stage({ children: [], allow }, async (all) => {
      const { sim, supervisors } = all
      await sim.sleep(1000)
      const leader = NODES.find((name) => supervisors[name].isLeader) as Name
      const [liar, other] = NODES.filter((name) => name !== leader) as [Name, Name]
      const own = sim.hosts[liar].node.name
      const channel = [...channels].find(
        (each) => each.service === 'skein.supervision' && each.peers().every(({ node }) => node !== own),
      )
      if (channel === undefined) throw new Error('The liar has no channel.')
      const events: NodeEvent[] = []
      void (async () => {
        for await (const event of sim.hosts[leader].node.events) events.push(event)
      })()
      const say = (message: unknown): void => {
        for (const peer of channel.peers()) channel.send(peer, message)
      }
      let number = 0
      const board = (key: string, value: unknown): void => {
        say({ type: 'board', number: number++, put: [[key, value]], removed: [], complete: true })
      }
      await play({ ...all, leader, other, board, say, events })
    })
  })

const specOf = (behaviour: string) =>
  keepSpec({ id: 'x', behaviour }, new MessageCodec({ local: new Origin('z@z', 'z'.repeat(32), '0'.repeat(16)) })).spec

scene('no number of a plan is so great that honest changes are not heard after it', [], async (all) => {
  const { sim, supervisors, leader, other, board, events } = all
  const { clock } = sim.hosts[leader]
  const entry = { wanted: 'deleted', by: 'z' }
  board('plan sup/lie', { ...entry, number: 2 ** 53 - 1 })
  await sim.sleep(100)
  assert.ok(events.some((event) => event.type === 'memberRefused' && event.service === 'skein.supervision'))
  board('plan sup/lie', { ...entry, number: 2 ** 40 })
  board('plan sup/lie', { ...entry, number: Math.floor(clock.wallNow()) + MAX_CLOCK_AHEAD_MS })
  await sim.sleep(100)
  await supervisors[leader].startChild({ id: 'kept', behaviour: 'counter' })
  await supervisors[leader].startChild({ id: 'lie', behaviour: 'counter' })
  await sim.sleep(100)
  sim.hosts[leader].crash()
  await sim.until(
    'another one leads',
    () => supervisors[other].isLeader || NODES.some((name) => supervisors[name].isLeader && name !== leader),
  )
  const infos = await supervisors[other].whichChildren()
  assert.equal(infos.map(({ id }) => id).sort(), ['kept', 'lie'])
})

const forbidden: readonly AllowRule[] = [{ nodes: '*', spawn: ['harmless'] }]
scene('who may not start something does not have it started by means of a plan', forbidden, async (all) => {
  const { sim, runs, board, events } = all
  board('plan sup/evil', { wanted: 'running', spec: specOf('counter'), number: 7, by: 'z' })
  await sim.sleep(10_000)
  assert.is(runs.all.length, 0)
  assert.ok(events.some((event) => event.type === 'memberRefused' && event.code === 'ERR_SKEIN_FORBIDDEN'))
})

scene('who gives orders and never led is refused, and told of', [], async ({ sim, say, events }) => {
  say({ type: 'stop', supervisor: 'sup', id: 'x', run: '1', handOver: false })
  await sim.sleep(5000)
  assert.ok(events.some((event) => event.type === 'forbidden' && event.attempt === 'supervise'))
  assert.ok(events.some((event) => event.type === 'memberRefused' && event.code === 'ERR_SKEIN_FORBIDDEN'))
})

test.run()
