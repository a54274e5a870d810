/** Links: exit propagation, and the unlink protocol with every race written down as a sequence. */
import * as assert from 'uvu/assert'
import { Origin, Pid } from '../../../src/pid.ts'
import { suite } from '../../support/suite.ts'
import { actor, actors, brief, loneNode, pair, thrown, turns } from './process-support.ts'

const test = suite('links')

test('an abnormal end takes linked processes along, through any number of links', async (t) => {
  const node = loneNode(t)
  const chain = await actors(node, 2000, false)
  for (let i = 1; i < chain.length; i++) chain[i]?.self.link(chain[i - 1]!.self.pid)
  const watcher = await actor(node)
  watcher.self.link(chain.at(-1)!.self.pid)
  node.processes.exit(chain[0]!.self.pid, 'boom')
  // How many processes end in a turn depends on how fast the machine is.
  while (watcher.log.length === 0) await turns()
  assert.is(node.processes.list().length, 1)
  assert.equal(watcher.log.map(brief), ['EXIT boom'])
})

test('a normal end leaves linked processes alone, and those who trap are told', async (t) => {
  const node = loneNode(t)
  const [plain] = await actors(node, 1, false)
  const trapping = await actor(node)
  const short = node.processes.spawn(async (self) => {
    self.link(plain!.self.pid)
    self.link(trapping.self.pid)
  })
  await turns()
  assert.ok(node.processes.isAlive(plain!.self.pid))
  assert.equal(trapping.log, [{ type: 'EXIT', pid: short, reason: 'normal' }])
})

test('kill over a link is an ordinary reason: it can be trapped', async (t) => {
  const node = loneNode(t)
  const [one, plain] = await actors(node, 2, false)
  const trapping = await actor(node)
  one!.self.link(plain!.self.pid)
  one!.self.link(trapping.self.pid)
  assert.throws(() => one!.self.exit('kill'))
  await turns()
  assert.equal(trapping.log.map(brief), ['EXIT kill'])
  assert.not(node.processes.isAlive(plain!.self.pid))
})

test('linking is idempotent, symmetric, and to oneself nothing', async (t) => {
  const node = loneNode(t)
  const [one, two] = await actors(node, 2)
  one!.self.link(two!.self.pid)
  two!.self.link(one!.self.pid)
  one!.self.link(one!.self.pid)
  node.processes.exit(two!.self.pid, 'kill')
  await turns()
  assert.equal(one!.log.map(brief), ['EXIT killed'])
})

test('a link to the dead is answered with noproc', async (t) => {
  const node = loneNode(t)
  const trapping = await actor(node)
  const [plain, dead] = await actors(node, 2, false)
  node.processes.exit(dead!.self.pid, 'kill')
  trapping.self.link(dead!.self.pid)
  await turns()
  assert.equal(trapping.log, [{ type: 'EXIT', pid: dead!.self.pid, reason: 'noproc' }])
  plain!.self.link(dead!.self.pid)
  assert.not(node.processes.isAlive(plain!.self.pid))
})

test('after unlink no exit comes; one that came before stays', async (t) => {
  const node = loneNode(t)
  const [one, two, three] = await actors(node, 3)
  one!.self.link(two!.self.pid)
  one!.self.link(three!.self.pid)
  one!.self.unlink(two!.self.pid)
  node.processes.exit(two!.self.pid, 'kill')
  node.processes.exit(three!.self.pid, 'kill')
  one!.self.unlink(three!.self.pid)
  one!.self.unlink(three!.self.pid)
  await turns()
  assert.equal(one!.log, [{ type: 'EXIT', pid: three!.self.pid, reason: 'killed' }])
})

test('an end crosses to the other node with its reason', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const two = await actor(net.b, false)
  one.self.link(two.self.pid)
  await net.flow()
  const reason = new Error('broken')
  net.b.processes.exit(two.self.pid, reason)
  await net.flow()
  assert.equal(one.log, [{ type: 'EXIT', pid: two.self.pid, reason }])
})

test('a link made there works here', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const two = await actor(net.b)
  one.self.link(two.self.pid)
  await net.flow()
  net.a.processes.exit(one.self.pid, 'kill')
  await net.flow()
  assert.equal(two.log.map(brief), ['EXIT killed'])
})

