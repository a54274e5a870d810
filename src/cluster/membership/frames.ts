/**
 * Frames of the control lane that membership speaks, from protocol version 2 on: encoding and bounded decoding only.
 * docs/handshake.md lists them among the others.
 */
import { isNodeId } from '../../../certs/node-id.ts'
import { ByteReader, ByteWriter, malformed } from '../../wire/bytes.ts'
import { decodeItem, encodeItem, type GossipItem } from './statements.ts'

/** The first protocol version whose nodes know these frames. */
export const MEMBERSHIP_VERSION = 2

/** Frame types of the control lane; those of control.ts go up to 9. */
export const MEMBERSHIP_FRAMES = {
  /** Please ping this member for me. */
  probe: 10,
  /** Whether it answered. */
  probed: 11,
  /** Statements of members about themselves and others. */
  gossip: 12,
  /** Checksums of what the sender knows: please tell what differs. */
  digest: 13,
} as const

/** The checksum of a node that takes part in no mesh. */
export const NO_MESH = 0

/** Parts of a digest: members are spread over them by their id. */
export const BUCKETS = 64
/** Items are put into one frame up to this size; the control lane takes 64 KiB. */
const GOSSIP_FRAME_BYTES = 16 * 1024
const MAX_ITEMS_IN_FRAME = 512
const ID_CHARACTERS = 32

export interface Probe {
  readonly nonce: number
  readonly subject: string
}

export interface Probed {
  readonly nonce: number
  readonly isAlive: boolean
}

export const encodeProbe = ({ nonce, subject }: Probe): Uint8Array => new ByteWriter().u32(nonce).text(subject).done()

/** Throws ERR_SKEIN_PROTOCOL, as all of these. */
export const decodeProbe = (bytes: Uint8Array): Probe => {
  const reader = new ByteReader(bytes)
  const nonce = reader.u32()
  const subject = reader.text(ID_CHARACTERS)
  if (!isNodeId(subject)) throw malformed('a probe of what is no node')
  reader.end()
  return { nonce, subject }
}

export const encodeProbed = ({ nonce, isAlive }: Probed): Uint8Array =>
  new ByteWriter()
    .u32(nonce)
    .u8(isAlive ? 1 : 0)
    .done()

export const decodeProbed = (bytes: Uint8Array): Probed => {
  const reader = new ByteReader(bytes)
  const nonce = reader.u32()
  const isAlive = reader.u8() === 1
  reader.end()
  return { nonce, isAlive }
}

/** As many frames as it takes. */
export const encodeGossip = (items: readonly GossipItem[]): Uint8Array[] => {
  const frames: Uint8Array[] = []
  let part: Uint8Array[] = []
  let sizeBytes = 0
  const close = (): void => {
    if (part.length === 0) return
    const out = new ByteWriter().u16(part.length)
    for (const bytes of part) out.raw(bytes)
    frames.push(out.done())
    part = []
    sizeBytes = 0
  }
  for (const item of items) {
    const bytes = encodeItem(item)
    if (sizeBytes + bytes.length > GOSSIP_FRAME_BYTES || part.length === MAX_ITEMS_IN_FRAME) close()
    part.push(bytes)
    sizeBytes += bytes.length
  }
  close()
  return frames
}

export const decodeGossip = (bytes: Uint8Array): GossipItem[] => {
  const reader = new ByteReader(bytes)
  const count = reader.u16()
  if (count > MAX_ITEMS_IN_FRAME) throw malformed(`${count} statements in one frame`)
  const items: GossipItem[] = []
  for (let i = 0; i < count; i++) items.push(decodeItem(reader))
  reader.end()
  return items
}

export const encodeDigest = (buckets: readonly number[]): Uint8Array => {
  const out = new ByteWriter()
  for (let i = 0; i < BUCKETS; i++) out.u32(buckets[i] ?? 0)
  return out.done()
}

export const decodeDigest = (bytes: Uint8Array): number[] => {
  const reader = new ByteReader(bytes)
  const buckets = Array.from({ length: BUCKETS }, () => reader.u32())
  reader.end()
  return buckets
}

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

/** The part of a digest to which this member belongs: the first six bits of its id. */
export const bucketOf = (id: string): number =>
  (ALPHABET.indexOf(id.charAt(0)) << 1) | (ALPHABET.indexOf(id.charAt(1)) >>> 4)
