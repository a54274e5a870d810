/**
 * Packet protection of QUIC version 1 (RFC 9001 section 5), written for tests that make packets of their own: keys from
 * secrets, sealing and opening, and the next keys of an update. test/support/packet-protection.test.ts holds it against the
 * vectors of RFC 9001 appendix A.
 */
import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'

/** RFC 9001 5.2. */
const INITIAL_SALT = Buffer.from('38762cf7f55934b34d179ae6a4c80cadccbb7f0a', 'hex')
const AEAD_TAG_BYTES = 16
const IV_BYTES = 12
/** Header protection samples the ciphertext four bytes behind the beginning of the packet number (RFC 9001 5.4.2). */
const SAMPLE_OFFSET = 4
const SAMPLE_BYTES = 16

export type Suite = 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305'

const SUITES = {
  'aes-128-gcm': { keyBytes: 16, hash: 'sha256', hashBytes: 32 },
  'aes-256-gcm': { keyBytes: 32, hash: 'sha384', hashBytes: 48 },
  'chacha20-poly1305': { keyBytes: 32, hash: 'sha256', hashBytes: 32 },
} as const

/** HKDF-Expand-Label of TLS 1.3 (RFC 8446 7.1) with an empty context. */
export const expandLabel = (secret: Uint8Array, label: string, length: number, hash = 'sha256'): Buffer => {
  const name = Buffer.from(`tls13 ${label}`)
  const info = Buffer.concat([Buffer.of(length >> 8, length & 0xff, name.length), name, Buffer.of(0)])
  let block: Buffer = Buffer.alloc(0)
  let out: Buffer = Buffer.alloc(0)
  for (let counter = 1; out.length < length; counter++) {
    block = createHmac(hash, secret)
      .update(Buffer.concat([block, info, Buffer.of(counter)]))
      .digest()
    out = Buffer.concat([out, block])
  }
  return out.subarray(0, length)
}

/** What protects Initials of a connection whose client chose this id (RFC 9001 5.2). */
export const initialKeys = (destinationId: Uint8Array): { client: PacketKeys; server: PacketKeys } => {
  const secret = createHmac('sha256', INITIAL_SALT).update(destinationId).digest()
  return {
    client: new PacketKeys(expandLabel(secret, 'client in', 32)),
    server: new PacketKeys(expandLabel(secret, 'server in', 32)),
  }
}

export interface OpenedPacket {
  /** The first byte without its protection. */
  readonly first: number
  readonly number: number
  readonly payload: Buffer
}

/** One direction, one key phase. */
export class PacketKeys {
  readonly suite: Suite
  readonly key: Buffer
  readonly iv: Buffer
  readonly headerKey: Buffer
  readonly #secret: Uint8Array

  /** An update of keys keeps the key of the header (RFC 9001 6). */
  constructor(secret: Uint8Array, suite: Suite = 'aes-128-gcm', headerKey?: Buffer) {
    const { keyBytes, hash } = SUITES[suite]
    this.suite = suite
    this.#secret = secret
    this.key = expandLabel(secret, 'quic key', keyBytes, hash)
    this.iv = expandLabel(secret, 'quic iv', IV_BYTES, hash)
    this.headerKey = headerKey ?? expandLabel(secret, 'quic hp', keyBytes, hash)
  }

  /** The keys of the next phase. */
  next(): PacketKeys {
    const { hash, hashBytes } = SUITES[this.suite]
    return new PacketKeys(expandLabel(this.#secret, 'quic ku', hashBytes, hash), this.suite, this.headerKey)
  }

  /** `header` ends in the packet number, as long as its first byte says. */
  seal(header: Uint8Array, number: number, payload: Uint8Array): Buffer {
    const cipher = createCipheriv(this.suite as 'aes-128-gcm', this.key, this.#nonce(number), {
      authTagLength: AEAD_TAG_BYTES,
    })
    cipher.setAAD(header, { plaintextLength: payload.length })
    const sealed = Buffer.concat([cipher.update(payload), cipher.final(), cipher.getAuthTag()])
    const packet = Buffer.concat([header, sealed])
    this.#mask(packet, header.length - numberBytes(header[0]!), numberBytes(header[0]!))
    return packet
  }

  /** The packet number of `packet` begins at `offset`; it ends where `packet` ends. Undefined for what these keys do not open. */
  open(packet: Uint8Array, offset: number, largestNumber: number): OpenedPacket | undefined {
    const bytes = Buffer.from(packet)
    if (bytes.length < offset + SAMPLE_OFFSET + SAMPLE_BYTES) return undefined
    const mask = this.#maskOf(bytes.subarray(offset + SAMPLE_OFFSET, offset + SAMPLE_OFFSET + SAMPLE_BYTES))
    const first = bytes[0]! ^ (mask[0]! & (bytes[0]! & 0x80 ? 0x0f : 0x1f))
    bytes[0] = first
    const length = numberBytes(first)
    for (let i = 0; i < length; i++) bytes[offset + i] = bytes[offset + i]! ^ mask[1 + i]!
    const number = fullNumber(bytes.readUIntBE(offset, length), length, largestNumber)
    const decipher = createDecipheriv(this.suite as 'aes-128-gcm', this.key, this.#nonce(number), {
      authTagLength: AEAD_TAG_BYTES,
    })
    const end = bytes.length - AEAD_TAG_BYTES
    decipher.setAAD(bytes.subarray(0, offset + length), { plaintextLength: end - offset - length })
    decipher.setAuthTag(bytes.subarray(end))
    try {
      const payload = Buffer.concat([decipher.update(bytes.subarray(offset + length, end)), decipher.final()])
      return { first, number, payload }
    } catch {
      return undefined
    }
  }

  #nonce(number: number): Buffer {
    const nonce = Buffer.from(this.iv)
    const wide = Buffer.alloc(8)
    wide.writeBigUInt64BE(BigInt(number))
    for (let i = 0; i < 8; i++) nonce[4 + i] = nonce[4 + i]! ^ wide[i]!
    return nonce
  }

  /** Puts header protection on (RFC 9001 5.4.1). */
  #mask(packet: Buffer, offset: number, length: number): void {
    const mask = this.#maskOf(packet.subarray(offset + SAMPLE_OFFSET, offset + SAMPLE_OFFSET + SAMPLE_BYTES))
    packet[0] = packet[0]! ^ (mask[0]! & (packet[0]! & 0x80 ? 0x0f : 0x1f))
    for (let i = 0; i < length; i++) packet[offset + i] = packet[offset + i]! ^ mask[1 + i]!
  }

  #maskOf(sample: Uint8Array): Buffer {
    // The sample of ChaCha20 is counter and nonce (RFC 9001 5.4.4), which is how OpenSSL takes them.
    if (this.suite === 'chacha20-poly1305')
      return createCipheriv('chacha20', this.headerKey, sample).update(Buffer.alloc(5))
    const name = this.suite === 'aes-128-gcm' ? 'aes-128-ecb' : 'aes-256-ecb'
    return createCipheriv(name, this.headerKey, null).update(sample)
  }
}

const numberBytes = (first: number): number => (first & 3) + 1

/** RFC 9000 appendix A.3. */
const fullNumber = (truncated: number, length: number, largestNumber: number): number => {
  const expected = largestNumber + 1
  const window = 2 ** (8 * length)
  const candidate = expected - (expected % window) + truncated
  if (candidate <= expected - window / 2) return candidate + window
  return candidate > expected + window / 2 && candidate >= window ? candidate - window : candidate
}
