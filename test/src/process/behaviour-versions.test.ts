/** Versions of behaviours: what is offered, who is told of it, and a spawn that asks for exactly one. */
import * as assert from 'uvu/assert'
import type { CatalogueEntry } from '../../../src/process/catalogue.ts'
import { suite } from '../../support/suite.ts'
import { codeOf, errorOf, loneNode, type Pair, pair, thrown, turns } from './process-support.ts'

const test = suite('versions of behaviours')

const idle = (): Promise<void> => new Promise(() => {})

const offering = (net: Pair): Pair => {
  net.b.processes.catalogue.add('worker', idle, { version: '2.1.0' })
  net.b.processes.catalogue.add('plain', idle)
  return net
}

test('the list has names and versions, and listeners hear what is added', (t) => {
  const { catalogue } = loneNode(t).processes
  const heard: CatalogueEntry[] = []
  catalogue.add('before', idle)
  const quiet = catalogue.onChange((added) => void heard.push(added))
  catalogue.add('worker', idle, { version: '2.1.0-rc.1+build_7' })
  assert.is(
    thrown(() => catalogue.add('worker', idle, { version: '3' })),
    'ERR_SKEIN_NAME_REGISTERED',
  )
  quiet()
  catalogue.add('after', idle)
  assert.equal(heard, [{ name: 'worker', version: '2.1.0-rc.1+build_7' }])
  assert.equal(catalogue.list(), [
    { name: 'before', version: undefined },
    ...heard,
    { name: 'after', version: undefined },
  ])
  assert.equal(catalogue.names(), ['before', 'worker', 'after'])
})

test('what is no version is refused, where it is given and where it is asked for', async (t) => {
  const { processes } = loneNode(t)
  for (const version of ['', 'a b', 'x'.repeat(65), 7, null]) {
    assert.is(
      thrown(() => processes.catalogue.add('worker', idle, { version: version as string })),
      'ERR_SKEIN_BAD_ARGUMENT',
    )
    const asked = processes.spawns.spawn(undefined, 'lone', 'worker', [], { version: version as string })
    assert.is(await codeOf(asked), 'ERR_SKEIN_BAD_ARGUMENT')
  }
})

test('a spawn gets exactly the version it asks for, here and there, or an error', async (t) => {
  const net = offering(pair(t))
  for (const node of [net.a, net.b]) {
    const ask = async (behaviour: string, version?: string): Promise<string> => {
      const options = version === undefined ? {} : { version }
      const asked = node.processes.spawns.spawn(undefined, 'b@test', behaviour, [], options).then(
        () => 'spawned',
        ({ code, message }: { code: string; message: string }) => `${code} ${message}`,
      )
      await net.flow()
      return asked
    }
    assert.is(await ask('worker'), 'spawned')
    assert.is(await ask('worker', '2.1.0'), 'spawned')
    assert.match(await ask('worker', '2.1'), /^ERR_SKEIN_BEHAVIOUR_VERSION .*has version 2\.1\.0, not 2\.1\./)
    assert.match(await ask('plain', '1'), /^ERR_SKEIN_BEHAVIOUR_VERSION .*has no version, not 1\./)
    assert.match(await ask('wroker', '1'), /^ERR_SKEIN_UNKNOWN_BEHAVIOUR/)
  }
  assert.is(net.b.processes.list().length, 4)
})

test('a node of protocol version 1 is not asked for what it would not understand', async (t) => {
  const net = offering(pair(t))
  net.toB.version = 1
  const asked = net.a.processes.spawns.spawn(undefined, 'b@test', 'worker', [], { version: '2.1.0' })
  assert.is((await errorOf(asked)).code, 'ERR_SKEIN_BEHAVIOUR_VERSION')
  assert.is(net.toB.sent, 0)
  const plain = net.a.processes.spawns.spawn(undefined, 'b@test', 'worker')
  await net.flow()
  assert.ok(await plain)
})

test('while the node is dialled the question waits; whoever asked may end meanwhile', async (t) => {
  const net = offering(pair(t))
  net.toB.version = undefined
  const aborting = new AbortController()
  let connect = (): void => {}
  const connected = new Promise<void>((resolve) => {
    connect = resolve
  })
  net.toB.drained = () => connected
  const { spawns } = net.a.processes
  const first = spawns.spawn(undefined, 'b@test', 'worker', [], { version: '2.1.0' })
  const aborted = spawns.spawn(undefined, 'b@test', 'worker', [], { version: '2.1.0', signal: aborting.signal })
  const impatient = spawns.spawn(undefined, 'b@test', 'worker', [], { version: '2.1.0', timeoutMs: 1 })
  let orphaned: Promise<string> | undefined
  const doomed = net.a.processes.spawn(async (self) => {
    orphaned = codeOf(self.spawnOn('b@test', 'worker', [], { version: '2.1.0' }))
    await self.receive()
  })
  await turns()
  assert.is(net.toB.sent, 0)
  aborting.abort()
  assert.is(await codeOf(impatient), 'ERR_SKEIN_CALL_TIMEOUT')
  net.a.processes.exit(doomed, 'kill')
  net.toB.version = 2
  connect()
  await net.flow()
  assert.is((await first).node, 'b@test')
  assert.is(await codeOf(aborted), 'ERR_SKEIN_CALL_ABORTED')
  assert.is(await orphaned, 'ERR_SKEIN_PROCESS_ENDED')
  assert.is(net.b.processes.list().length, 1)
})

test('a node that is dialled in vain is not dialled again and again', async (t) => {
  const net = offering(pair(t))
  net.toB.version = undefined
  let dialled = 0
  net.toB.drained = async () => {
    if (++dialled > 100) net.toB.version = 2
  }
  const asked = net.a.processes.spawns.spawn(undefined, 'b@test', 'worker', [], { version: '2.1.0' })
  assert.is(await codeOf(asked), 'ERR_SKEIN_NOCONNECTION')
  assert.is(dialled, 1)
})

test.run()