test('a link to a dead process of another node: noproc, at a restarted node too', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  one.self.link(new Pid(net.b.origin, 77))
  await net.flow()
  assert.equal(one.log.map(brief), ['EXIT noproc'])
  assert.ok(net.toA.gone.includes(77), 'the lane made for the answer ends')
  one.self.link(new Pid(new Origin('b@test', net.b.origin.id, '00000000000000b2'), 1))
  one.self.link(new Pid(new Origin('c@test', 'id-c', '00000000000000c3'), 1))
  await turns()
  assert.equal(one.log.map(brief), ['EXIT noproc', 'EXIT noproc', 'EXIT noconnection'])
})

test('race: the exit is on its way when unlink is called', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const two = await actor(net.b)
  one.self.link(two.self.pid)
  await net.flow()
  net.b.processes.exit(two.self.pid, 'kill')
  assert.is(net.toA.waiting[0]?.type, 'linkExit')
  one.self.unlink(two.self.pid)
  await net.flow()
  assert.equal(one.log, [])
})

test('race: both unlink, the signals cross', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const two = await actor(net.b)
  one.self.link(two.self.pid)
  await net.flow()
  one.self.unlink(two.self.pid)
  two.self.unlink(one.self.pid)
  await net.flow()
  // Nothing is left behind: a new link works, in both directions.
  two.self.link(one.self.pid)
  await net.flow()
  net.a.processes.exit(one.self.pid, 'kill')
  await net.flow()
  assert.equal(two.log.map(brief), ['EXIT killed'])
})

test('race: unlink crosses a link of the other side, and neither keeps a link', async (t) => {
  for (const ending of ['process', 'connection']) {
    const net = pair(t)
    const one = await actor(net.a)
    const two = await actor(net.b)
    two.self.link(one.self.pid)
    one.self.link(two.self.pid)
    one.self.unlink(two.self.pid)
    await net.flow()
    if (ending === 'process') {
      net.b.processes.exit(two.self.pid, 'kill')
      net.a.processes.exit(one.self.pid, 'kill')
      await net.flow()
    } else {
      net.cut()
      await turns()
    }
    assert.equal([one.log, two.log], [[], []])
  }
})

test('race: both unlink, and one links again before it hears of that; neither keeps a link', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const two = await actor(net.b)
  one.self.link(two.self.pid)
  await net.flow()
  one.self.unlink(two.self.pid)
  two.self.unlink(one.self.pid)
  two.self.link(one.self.pid)
  net.flowToA()
  await net.flow()
  net.cut()
  await turns()
  assert.equal([one.log, two.log], [[], []])
})

test('race: linked again before the acknowledgement; the new link holds on both sides', async (t) => {
  const net = pair(t)
  for (const ending of ['a', 'b'] as const) {
    const one = await actor(net.a)
    const two = await actor(net.b)
    one.self.link(two.self.pid)
    await net.flow()
    one.self.unlink(two.self.pid)
    one.self.link(two.self.pid)
    await net.flow()
    const [dying, living] = ending === 'a' ? [one, two] : [two, one]
    ;(ending === 'a' ? net.a : net.b).processes.exit(dying.self.pid, 'kill')
    await net.flow()
    assert.equal(living.log.map(brief), ['EXIT killed'])
  }
})

test('race: the acknowledgement of the first unlink does not end the second', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const two = await actor(net.b)
  one.self.link(two.self.pid)
  await net.flow()
  one.self.unlink(two.self.pid)
  one.self.link(two.self.pid)
  one.self.unlink(two.self.pid)
  net.flowToB(2)
  net.b.processes.exit(two.self.pid, 'kill')
  assert.equal(
    net.toA.waiting.map(({ type }) => type),
    ['unlinkAck', 'linkExit'],
  )
  net.flowToA()
  await turns()
  assert.equal(one.log, [])
  await net.flow()
  assert.equal(one.log, [])
})

test('an unlink that finds its process dead is acknowledged', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const two = await actor(net.b)
  one.self.link(two.self.pid)
  await net.flow()
  one.self.unlink(two.self.pid)
  net.b.processes.exit(two.self.pid, 'kill')
  net.toA.waiting.length = 0
  net.flowToB()
  assert.equal(net.toA.waiting, [{ type: 'unlinkAck', from: two.self.pid.number, to: one.self.pid.number, id: 1 }])
})

