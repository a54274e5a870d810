/**
 * Node ids: the name of a key, short enough to read aloud.
 *
 * An id is the first 20 bytes of SHA-256 of the raw Ed25519 public key, as 32 lower-case characters of base32 (RFC 4648
 * section 6, no padding). 160 bits keep a second key with the same id out of reach (2^160 tries; 2^80 for any two keys
 * that collide, which gains an attacker only a clash with itself). It is not a DHT id: that one is bound to the address.
 */
import { createHash, type KeyObject } from 'node:crypto'
import { SkeinError } from './errors.ts'

/** Raw Ed25519 public keys have 32 bytes (RFC 8032 section 5.1.5). */
const PUBLIC_KEY_BYTES = 32

const NODE_ID_BYTES = 20
const BITS_PER_CHARACTER = 5
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'
const PATTERN = /^[a-z2-7]{32}$/

/** The raw bytes of an Ed25519 key. As a JSON Web Key (RFC 8037 section 2), which costs a seventieth of DER in Node. */
export const rawPublicKey = (key: KeyObject): Uint8Array =>
  new Uint8Array(Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url'))

/** The id of a raw public key. Throws ERR_SKEIN_BAD_ARGUMENT unless it has 32 bytes. */
export const nodeIdOf = (publicKey: Uint8Array): string => {
  if (publicKey.length !== PUBLIC_KEY_BYTES) {
    throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', `A raw Ed25519 public key has 32 bytes, not ${publicKey.length}`)
  }
  return base32(createHash('sha256').update(publicKey).digest().subarray(0, NODE_ID_BYTES))
}

/** True for a text that could be a node id; whether a key belongs to it is another question. */
export const isNodeId = (value: unknown): value is string => typeof value === 'string' && PATTERN.test(value)

/** The 20 bytes that an id spells. Throws ERR_SKEIN_BAD_ARGUMENT for anything but a node id. */
export const nodeIdBytes = (id: string): Uint8Array => {
  if (!isNodeId(id)) throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'A node id is 32 characters of a-z and 2-7')
  const bytes = new Uint8Array(NODE_ID_BYTES)
  let pending = 0
  let pendingBits = 0
  let length = 0
  for (const character of id) {
    pending = (pending << BITS_PER_CHARACTER) | ALPHABET.indexOf(character)
    pendingBits += BITS_PER_CHARACTER
    if (pendingBits < 8) continue
    pendingBits -= 8
    bytes[length++] = pending >>> pendingBits
    pending &= (1 << pendingBits) - 1
  }
  return bytes
}

const base32 = (bytes: Uint8Array): string => {
  let text = ''
  let pending = 0
  let pendingBits = 0
  for (const byte of bytes) {
    pending = (pending << 8) | byte
    pendingBits += 8
    while (pendingBits >= BITS_PER_CHARACTER) {
      pendingBits -= BITS_PER_CHARACTER
      text += ALPHABET.charAt(pending >>> pendingBits)
      pending &= (1 << pendingBits) - 1
    }
  }
  return text
}
