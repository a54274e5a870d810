/**
 * BitTorrent clients that have a DHT node inside: they are given a magnet link and one of our nodes, and everything else is
 * theirs to do. Nothing of a torrent exists but its info-hash, so all they can do is look for peers and announce themselves.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import * as assert from 'uvu/assert'
import type { Address } from '../../transport/address.ts'
import { type LanHost, lan } from '../support/lan.ts'
import type { TestContext } from '../support/suite.ts'
import { BUSY_HOST, BUSY_PORT, eventually, startBusyNode, startOurs } from './peer.ts'

export interface Client {
  /** Our nodes, that of the busy port first. */
  readonly gates: readonly [Address, ...Address[]]
  /** For its DHT and for peers. */
  readonly port: number
  readonly magnet: string
}

/** Of our nodes beside the gate, on its host. Transmission announces nothing in a DHT of eight nodes. */
const PORTS: readonly number[] = Array.from({ length: 15 }, (_, i) => BUSY_PORT + 1 + i)
const CLIENT_PORT = 7000

/**
 * A client on a host of its own joins through the busy port of a Skein node. A node of ours, a stranger to the client,
 * finds it under the info-hash; and the client dials that node, which announced the same info-hash before.
 */
export const joinsAndIsFound = async (
  t: TestContext,
  start: (host: LanHost, client: Client) => readonly [command: string, ...args: string[]],
): Promise<void> => {
  const [home, away] = lan(t, 2) as [LanHost, LanHost]
  const ours = startOurs(t, home)
  const finish = await startBusyNode(t, home)
  const at = (port: number): Address => ({ host: home.ipv4, port })
  const through = [`${BUSY_HOST}:${BUSY_PORT}`]
  for (const port of PORTS) {
    await ours.do('open', { host: home.ipv4, port })
    await ours.do('bootstrap', { node: `${home.ipv4}:${port}`, through })
  }
  const ourPort = PORTS[0]!
  const our = `${home.ipv4}:${ourPort}`
  const key = randomBytes(20).toString('hex')
  await ours.do('announce', { node: our, key })
  const dialled = ours.do('awaitDial', { host: home.ipv4, port: ourPort })

  // The test may be over before anybody dials.
  dialled.catch(() => {})

  const magnet = `magnet:?xt=urn:btih:${key}`
  const [command, ...args] = start(away, {
    gates: [at(BUSY_PORT), ...PORTS.map(at)],
    port: CLIENT_PORT,
    magnet,
  })
  const child = away.spawn(command, args, { stdio: 'ignore' })
  const gone = once(child, 'exit')
  t.defer(async () => {
    child.kill('SIGKILL')
    await gone
  })
  await eventually(async () => (await ours.do('getPeers', { node: our, key })).includes(`${away.ipv4}:${CLIENT_PORT}`))
  assert.is(await dialled, away.ipv4)
  await finish()
}