test('a lost connection ends every link over it once, and nothing of it comes later', async (t) => {
  const net = pair(t)
  const [one, plain, unlinked] = await actors(net.a, 3)
  plain!.self.trapExit = false
  const two = await actor(net.b)
  for (const { self } of [one!, plain!, unlinked!]) self.link(two.self.pid)
  await net.flow()
  unlinked!.self.unlink(two.self.pid)
  net.b.processes.exit(two.self.pid, 'late')
  const held = [...net.toA.waiting]
  const dead = net.toB
  net.cut()
  net.a.processes.routeDown(dead)
  for (const signal of held) net.a.processes.deliver(dead, signal)
  await turns()
  assert.equal(one!.log, [{ type: 'EXIT', pid: two.self.pid, reason: 'noconnection' }])
  assert.not(net.a.processes.isAlive(plain!.self.pid))
  assert.equal(unlinked!.log, [])
})

test('a new connection between the same incarnations starts without links', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const two = await actor(net.b)
  one.self.link(two.self.pid)
  await net.flow()
  net.cut()
  net.reconnect()
  one.self.link(two.self.pid)
  await net.flow()
  net.b.processes.exit(two.self.pid, 'kill')
  await net.flow()
  assert.equal(one.log.map(brief), ['EXIT noconnection', 'EXIT killed'])
})

test('a node cannot end links of processes that are not its own', async (t) => {
  const net = pair(t)
  const [one, local] = await actors(net.a, 2)
  one!.self.link(local!.self.pid)
  const to = one!.self.pid.number
  // b claims that its process of the same number had been linked.
  net.a.processes.deliver(net.toB, { type: 'linkExit', from: local!.self.pid.number, to, reason: 'forged' })
  net.a.processes.deliver(net.toB, { type: 'unlink', from: local!.self.pid.number, to, id: 1 })
  net.a.processes.deliver(net.toB, { type: 'link', from: 0, to })
  net.a.processes.exit(local!.self.pid, 'kill')
  await turns()
  assert.equal(one!.log.map(brief), ['EXIT killed'])
})

test('a link that cannot be sent is not made', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const two = await actor(net.b)
  net.toB.full = true
  assert.is(
    thrown(() => one.self.link(two.self.pid)),
    'ERR_SKEIN_QUEUE_FULL',
  )
  net.cut()
  await turns()
  assert.equal(one.log, [])
})

test('links are bounded, here and for a peer', async (t) => {
  const net = pair(t, { limits: { links: 2 } })
  const many = await actors(net.a, 4)
  const far = await actors(net.b, 3)
  const [one] = many
  one!.self.link(many[1]!.self.pid)
  one!.self.link(many[2]!.self.pid)
  assert.is(
    thrown(() => one!.self.link(many[3]!.self.pid)),
    'ERR_SKEIN_LIMIT',
  )
  for (const { self } of far.slice(0, 2)) self.link(one!.self.pid)
  await net.flow()
  net.a.processes.deliver(net.toB, { type: 'link', from: far[2]!.self.pid.number, to: one!.self.pid.number })
  assert.equal(
    net.toA.waiting.concat(net.toB.waiting).map((signal) => 'reason' in signal && signal.reason),
    ['system_limit'],
  )
})

test('exits that find a full queue arrive later, in order, and the lane ends behind them', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const two = await actor(net.b)
  one.self.link(two.self.pid)
  one.self.monitor(two.self.pid)
  await net.flow()
  net.toA.full = true
  net.b.processes.exit(two.self.pid, 'kill')
  assert.equal(net.toA.gone, [])
  net.toA.full = false
  while (net.toA.gone.length === 0) await turns()
  assert.equal(
    net.toA.waiting.map(({ type }) => type),
    ['linkExit', 'down'],
  )
  assert.equal(net.toA.gone, [two.self.pid.number])
  await net.flow()
  assert.equal(one.log.map(brief), ['EXIT killed', 'DOWN killed'])
})

test('a reason that cannot cross the wire is described', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const two = await actor(net.b, false)
  one.self.link(two.self.pid)
  await net.flow()
  net.b.processes.exit(two.self.pid, () => 'a function')
  await net.flow()
  assert.match(brief(one.log[0]), /^EXIT The exit reason cannot cross the wire: .*a function/)
})

test.run()
