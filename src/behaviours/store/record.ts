/**
 * The content of a state's file, so that a torn, foreign or swapped file is told from a whole one:
 *
 *     8 bytes   "skeinst" and the version, 1
 *     2 bytes   length of the key, big endian
 *     4 bytes   length of the state, big endian
 *     32 bytes  SHA-256 of all that stands before and after it
 *     key in UTF-8, then the state, then nothing
 *
 * The key is there because the file's name is only its hash. The checksum finds accidents, it is no proof against somebody
 * who may write the file.
 */
import { createHash } from 'node:crypto'
import { MAX_STATE_BYTES, MAX_STORE_KEY_BYTES } from './store.ts'

const MAGIC = Buffer.from('skeinst\x01', 'latin1')
const KEY_LENGTH_AT = MAGIC.length
const STATE_LENGTH_AT = KEY_LENGTH_AT + 2
const CHECKSUM_AT = STATE_LENGTH_AT + 4
const CHECKSUM_BYTES = 32
const HEADER_BYTES = CHECKSUM_AT + CHECKSUM_BYTES

export const MAX_RECORD_BYTES = HEADER_BYTES + MAX_STORE_KEY_BYTES + MAX_STATE_BYTES

export const encodeRecord = (key: string, state: Uint8Array): Uint8Array => {
  const keyBytes = Buffer.from(key)
  const record = Buffer.alloc(HEADER_BYTES + keyBytes.length + state.length)
  record.set(MAGIC)
  record.writeUInt16BE(keyBytes.length, KEY_LENGTH_AT)
  record.writeUInt32BE(state.length, STATE_LENGTH_AT)
  record.set(keyBytes, HEADER_BYTES)
  record.set(state, HEADER_BYTES + keyBytes.length)
  record.set(checksumOf(record), CHECKSUM_AT)
  return record
}

export type DecodedRecord =
  | { readonly kind: 'state'; readonly state: Uint8Array }
  | { readonly kind: 'damaged'; readonly what: string }

/** The state in the record if it is whole and of this key. */
export const decodeRecord = (key: string, bytes: Uint8Array): DecodedRecord => {
  const record = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (record.length < HEADER_BYTES) return damaged('is shorter than a header')
  if (!record.subarray(0, MAGIC.length - 1).equals(MAGIC.subarray(0, -1))) return damaged('does not hold a state')
  const version = record[MAGIC.length - 1]
  if (version !== MAGIC.at(-1)) return damaged(`has version ${version} of the format, ${MAGIC.at(-1)} is known`)
  const stateAt = HEADER_BYTES + record.readUInt16BE(KEY_LENGTH_AT)
  const expectedBytes = stateAt + record.readUInt32BE(STATE_LENGTH_AT)
  if (record.length !== expectedBytes) return damaged(`has ${record.length} bytes instead of ${expectedBytes}`)
  const checksum = record.subarray(CHECKSUM_AT, HEADER_BYTES)
  if (!checksumOf(record).equals(checksum)) return damaged('does not match its checksum')
  if (!record.subarray(HEADER_BYTES, stateAt).equals(Buffer.from(key))) return damaged('holds the state of another key')
  return { kind: 'state', state: new Uint8Array(record.buffer, record.byteOffset + stateAt, record.length - stateAt) }
}

const checksumOf = (record: Uint8Array): Buffer =>
  createHash('sha256').update(record.subarray(0, CHECKSUM_AT)).update(record.subarray(HEADER_BYTES)).digest()

const damaged = (what: string): DecodedRecord => ({ kind: 'damaged', what })
