/**
 * BitTorrent clients that have a DHT node inside: they are given a magnet link and one of our nodes, and everything else is
 * theirs to do. Nothing of a torrent exists but its info-hash, so all they can do is look for peers and announce themselves.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import * as assert from 'uvu/assert'
import { type LanHost, lan } from '../support/lan.ts'
import type { TestContext } from '../support/suite.ts'
import { eventually, startOurs } from './peer.ts'

export interface Client {
  /** Where our node is that the client bootstraps from. */
  readonly gate: { readonly host: string; readonly port: number }
  /** For its DHT and for peers. */
  readonly port: number
  readonly magnet: string
}

const PORT = 6881
const OTHER_PORT = 6882

/**
 * A client on a host of its own joins through one of our nodes. Our other node, a stranger to the client, finds it under
 * the info-hash; and the client dials our other node, which announced the same info-hash before.
 */
export const joinsAndIsFound = async (
  t: TestContext,
  start: (host: LanHost, client: Client) => readonly [command: string, ...args: string[]],
): Promise<void> => {
  const [home, away] = lan(t, 2) as [LanHost, LanHost]
  const ours = startOurs(t, home)
  const [gate, our] = [`${home.ipv4}:${PORT}`, `${home.ipv4}:${OTHER_PORT}`]
  for (const port of [PORT, OTHER_PORT]) await ours.do('open', { host: home.ipv4, port })
  await ours.do('bootstrap', { node: our, through: [gate] })
  const key = randomBytes(20).toString('hex')
  await ours.do('announce', { node: our, key })
  const dialled = ours.do('awaitDial', { host: home.ipv4, port: OTHER_PORT })

  const magnet = `magnet:?xt=urn:btih:${key}`
  const [command, ...args] = start(away, { gate: { host: home.ipv4, port: PORT }, port: PORT, magnet })
  const child = away.spawn(command, args, { stdio: 'ignore' })
  const gone = once(child, 'exit')
  t.defer(async () => {
    child.kill('SIGKILL')
    await gone
  })
  await eventually(async () => (await ours.do('getPeers', { node: our, key })).includes(`${away.ipv4}:${PORT}`))
  assert.is(await dialled, away.ipv4)
  // Both of ours believe in it: it answered them.
  assert.is(await ours.do('contacts', { node: gate }), 2)
}
