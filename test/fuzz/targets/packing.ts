/** Packed bodies: the size that is claimed, the window, and the stream of Brotli. */
import { Packer, unpack } from '../../../src/wire/packing.ts'
import { holds, type Target } from '../target.ts'

const MAX_BYTES = 1 << 20

export const target: Target = {
  name: 'packing',
  about: 'members: Brotli streams of bodies, and what they claim to hold',
  dictionary: [Buffer.of(0xc1, 0x80, 0x80, 4), Buffer.of(0x91), Buffer.of(0x0b), Buffer.of(0x03)],
  maxBytes: 512,
  sample: (chance) => {
    const text = Buffer.from(`{"kind":"${chance.below(99)}","list":[1,2,3]}`.repeat(4 + chance.below(60)))
    return new Packer({ aboveBytes: 64 }).pack(1, text, 0, text.length) ?? text.subarray(0, 64)
  },
  run: (bytes) => {
    const body = unpack(bytes, 0, bytes.length, MAX_BYTES)
    holds(body.length <= MAX_BYTES && body.length <= bytes.length * 256, 'a body is no larger than its bytes allow')
  },
}
