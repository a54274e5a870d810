/**
 * What a node publishes of itself in the DHT: signed by the node, sealed for its cluster, padded to one of few sizes.
 *
 *   sealed = nonce (12) | ChaCha20-Poly1305 of [ length (2) | envelope | zeros ] | tag (16)      (RFC 8439)
 *   envelope = bencoded { r: record, s: signature of context, cluster tag and record by the node's own key }
 *
 * The seal keeps strangers out: without the cluster's key a value is random bytes of one of two lengths. It is bound to the
 * item that holds it, so it cannot be shown elsewhere. The signature keeps members honest: every member can write every
 * item of its cluster (places.ts), but only the holder of a node's key can make that node's record. What remains to a
 * member is to take a record away, or to bring back an older one until it expires.
 *
 * `openRecord` never throws, and gives nothing but what is whole and signed.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { nodeIdOf } from '../../certs/node-id.ts'
import { isSignedBy, type SigningKey } from '../../certs/signing-key.ts'
import type { Address } from '../../transport/address.ts'
import { NAT_CLASSES, type NatClass, type Registration } from '../source.ts'
import { type Bencoded, type Encodable, encode, judge, Verbatim } from './bencode.ts'
import { addressOf, compactAddress } from './compact-address.ts'

const VERSION = 1
const CONTEXT = 'skein v1 record'
const CIPHER = 'chacha20-poly1305'
const NONCE_BYTES = 12
const TAG_BYTES = 16
const LENGTH_BYTES = 2
const SEAL_BYTES = NONCE_BYTES + TAG_BYTES + LENGTH_BYTES
/** What is sealed has one of these sizes. The larger one fits the 1000 bytes of BEP 44 in bencoded form, with its length. */
const SIZES_BYTES: readonly number[] = [480, 960]
export const NONCE_SIZE_BYTES = NONCE_BYTES

const MAX_ADDRESSES = 16
export const MAX_INTRODUCERS = 3
export const MAX_REGISTRATIONS = 8
/** All registrations of a node together, encoded. */
export const MAX_REGISTRATION_BYTES = 256
const MAX_METADATA_ENTRIES = 16
const INCARNATION_BYTES = 8
/** From the time of the sequence number on; what claims to last longer is no record. */
export const RECORD_LIFETIME_MS = 2 * 60 * 60_000
/** Printable ASCII: a name is shown to people. */
const NAME = /^[\x21-\x7e]{1,255}$/

export interface PublishedRecord {
  readonly name: string
  readonly id: string
  /** 16 hex digits. */
  readonly incarnation: string
  /** None: the node has taken its record back. */
  readonly addresses: readonly Address[]
  /** Behind a NAT (cone, symmetric) public IPv4 addresses are where others see it, not what can be dialled blindly. */
  readonly nat: NatClass
  /** Members of its cluster that lead to it where it cannot be reached directly. */
  readonly introducers: readonly Address[]
  readonly registrations: readonly Registration[]
  /** Milliseconds since 1970, as every later record has a greater one. */
  readonly sequence: number
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number
}

/** What it takes to seal and open the records of a cluster. */
export interface RecordKeys {
  readonly sealing: Uint8Array
  readonly clusterTag: string
}

/** The record in signed form, bencoded. Addresses that would not fit are left out, the last ones first. */
export const signRecord = (record: Omit<PublishedRecord, 'id'>, signer: SigningKey, clusterTag: string): Uint8Array => {
  for (let count = Math.min(record.addresses.length, MAX_ADDRESSES); ; count--) {
    const addresses = record.addresses.slice(0, Math.max(0, count))
    const body = bodyOf({ ...record, addresses }, signer.publicKey)
    const envelope = encode({ r: new Verbatim(body), s: signer.sign(bytesToSign(clusterTag, body)) })
    if (count <= 0 || envelope.length + SEAL_BYTES <= SIZES_BYTES.at(-1)!) return envelope
  }
}

