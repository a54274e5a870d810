/** aria2 joins the DHT through us. */

import { temporaryFolder } from '../e2e/support.ts'
import { suite } from '../support/suite.ts'
import { joinsAndIsFound } from './clients.ts'
import { needs } from './flows.ts'

const test = suite('aria2')

test(
  'bootstraps through a busy QUIC port, announces itself to us and finds whom we announced',
  async (t) => {
    needs(t, 'aria2', 'aria2c', ['--version'])
    const folder = await temporaryFolder(t)
    await joinsAndIsFound(t, (_, { gates: [gate], port, magnet }) => [
      'aria2c',
      '--no-conf',
      '--enable-dht=true',
      '--enable-dht6=false',
      `--dht-listen-port=${port}`,
      `--listen-port=${port}`,
      `--dht-entry-point=${gate.host}:${gate.port}`,
      `--dht-file-path=${folder}/dht.dat`,
      `--dir=${folder}`,
      '--quiet',
      magnet,
    ])
  },
  { deadlineMs: 60_000 },
)

test.run()
