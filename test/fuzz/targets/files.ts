/** Files: the contacts of the DHT, stored state, cookies. They are the node's own, but may be damaged or put there by others. */
import { resolveCookie } from '../../../certs/cookie.ts'
import { contactsIn } from '../../../discovery/dht/table-file.ts'
import { decodeRecord, encodeRecord } from '../../../src/behaviours/store/record.ts'
import { holds, type Target } from '../target.ts'

const TABLE = JSON.stringify({
  version: 1,
  id: 'ab'.repeat(20),
  nodes: [
    ['cd'.repeat(20), '10.0.0.1:4433'],
    ['ef'.repeat(20), '[2001:db8::1]:1'],
  ],
})

export const target: Target = {
  name: 'files',
  about: 'files that are damaged: contacts of the DHT, stored state, cookies',
  dictionary: [
    '"nodes":[',
    '[["',
    '"version":1',
    '"id":"',
    'null',
    '{}',
    '__proto__',
    '[::1]:',
    '10.0.0.1:65535',
    '\n',
    '\r\n',
  ],
  sample: (chance) =>
    chance.pick([Buffer.from(TABLE), encodeRecord('key', chance.bytes(20)), Buffer.from('a secret of some length\n')]),
  run: async (bytes) => {
    const table = contactsIn(bytes)
    for (const { id, address } of table?.contacts ?? [])
      holds(id.length === 20 && address.port > 0, 'a contact is whole')
    const record = decodeRecord('key', bytes)
    holds(record.kind !== 'state' || record.state.length <= bytes.length, 'a state is no longer than its file')
    const { cookie } = await resolveCookie({ cookie: bytes, env: {} })
    holds(cookie.length >= 8 && cookie.length <= 1024, 'a cookie has its bounds')
  },
}
