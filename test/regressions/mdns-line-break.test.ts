/**
 * A name with a line break in it, as damaged packets have: dns-packet loses the dot next to it when it writes the name again,
 * so we asked for another name than the one we had heard.
 */
import * as assert from 'uvu/assert'
import { queries } from '../../discovery/mdns/packet.ts'
import { decode, encode } from '../discovery/mdns/coding.ts'
import { suite } from '../support/suite.ts'

const test = suite('mDNS names with line breaks')

for (const [what, character] of [
  ['a carriage return', '\r'],
  ['a line feed', '\n'],
  ['a line separator', '\u2028'],
] as const) {
  test(`${what} makes a name unfit`, async () => {
    const heard = async (name: string): Promise<number> =>
      decode(await encode(queries([{ name, type: 'PTR' }])[0]!))?.questions.length ?? 0
    assert.is(await heard('node._skein._udp.local'), 1)
    assert.is(await heard(`node${character}x._skein._udp.local`), 0)
  })
}

test.run()
