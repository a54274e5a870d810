/**
 * Calls in both directions come in on two streams, and each time the other one had something quiche's list was walked, which
 * left objects that only a full collection frees: a member that others called grew by half a megabyte a second in between.
 */
import * as assert from 'uvu/assert'
import { type CallMessage, type SkeinNode, startNode } from '../../src/index.ts'
import { QuicSession } from '../../transport/quiche.ts'
import { suite, type TestContext } from '../support/suite.ts'

const CALLS = 200

const open = async (t: TestContext, name: string): Promise<SkeinNode> => {
  const node = await startNode({
    name,
    cookie: 'calls-in-both-directions',
    host: '127.0.0.1',
    port: 0,
    discovery: { mdns: false, dht: false },
    logLevel: 'silent',
  })
  t.defer(() => node.stop())
  const echo = node.spawn(async (self) => {
    for await (const message of self) {
      const { type, from, request } = message as CallMessage
      if (type === 'call') self.reply(from, request)
    }
  })
  node.register('echo', echo)
  return node
}

const test = suite('walks for readable streams')

test('calls in both directions need none', async (t) => {
  const { readable } = QuicSession.prototype
  let walks = 0
  QuicSession.prototype.readable = function (this: QuicSession) {
    walks++
    return readable.call(this)
  }
  t.defer(() => {
    QuicSession.prototype.readable = readable
  })
  const [a, b] = [await open(t, 'a@walks'), await open(t, 'b@walks')]
  const { host, port } = b.addresses[0]!
  await a.connect(`${host}:${port}`)
  for (let i = 0; i < CALLS; i++) {
    await Promise.all([
      a.call({ name: 'echo', node: b.name }, i),
      b.call({ name: 'echo', node: a.name }, i),
      b.call({ name: 'echo', node: a.name }, -i),
    ])
  }
  // Each stream takes one when it is new, and a DATAGRAM frame takes one for nothing.
  assert.ok(walks < CALLS / 10, `${walks} walks for ${CALLS} rounds of calls`)
})

test.run()
