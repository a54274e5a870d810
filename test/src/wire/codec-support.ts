/** Two nodes that talk, a third they talk about, and a codec for either end. */
import { SkeinError } from '../../../certs/errors.ts'
import { Origin } from '../../../src/pid.ts'
import type { CodecOptions } from '../../../src/wire/codec.ts'
import { MessageCodec } from '../../../src/wire/codec.ts'

export const ALICE = new Origin('alice@here', 'a'.repeat(32), '00000000000000a1')
export const BOB = new Origin('bob@there', 'b'.repeat(32), '00000000000000b2')
export const CAROL = new Origin('carol@yonder', 'c'.repeat(32), 'fedcba9876543210')

export const codecOf = (local: Origin, peer: Origin, options: Omit<CodecOptions, 'local'> = {}): MessageCodec => {
  const codec = new MessageCodec({ local, ...options })
  codec.peer = peer
  return codec
}

/** What arrives at bob when alice sends it; the bytes are overwritten afterwards, as a receive buffer is. */
export const transfer = (value: unknown, sender = codecOf(ALICE, BOB), receiver = codecOf(BOB, ALICE)): unknown => {
  const bytes = sender.encode(value)
  const buffer = Buffer.alloc(bytes.length + 7, 0xc1)
  buffer.set(bytes, 3)
  const result = receiver.decode(buffer, 3, 3 + bytes.length)
  buffer.fill(0xff)
  bytes.fill(0xff)
  return result
}

/** The code with which it fails; fails itself if nothing is thrown, or anything but a SkeinError. */
export const codeOf = (run: () => unknown): string => errorOf(run).code

export const errorOf = (run: () => unknown): SkeinError => {
  try {
    run()
  } catch (error) {
    if (error instanceof SkeinError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}