/** The value for the item with this key. `nonce` is fresh: 12 random bytes. */
export const sealRecord = (
  envelope: Uint8Array,
  sealingKey: Uint8Array,
  itemPublicKey: Uint8Array,
  nonce: Uint8Array,
): Uint8Array => {
  const size = SIZES_BYTES.find((one) => envelope.length + SEAL_BYTES <= one) ?? envelope.length + SEAL_BYTES
  const plain = Buffer.alloc(size - NONCE_BYTES - TAG_BYTES)
  plain.writeUInt16BE(envelope.length)
  plain.set(envelope, LENGTH_BYTES)
  const cipher = createCipheriv(CIPHER, sealingKey, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(itemPublicKey, { plaintextLength: plain.length })
  const sealed = [nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]
  return encode(Buffer.concat(sealed))
}

/** The record in an item's value, undefined if it is not one that a node of this cluster made. It may have expired. */
export const openRecord = (
  value: Uint8Array,
  keys: RecordKeys,
  itemPublicKey: Uint8Array,
): PublishedRecord | undefined => {
  const envelope = unseal(value, keys.sealing, itemPublicKey)
  const body = envelope?.get('r')
  const signature = envelope?.get('s')?.bytes()
  if (body === undefined || signature === undefined) return undefined
  const publicKey = body.get('k')?.bytes()
  if (publicKey === undefined) return undefined
  const record = recordOf(body, publicKey)
  if (record === undefined || record.expiresAtMs > record.sequence + RECORD_LIFETIME_MS) return undefined
  return isSignedBy(publicKey, bytesToSign(keys.clusterTag, body.raw()), signature) ? record : undefined
}

const bytesToSign = (clusterTag: string, body: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(`${CONTEXT}\0${clusterTag}\0`), body])

const unseal = (value: Uint8Array, key: Uint8Array, itemPublicKey: Uint8Array): Bencoded | undefined => {
  const sealed = judge(value)?.bytes()
  if (sealed === undefined || !SIZES_BYTES.includes(sealed.length)) return undefined
  const text = sealed.subarray(NONCE_BYTES, -TAG_BYTES)
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAAD(itemPublicKey, { plaintextLength: text.length })
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  try {
    const plain = Buffer.concat([decipher.update(text), decipher.final()])
    const length = plain.readUInt16BE()
    return length > plain.length - LENGTH_BYTES ? undefined : judge(plain.subarray(LENGTH_BYTES, LENGTH_BYTES + length))
  } catch {
    return undefined
  }
}

type Body = Omit<PublishedRecord, 'id'>

const bodyOf = (record: Body, publicKey: Uint8Array): Uint8Array =>
  encode({
    a: compactList(record.addresses),
    e: record.expiresAtMs,
    g: record.registrations.map(({ name, metadata }): Encodable => [name, ...Object.entries(metadata).flat()]),
    i: compactList(record.introducers),
    k: publicKey,
    n: record.name,
    r: Buffer.from(record.incarnation, 'hex'),
    s: record.sequence,
    t: record.nat,
    v: VERSION,
  })

const compactList = (addresses: readonly Address[]): Uint8Array[] =>
  addresses.flatMap((address) => compactAddress(address) ?? [])

const recordOf = (body: Bencoded, publicKey: Uint8Array): PublishedRecord | undefined => {
  const name = textOf(body.get('n'))
  const incarnation = body.get('r')?.bytes()
  const sequence = body.get('s')?.integer()
  const expiresAtMs = body.get('e')?.integer()
  const registrations = registrationsOf(body.get('g'))
  const id = idOf(publicKey)
  if (name === undefined || !NAME.test(name) || id === undefined || body.get('v')?.integer() !== VERSION)
    return undefined
  if (incarnation?.length !== INCARNATION_BYTES || sequence === undefined || expiresAtMs === undefined) return undefined
  if (registrations === undefined) return undefined
  return {
    name,
    id,
    incarnation: Buffer.from(incarnation).toString('hex'),
    addresses: addressList(body.get('a'), MAX_ADDRESSES),
    nat: natOf(textOf(body.get('t'))),
    introducers: addressList(body.get('i'), MAX_INTRODUCERS),
    registrations,
    sequence,
    expiresAtMs,
  }
}

const idOf = (publicKey: Uint8Array): string | undefined => {
  try {
    return nodeIdOf(publicKey)
  } catch {
    return undefined
  }
}

/** Classes that later versions may know are none to this one. */
const natOf = (text: string | undefined): NatClass => NAT_CLASSES.find((one) => one === text) ?? 'unknown'

const textOf = (value: Bencoded | undefined): string | undefined => {
  const bytes = value?.bytes()
  return bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8')
}

const addressList = (value: Bencoded | undefined, max: number): Address[] =>
  (value?.items() ?? []).slice(0, max).flatMap((item) => addressOf(item.bytes() ?? new Uint8Array(0)) ?? [])

const registrationsOf = (value: Bencoded | undefined): Registration[] | undefined => {
  const items = value?.items()
  if (items === undefined || items.length > MAX_REGISTRATIONS) return undefined
  const registrations: Registration[] = []
  for (const item of items) {
    const [name, ...texts] = (item.items() ?? []).map(textOf)
    if (name === undefined || !NAME.test(name) || texts.length > 2 * MAX_METADATA_ENTRIES) return undefined
    const entries = new Map<string, string>()
    for (let i = 0; i + 1 < texts.length; i += 2) entries.set(texts[i] ?? '', texts[i + 1] ?? '')
    registrations.push({ name, metadata: Object.fromEntries(entries) })
  }
  return registrations
}
