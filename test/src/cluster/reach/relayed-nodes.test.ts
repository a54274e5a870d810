/** Whole nodes that reach each other through relays alone, as between them there is a wall. */
import * as assert from 'uvu/assert'
import { Keyring } from '../../../../certs/keyring.ts'
import { deriveKeys } from '../../../../certs/keys.ts'
import { seedSource } from '../../../../discovery/seeds.ts'
import { type SkeinNode, startNodeOn } from '../../../../src/node.ts'
import { type Address, formatAddress } from '../../../../transport/address.ts'
import { systemClock } from '../../../../transport/clock.ts'
import { systemRandom } from '../../../../transport/random.ts'
import type { Transport } from '../../../../transport/transport.ts'
import { suite, type TestContext } from '../../../support/suite.ts'
import { addressOf } from '../../../transport/compliance.ts'
import { newIdentity, openPort, until } from '../../../transport/quic-support.ts'

const test = suite('relayed nodes')

const KEYS = deriveKeys(Buffer.alloc(32, 'relayed nodes'), 'test')
const NOWHERE: Address = { host: '127.0.0.1', port: 9 }
const quiet = (): void => {}

interface Started {
  readonly node: SkeinNode
  readonly address: Address
  /** Node and reason of each node that went down. */
  readonly downs: string[]
}

const start = async (
  t: TestContext,
  name: string,
  seeds: readonly Started[],
  isWalled: ((address: Address) => boolean) | undefined,
): Promise<Started> => {
  const identity = await newIdentity()
  const port = await openPort(t, { identity, gateKeys: [KEYS.gate] })
  const node = startNodeOn({
    name: `${name}@127.0.0.1`,
    cluster: 'test',
    identity,
    keys: new Keyring(KEYS),
    transport: isWalled === undefined ? port : walled(port, isWalled),
    clock: systemClock,
    random: systemRandom,
    logger: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    mesh: 'full',
    sources: [
      seedSource({
        seeds: seeds.map(({ address }) => formatAddress(address)),
        clock: systemClock,
        random: systemRandom,
      }),
    ],
  })
  t.defer(() => node.stop())
  const downs: string[] = []
  void (async () => {
    for await (const event of node.events) if (event.type === 'nodedown') downs.push(`${event.node} ${event.reason}`)
  })()
  return { node, address: addressOf(port), downs }
}

/** Nobody gets through to some addresses but by relays, and no punch opens anything. */
const walled = (port: Transport, isWalled: (address: Address) => boolean): Transport => ({
  kind: port.kind,
  ways: port.ways && { ...bound(port.ways), direct: () => undefined },
  addresses: () => port.addresses(),
  connect: (remote, handler, options) =>
    port.connect(options?.way === undefined && isWalled(remote) ? NOWHERE : remote, handler, options),
  listen: (accept) => port.listen(accept),
  sendDatagram: quiet,
  onDatagram: quiet,
  useGateKeys: (keys) => port.useGateKeys(keys),
  useIdentity: (identity) => port.useIdentity(identity),
  counters: () => port.counters(),
  close: () => port.close(),
})

const bound = ({ receive, gone }: NonNullable<Transport['ways']>) => ({ receive, gone })

const setUp = async (t: TestContext): Promise<{ a: Started; b: Started; relays: readonly [Started, Started] }> => {
  const first = await start(t, 'r1', [], undefined)
  const second = await start(t, 'r2', [first], undefined)
  const walls: Address[] = []
  const isWalled = ({ port }: Address): boolean => walls.some((address) => address.port === port)
  const a = await start(t, 'a', [first, second], isWalled)
  walls.push(a.address)
  const b = await start(t, 'b', [first, second], isWalled)
  walls.push(b.address)
  await Promise.all([a.node.connect('b@127.0.0.1'), b.node.connect('a@127.0.0.1')])
  for (const { node } of [a, b]) {
    const relays = (): boolean => node.nodes().filter((name) => name.startsWith('r')).length === 2
    await until(relays, 'both relays are connected', 5000)
  }
  return { a, b, relays: [first, second] }
}

test('two walled nodes are connected through a relay, and a goodbye gets through it', async (t) => {
  const { a, b } = await setUp(t)
  assert.ok((await a.node.ping('b@127.0.0.1')) >= 0)
  await b.node.stop()
  await until(() => a.downs.length > 0, 'A hears of it', 5000)
  assert.equal(a.downs, ['b@127.0.0.1 shutdown'])
})

test('the relay stops: the connection goes on through the other one, and nobody goes down but the relay', async (t) => {
  const { a, b, relays } = await setUp(t)
  const { address } = (await a.node.observer.local()).connections.list.find(({ node }) => node === 'b@127.0.0.1')!
  const used = relays.find((relay) => formatAddress(relay.address) === address)!
  await used.node.stop()
  await until(() => a.downs.length > 0 && b.downs.length > 0, 'both hear of the relay', 5000)
  assert.ok((await a.node.ping('b@127.0.0.1', { timeoutMs: 5000 })) >= 0)
  const expected = [`${used.node.name} shutdown`]
  assert.equal([a.downs, b.downs], [expected, expected])
})

test.run()
