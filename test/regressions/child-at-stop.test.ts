/**
 * Found by the soak run: a node stopped while a child of a distributed supervisor was being started or ended, and its process
 * did not end for half a minute. Who had asked for it looked for another leader all that time; and the process that was to hear of
 * the child's end had ended with the node, so that nobody cancelled the timer of that child. That no timer stays is what the last
 * test, "leaves nothing behind", finds out.
 */
import * as assert from 'uvu/assert'
import { genServer, type Self, startNode } from '../../src/index.ts'
import { suite } from '../support/suite.ts'
import { until } from '../transport/quic-support.ts'

const test = suite('a node that stops while it has to do with a child')

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => '',
    (error: { code: string }) => error.code,
  )

for (const phase of ['starting', 'stopping'] as const) {
  test(`ends at once while the child is ${phase}`, async (t) => {
    const node = await startNode({
      name: 'a@stops',
      cookie: 'a-child-at-the-stop',
      host: '127.0.0.1',
      port: 0,
      discovery: { mdns: false, dht: false },
      logLevel: 'silent',
    })
    t.defer(() => node.stop())
    let refused = Promise.resolve('ERR_SKEIN_STOPPED')
    let reached = (): void => {}
    const phaseReached = new Promise<void>((resolve) => {
      reached = resolve
    })
    const never = new Promise<never>(() => {})
    const starting = genServer({
      init: () => {
        reached()
        return never
      },
    })
    const stopping = async (self: Self): Promise<void> => {
      self.trapExit = true
      // The first EXIT is the order to end; it goes on.
      for await (const _ of self) reached()
    }
    if (phase === 'starting') node.behaviour('child', starting)
    else node.behaviour('child', stopping)
    const supervisor = node.supervise('s', { children: [{ id: 'one', behaviour: 'child' }] })
    if (phase === 'stopping') {
      await until(() => supervisor.child('one') !== undefined, 'the child runs')
      refused = codeOf(supervisor.terminateChild('one'))
    }
    await phaseReached
    await node.stop({ timeoutMs: 100 })
    assert.is(await refused, 'ERR_SKEIN_STOPPED')
  })
}

test.run()
