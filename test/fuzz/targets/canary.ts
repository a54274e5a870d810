/**
 * A decoder with three mistakes that random bytes practically never reach: the fuzzer has to find a crash, a hang and a
 * growth in it.
 *
 *     message = "SK" | version 7 | kind | length of the body, u16 | body
 *
 * The samples are sound and random: only step by step, from one condition to the next, is a mistake to be reached.
 */
import { SkeinError } from '../../../certs/errors.ts'
import type { Target } from '../target.ts'

const HEAD_BYTES = 6
const kept: Uint8Array[] = []

const refuse = (why: string): SkeinError => new SkeinError('ERR_SKEIN_PROTOCOL', why)

const decode = (bytes: Buffer): number => {
  if (bytes.length <= HEAD_BYTES) throw refuse('too short')
  if (bytes[0] !== 0x53) throw refuse('no S')
  if (bytes[1] !== 0x4b) throw refuse('no K')
  if (bytes[2] !== 7) throw refuse('another version')
  const length = bytes.readUInt16BE(4)
  if (length !== bytes.length - HEAD_BYTES) throw refuse('another length')
  const body = bytes.subarray(HEAD_BYTES)
  switch (bytes[3]) {
    case 1:
      return crash(body)
    case 2:
      return hang(body)
    case 3:
      return grow(body)
    default:
      throw refuse('another kind')
  }
}

/** A field of a record that may not be there. */
const crash = (body: Buffer): number => {
  if (body.length < 4) throw refuse('no record')
  if (body[0] !== 0xc0) return 0
  if (body[1] !== 0xde) return 1
  if (body[3] !== 0x21) return 2
  const table: readonly ({ readonly size: number } | undefined)[] = [{ size: 1 }, { size: 2 }]
  return (table[body[2]! & 3] as { readonly size: number }).size
}

/** Steps whose length may be zero. */
const hang = (body: Buffer): number => {
  if (body.length < 4) throw refuse('no steps')
  if (body[0] !== 0x57) return 0
  if (body[1] !== 0x45) return 1
  if (body[3] !== 0x9d) return 2
  let steps = 0
  for (let at = 2; at < body.length; steps++) at += body[2]! > 0xf0 ? 0 : 1
  return steps
}

/** What is kept of those who ask for it. */
const grow = (body: Buffer): number => {
  if (body.length < 3) throw refuse('nothing to keep')
  if (body[0] !== 0x6b) return 0
  if (body[1] !== 0x70) return 1
  if (body[2] !== 0xe5) return 2
  kept.push(new Uint8Array(512))
  return kept.length
}

export const target: Target = {
  name: 'canary',
  about: 'a decoder with three mistakes, to see that they are found',
  dictionary: ['SK', Buffer.of(7)],
  maxBytes: 64,
  sample: (chance) => {
    const body = chance.bytes(4 + chance.below(6))
    return Buffer.concat([Buffer.of(0x53, 0x4b, 7, 1 + chance.below(3), 0, body.length), body])
  },
  run: (bytes) => decode(bytes),
}
