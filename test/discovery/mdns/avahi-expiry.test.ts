/** A node that is killed says no goodbye: what others keep of it runs out by itself. */
import { setTimeout as sleep } from 'node:timers/promises'
import * as assert from 'uvu/assert'
import { Avahi } from '../../support/avahi.ts'
import { lan } from '../../support/lan.ts'
import { suite } from '../../support/suite.ts'
import { addressesOf, idOf, nodeRecord } from '../support.ts'
import { NodeProcess } from './fixtures/process.ts'

const test = suite('mdns expiry', { watchdogMs: 240_000 })
const HOST_NAME = `skein-${idOf(1).slice(0, 16)}.local`
/** RFC 6762 section 10, for records with a host's name in them. */
const HOST_TTL_MS = 120_000

test(
  'two minutes after kill -9 neither avahi nor another node of ours knows it any more',
  async (t) => {
    const hosts = lan(t, 3)
    const avahi = await Avahi.start(t, hosts[1]!, 'theirs')
    const start = (number: number): NodeProcess =>
      NodeProcess.start(t, nodeRecord(number, { addresses: addressesOf(`10.77.0.${number}:4433`) }), {
        host: hosts[number - 1]!,
      })
    const [leaving, watching] = [start(1), start(3)]
    await watching.event('found', 'node1@host')
    assert.match(await avahi.output('avahi-resolve', '-4', '-n', HOST_NAME), '10.77.0.1')
    await leaving.kill()
    const killedMs = performance.now()
    assert.match(await avahi.output('avahi-resolve', '-4', '-n', HOST_NAME), '10.77.0.1', 'still remembered')
    await watching.event('lost', 'node1@host')
    assert.ok(performance.now() - killedMs < HOST_TTL_MS + 2000)
    while ((await avahi.output('avahi-resolve', '-4', '-n', HOST_NAME)).includes('10.77.0.1')) await sleep(500)
    assert.ok(performance.now() - killedMs < HOST_TTL_MS + 15_000)
  },
  { deadlineMs: 170_000 },
)

test.run()
