/** Messages: what a member packs into them, and that whatever could be read can be written and read again as the same. */

import { holds, isOneIn, type Target, tried } from '../target.ts'
import { anyValue, codecOf, HERE, THERE } from '../values.ts'

const there = codecOf(THERE, HERE)
const here = codecOf(HERE, THERE)
/** On the way back: what was read at one end is sent to the other. */
const back = codecOf(THERE, HERE)

export const target: Target = {
  name: 'codec',
  about: 'members: every message and reply, and that it can be sent on',
  dictionary: [
    Buffer.of(0xc1),
    Buffer.of(0xc7, 2, 3, 0x80),
    Buffer.of(0xd4, 0, 0),
    Buffer.of(0xdf),
    Buffer.of(0xdd),
    Buffer.of(0xc9),
    Buffer.of(0xdb, 0xff, 0xff, 0xff, 0xff),
    Buffer.of(0xd6, 1, 0, 1),
    '\xa9__proto__',
    '\xabconstructor',
    '\xaafuzz/Money',
    Buffer.of(0xc7, 2, 7, 0, 1),
    Buffer.of(0xc7, 3, 9, 11),
    Buffer.of(0xcf),
    Buffer.of(0xd3),
    Buffer.of(0xcb),
  ],
  sample: (chance) => Uint8Array.from(there.encode(anyValue(chance, 4))),
  run: (bytes) => {
    const value = here.decode(bytes, 0, bytes.length)
    if (!isOneIn(4, bytes)) return
    const again = Buffer.from(tried(() => here.encode(value)) ?? [])
    holds(again.length > 0, 'what was read can be written')
    const onceMore = Buffer.from(back.encode(back.decode(again, 0, again.length)))
    const last = here.encode(here.decode(onceMore, 0, onceMore.length))
    holds(Buffer.compare(last, again) === 0, 'and is the same when it comes back')
  },
}
