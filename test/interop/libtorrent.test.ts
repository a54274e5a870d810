/** libtorrent, the reference for BEP 42 and 44, and we in one DHT. */

import * as assert from 'uvu/assert'
import { idFitsHost } from '../../discovery/dht/dht-id.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { announces, island, keepsImmutable, keepsMutable, needs, type Party, PORT, party } from './flows.ts'
import { eventually, PYTHON, startLibtorrent, startOurs } from './peer.ts'

const test = suite('libtorrent')
const deadlineMs = 60_000

const gathered = (t: TestContext): Promise<Party> => {
  needs(t, 'python3-libtorrent', PYTHON, ['-c', 'import libtorrent'])
  return party(t, startLibtorrent)
}

test(
  'bootstraps through a busy QUIC port, announces and looks up, in both directions',
  async (t) => {
    const all = await gathered(t)
    await announces(all)
    const { theirs, gate } = all
    const [host, port] = [gate.split(':')[0]!, PORT + 1]
    await theirs.do('open', { host, port, routers: [gate] })
    await eventually(async () => (await theirs.do('contacts', { node: `${host}:${port}` })) >= 2)
    await all.finish()
  },
  { deadlineMs },
)

test(
  'keeps and finds immutable and mutable items, with salt and in turn, in both directions',
  async (t) => {
    const all = await gathered(t)
    await keepsImmutable(all)
    await keepsMutable(all, '')
    await keepsMutable(all, '73616c74')
    await all.finish()
  },
  { deadlineMs },
)

test(
  'enforces node ids on public addresses, and we do: everybody takes a fitting one and is believed',
  async (t) => {
    needs(t, 'python3-libtorrent', PYTHON, ['-c', 'import libtorrent'])
    // Networks (/16) that differ: each has one vote on an address.
    const hosts = Array.from({ length: 6 }, (_, i) => `45.${71 + i}.0.1`)
    const place = island(t, hosts)
    const [ours, theirs] = [startOurs(t, place), startLibtorrent(t, place)]
    await ours.do('open', { host: hosts[0]!, port: PORT, strict: true })
    for (const host of hosts.slice(1)) await theirs.do('open', { host, port: PORT, strict: true })
    const [our, ...strict] = hosts.map((host) => `${host}:${PORT}`) as [string, ...string[]]
    // From our answers they learn their addresses, and from their refusals we learn ours.
    for (const node of strict) await theirs.do('bootstrap', { node, through: [our] })
    await eventually(async () => (await ours.do('bootstrap', { node: our, through: strict })) === strict.length)
    const { id, host } = await ours.do('self', { node: our })
    assert.is(host, hosts[0])
    assert.ok(idFitsHost(Uint8Array.from(Buffer.from(id, 'hex')), host!))
    for (const node of strict) await theirs.do('bootstrap', { node, through: [our] })
    for (const node of strict)
      await eventually(async () => {
        await theirs.do('explore', { node })
        return (await theirs.do('contacts', { node })) === strict.length
      })
  },
  { deadlineMs },
)

test.run()
