/** Names of a node. */
import * as assert from 'uvu/assert'
import { suite } from '../../support/suite.ts'
import { actor, actors, loneNode, pair, thrown, turns } from './process-support.ts'

const test = suite('registry')

test('a name finds its process until it is given up', async (t) => {
  const node = loneNode(t)
  const one = await actor(node)
  node.processes.register('one', one.self.pid)
  one.self.register('uno')
  assert.is(node.processes.whereis('one'), one.self.pid)
  assert.equal(node.processes.registered(), ['one', 'uno'])
  node.processes.send('one', 'hello')
  node.processes.send({ name: 'uno', node: node.origin.name }, 'ciao')
  await turns()
  assert.equal(one.log, ['hello', 'ciao'])
  node.processes.unregister('one')
  assert.is(node.processes.whereis('one'), undefined)
  assert.is(
    thrown(() => node.processes.unregister('one')),
    'ERR_SKEIN_NOT_REGISTERED',
  )
})

test('a name belongs to one process and is free as soon as that has ended', async (t) => {
  const node = loneNode(t)
  const [one, two] = await actors(node, 2)
  one!.self.register('name')
  assert.is(
    thrown(() => two!.self.register('name')),
    'ERR_SKEIN_NAME_REGISTERED',
  )
  node.processes.exit(one!.self.pid, 'kill')
  two!.self.register('name')
  assert.is(node.processes.whereis('name'), two!.self.pid)
})

test('a process can be born with its name, or not at all', async (t) => {
  const node = loneNode(t)
  const pid = node.processes.spawn(() => {}, { name: 'born' })
  assert.is(node.processes.whereis('born'), pid)
  assert.is(
    thrown(() => node.processes.spawn(() => {}, { name: 'born' })),
    'ERR_SKEIN_NAME_REGISTERED',
  )
  assert.is(node.processes.list().length, 1)
  await turns()
  assert.equal(node.processes.registered(), [])
})

test('malformed names, foreign and dead processes are refused', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const two = await actor(net.b)
  for (const name of ['', 'with space', 'x'.repeat(65), 'a/b', 'a@b']) {
    assert.is(
      thrown(() => one.self.register(name)),
      'ERR_SKEIN_BAD_NAME',
      name,
    )
  }
  assert.is(
    thrown(() => net.a.processes.register('two', two.self.pid)),
    'ERR_SKEIN_NOPROC',
  )
  net.a.processes.exit(one.self.pid, 'kill')
  assert.is(
    thrown(() => net.a.processes.register('one', one.self.pid)),
    'ERR_SKEIN_NOPROC',
  )
})

test('names are bounded', async (t) => {
  const node = loneNode(t, { limits: { names: 2 } })
  const one = await actor(node)
  one.self.register('a')
  one.self.register('b')
  assert.is(
    thrown(() => one.self.register('c')),
    'ERR_SKEIN_LIMIT',
  )
})

test('an unknown name is a dead letter, here and from another node', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  assert.ok(one.self.send('nobody', 'x'))
  assert.ok(one.self.send({ name: 'nobody', node: 'b@test' }, 'x'))
  assert.ok(one.self.send({ name: 'nobody', node: 'far@away' }, 'x'))
  await net.flow()
  const from = one.self.pid
  assert.equal(net.a.reports, [
    { type: 'deadLetter', to: { name: 'nobody', node: 'a@test' }, from, reason: 'noproc' },
    { type: 'deadLetter', to: { name: 'nobody', node: 'far@away' }, from, reason: 'noconnection' },
  ])
  assert.is(net.b.reports.length, 1)
  assert.equal(
    { ...net.b.reports[0], from: String(one.self.pid) },
    {
      type: 'deadLetter',
      to: { name: 'nobody', node: 'b@test' },
      from: String(from),
      reason: 'noproc',
    },
  )
})

test.run()
