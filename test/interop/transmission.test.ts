/** Transmission joins the DHT through us. */
import { writeFileSync } from 'node:fs'
import { temporaryFolder } from '../e2e/support.ts'
import { suite } from '../support/suite.ts'
import { joinsAndIsFound } from './clients.ts'
import { needs } from './flows.ts'

const test = suite('transmission')

test(
  'bootstraps through a busy QUIC port, announces itself to us and finds whom we announced',
  async (t) => {
    needs(t, 'transmission-cli', 'transmission-cli', ['--version'])
    const folder = await temporaryFolder(t)
    await joinsAndIsFound(t, ({ ipv4 }, { gates, port, magnet }) => {
      const settings = {
        'bind-address-ipv4': ipv4,
        'dht-enabled': true,
        'lpd-enabled': false,
        'port-forwarding-enabled': false,
        'rpc-enabled': false,
        'utp-enabled': false,
      }
      writeFileSync(`${folder}/settings.json`, JSON.stringify(settings))
      writeFileSync(`${folder}/dht.bootstrap`, gates.map((gate) => `${gate.host} ${gate.port}\n`).join(''))
      return ['transmission-cli', '--no-portmap', '-g', folder, '-w', folder, '-p', `${port}`, magnet]
    })
  },
  { deadlineMs: 90_000 },
)

test.run()
