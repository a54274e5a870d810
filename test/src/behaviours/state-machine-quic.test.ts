/** A state machine called from another node, over real QUIC. */
import { randomBytes } from 'node:crypto'
import * as assert from 'uvu/assert'
import { isSkeinError, type Pid, type PidOf, type SkeinNode, startNode, stateMachine } from '../../../src/index.ts'
import { suite, type TestContext } from '../../support/suite.ts'

const test = suite('state machine over QUIC')

const door = stateMachine({
  data: (code: string) => ({ code }),
  initial: 'locked',
  common: { calls: { state: ({ state }) => ({ reply: state }) } },
  states: {
    locked: {
      calls: {
        pass: 'postpone',
        unlock: {
          to: 'open',
          do: ({ data }, { code }: { readonly code: string }) =>
            code === data.code ? { next: 'open', reply: true } : { reply: false },
        },
        locked: () => ({ reply: 'by itself' }),
        // What is no message cannot be a reply to another node.
        odd: () => ({ reply: (): void => {} }),
      },
      on: { demolish: { may: 'stop', do: () => ({ stop: 'demolished' }) } },
    },
    open: {
      calls: { pass: (_machine, { who }: { readonly who: string }) => ({ reply: `welcome ${who}` }) },
      on: { lean: { to: 'ajar' } },
    },
    ajar: { stateTimeout: { afterMs: 20, to: 'locked' }, calls: { locked: 'postpone' } },
  },
})

const startPair = async (t: TestContext): Promise<[SkeinNode, SkeinNode]> => {
  const options = { cookie: randomBytes(32), host: '127.0.0.1', port: 0, discovery: false, logLevel: 'silent' } as const
  const server = await startNode({ ...options, name: 'server' })
  t.defer(() => server.stop())
  const client = await startNode({ ...options, name: 'client' })
  t.defer(() => client.stop())
  await client.connect(`127.0.0.1:${server.addresses[0]?.port}`)
  return [server, client]
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.catch((error: unknown) => (isSkeinError(error) ? error.code : error))

test('calls of another node wait, are answered or refused, and fail with the machine', async (t) => {
  const [server, client] = await startPair(t)
  server.register('door', (await server.start(door, '1234')) as Pid<never>)
  const target = { name: 'door', node: server.name } as unknown as PidOf<typeof door>
  const passing = client.call(target, { type: 'pass', who: 'anna' })
  assert.is(await client.call(target, { type: 'unlock', code: '0000' }), false)
  assert.is(await client.call(target, 'state'), 'locked')
  assert.is(await codeOf(client.call(target as never, { type: 'pas' })), 'ERR_SKEIN_NO_HANDLER')
  assert.is(await codeOf(client.call(target, 'odd')), 'ERR_SKEIN_UNSERIALISABLE')
  assert.is(await client.call(target, { type: 'unlock', code: '1234' }), true)
  assert.is(await passing, 'welcome anna', 'G21, G22: the postponed call has its one reply, when the door is open')
  assert.is(await codeOf(client.call(target, { type: 'unlock', code: '1234' })), 'ERR_SKEIN_NO_HANDLER')
  client.cast(target, 'lean')
  assert.is(await client.call(target, 'locked'), 'by itself')
  const stuck = client.call(target, { type: 'pass', who: 'ben' }).catch((error: unknown) => error)
  client.cast(target, 'demolish')
  const error = await stuck
  assert.ok(isSkeinError(error, 'ERR_SKEIN_CALL_EXIT'), String(error))
  assert.is(error.cause, 'demolished', 'G7')
  assert.is(await codeOf(client.call(target, 'state')), 'ERR_SKEIN_NOPROC', 'G11')
})

test.run()
