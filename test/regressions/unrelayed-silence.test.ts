/**
 * Where no relay leads to a node either, its dial failed with one attempt more: and that one counted as an answer, so
 * nobody stepped back from an overlapping partition any more.
 */
import * as assert from 'uvu/assert'
import { type ErrorCode, SkeinError } from '../../certs/errors.ts'
import type { KnownNode } from '../../discovery/table.ts'
import { Mesh } from '../../src/cluster/mesh.ts'
import { seededRandom } from '../../transport/random.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { addressesOf, idOf } from '../discovery/support.ts'
import { suite } from '../support/suite.ts'

const test = suite('unrelayed silence')

/** How often a node counts as silent within ten seconds, whose dial fails so. */
const silences = async (...codes: ErrorCode[]): Promise<number> => {
  const clock = new VirtualClock()
  let silent = 0
  const host = {
    isUp: () => false,
    wants: () => true,
    forget: () => {},
    silent: () => {
      silent++
    },
    dial: async (): Promise<string | undefined> => {
      const attempts = codes.map((code) => ({ what: 'there', code, message: code }))
      throw new SkeinError('ERR_SKEIN_CONNECT_FAILED', 'No connection.', { attempts })
    },
  }
  const mesh = new Mesh({ selfId: idOf(1), selfIncarnation: 'f'.repeat(16), clock, random: seededRandom(1), host })
  const node: KnownNode = { key: 'b', id: idOf(2), addresses: addressesOf('10.77.0.2:4433'), sources: ['peers'] }
  mesh.known(node)
  await clock.run({ untilMs: 10_000 })
  mesh.stop()
  return silent
}

test('a node that neither addresses nor relays lead to is silent', async () => {
  assert.ok((await silences('ERR_SKEIN_CONNECT_TIMEOUT', 'ERR_SKEIN_NO_RELAY')) > 1)
})

test('one that refused through a relay is not', async () => {
  assert.is(await silences('ERR_SKEIN_CONNECT_TIMEOUT', 'ERR_SKEIN_NAME_TAKEN'), 0)
})

test.run()
