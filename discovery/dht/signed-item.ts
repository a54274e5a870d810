/**
 * Items of BEP 44: how they are named, signed and verified.
 *
 * An immutable item is found under the hash of its value, so it needs no signature. A mutable one is found under the hash
 * of its key and salt, and its signature covers salt, sequence number and value, byte for byte as they travel. The salt
 * itself does not travel in replies: who looks for an item knows it.
 *
 * A signature takes about 110 us to verify, so whatever costs less is to be checked before. Signing is the caller's: the
 * private key stays where it is.
 */
import { createHash } from 'node:crypto'
import { SkeinError } from '../../certs/errors.ts'
import { isSignedBy } from '../../certs/signing-key.ts'
import { encode, judge, Verbatim } from './bencode.ts'
import { MAX_SALT_BYTES, MAX_VALUE_BYTES, PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from './krpc.ts'
import type { DhtKey, ItemBody } from './message.ts'

const NO_SALT = new Uint8Array(0)

/** Where an immutable item is found. `value` is its bencoded form. */
export const immutableTarget = (value: Uint8Array): DhtKey => sha1(value)

/** Where the mutable items of a key and salt are found. An empty salt is none. */
export const mutableTarget = (publicKey: Uint8Array, salt: Uint8Array = NO_SALT): DhtKey => sha1(publicKey, salt)

/** Where this item is found. */
export const targetOf = ({ value, mutable }: ItemBody, salt?: Uint8Array): DhtKey =>
  mutable === undefined ? immutableTarget(value) : mutableTarget(mutable.publicKey, salt)

/** What the signature of a mutable item covers. */
export const bytesToSign = (sequence: number, value: Uint8Array, salt: Uint8Array = NO_SALT): Uint8Array => {
  const entries = encode({ salt: salt.length === 0 ? undefined : salt, seq: sequence, v: new Verbatim(value) })
  // The entries of a dictionary without the letters around them.
  return entries.subarray(1, -1)
}

/** Whether an item is signed by its key; an immutable one has nothing to be signed. */
export const isGenuine = ({ value, mutable }: ItemBody, salt?: Uint8Array): boolean =>
  mutable === undefined || isSignedBy(mutable.publicKey, bytesToSign(mutable.sequence, value, salt), mutable.signature)

/** A new immutable item of a bencoded value. Throws ERR_SKEIN_BAD_ARGUMENT for a value that no node would store. */
export const makeImmutable = (value: Uint8Array): ItemBody => {
  checkValue(value)
  return { value: Uint8Array.from(value) }
}

export interface MutableParts {
  /** Raw Ed25519 key, 32 bytes. */
  readonly publicKey: Uint8Array
  /** The signature of these bytes by that key, 64 bytes. */
  readonly sign: (bytes: Uint8Array) => Uint8Array
  /** At most 64 bytes. */
  readonly salt?: Uint8Array
  /** Greater than that of every earlier item of this key and salt. */
  readonly sequence: number
  /** Bencoded, at most 1000 bytes. */
  readonly value: Uint8Array
}

/** A new mutable item, signed. Throws ERR_SKEIN_BAD_ARGUMENT for parts that no node would store, and what `sign` throws. */
export const makeMutable = ({ publicKey, sign, salt = NO_SALT, sequence, value }: MutableParts): ItemBody => {
  checkValue(value)
  check(publicKey.length === PUBLIC_KEY_BYTES, `publicKey must have ${PUBLIC_KEY_BYTES} bytes`)
  check(salt.length <= MAX_SALT_BYTES, `salt must have at most ${MAX_SALT_BYTES} bytes`)
  check(Number.isSafeInteger(sequence) && sequence >= 0, 'sequence must be a whole number from 0 to 2^53 - 1')
  const signature = sign(bytesToSign(sequence, value, salt))
  check(signature.length === SIGNATURE_BYTES, `sign must give ${SIGNATURE_BYTES} bytes`)
  const mutable = { publicKey: Uint8Array.from(publicKey), signature: Uint8Array.from(signature), sequence }
  return { value: Uint8Array.from(value), mutable }
}

const checkValue = (value: Uint8Array): void => {
  check(value.length <= MAX_VALUE_BYTES, `value must have at most ${MAX_VALUE_BYTES} bytes, bencoded`)
  check(judge(value) !== undefined, 'value must be bencoded, in canonical form')
}

const check = (isRight: boolean, expected: string): void => {
  if (!isRight) throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', expected)
}

const sha1 = (...parts: readonly Uint8Array[]): DhtKey => {
  const hash = createHash('sha1')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}
