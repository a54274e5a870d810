/**
 * What the fuzzer runs: a decoder of bytes that others sent, with samples of what it is meant to read.
 *
 * `run` ends in a value or a SkeinError with a code, whatever the bytes; anything else that is thrown is a crash. It
 * starts from nothing with each input, so that an input alone repeats what it did; what is a conversation is cut into
 * parts of one input (`parts`).
 */
import { ERRORS, isSkeinError } from '../../certs/errors.ts'
import type { Chance } from './chance.ts'

export interface Target {
  readonly name: string
  /** For the table in docs/fuzzing.md: whose bytes it reads, and what with. */
  readonly about: string
  /** Words of the format. */
  readonly dictionary?: readonly (string | Uint8Array)[]
  /** Longest input, bytes. Default: 2048. */
  readonly maxBytes?: number
  /** What one input may allocate on and off the heap, bytes. Default: 8 MiB. */
  readonly maxAllocation?: number
  /** True: not even a SkeinError may be thrown. */
  readonly neverThrows?: boolean
  /** An input takes a part of a millisecond: it is repeated less often. */
  readonly isSlow?: boolean
  /** Bytes as the other side would send them, made by our own encoders, now and then of hostile values. */
  sample(chance: Chance): Uint8Array
  run(bytes: Buffer): unknown
}

export const DEFAULT_MAX_BYTES = 2048
export const DEFAULT_MAX_ALLOCATION = 8 * 1024 * 1024

/** Something that has to hold of what was decoded does not. */
export class Broken extends Error {
  override readonly name = 'Broken'
}

export const holds = (condition: boolean, what: string): void => {
  if (!condition) throw new Broken(what)
}

export const isRefusal = (error: unknown): boolean => isSkeinError(error) && Object.hasOwn(ERRORS, error.code)

/** Undefined for a refusal; anything else is thrown on. */
export const tried = <T>(work: () => T): T | undefined => {
  try {
    return work()
  } catch (error) {
    if (!isRefusal(error)) throw error
    return undefined
  }
}

/** True for one input in so many, and always the same ones: for checks that cost more than the decoder. */
export const isOneIn = (count: number, bytes: Uint8Array): boolean => {
  let sum = bytes.length
  for (let i = 0; i < 8; i++) sum = sum * 31 + (bytes[(bytes.length * i) >> 3] ?? 0)
  return sum % count === 0
}

/** Parts of a conversation in one input: each has its length in front, two bytes; the last one may be cut off. */
export const joined = (parts: readonly Uint8Array[]): Uint8Array =>
  Buffer.concat(parts.flatMap((part) => [Buffer.of(part.length >> 8, part.length & 255), part]))

export function* partsOf(bytes: Buffer): IterableIterator<Buffer> {
  for (let at = 0; at + 2 <= bytes.length; ) {
    const end = Math.min(bytes.length, at + 2 + bytes.readUInt16BE(at))
    yield bytes.subarray(at + 2, end)
    at = end
  }
}
