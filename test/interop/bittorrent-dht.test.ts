/** bittorrent-dht of npm and we in one DHT. */
import { suite, type TestContext } from '../support/suite.ts'
import { announces, keepsImmutable, keepsMutable, needsPeer, type Party, party } from './flows.ts'
import { startBittorrentDht } from './peer.ts'

const test = suite('bittorrent-dht')
const deadlineMs = 60_000

const gathered = (t: TestContext): Promise<Party> => {
  needsPeer(t, 'bittorrent-dht')
  return party(t, startBittorrentDht)
}

test(
  'bootstraps through a busy QUIC port, announces and looks up, in both directions',
  async (t) => {
    const all = await gathered(t)
    await announces(all)
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

test.run()
