/** Frames of QUIC version 1 (RFC 9000 section 19, RFC 9221), written and read by hand for the crafted peer. */

/** A variable-length integer (RFC 9000 section 16), in as few bytes as it needs. */
const varint = (value: number): Buffer => {
  if (value < 0x40) return Buffer.of(value)
  if (value < 0x4000) return Buffer.of(0x40 | (value >> 8), value & 0xff)
  const bytes = Buffer.alloc(value < 2 ** 30 ? 4 : 8)
  if (bytes.length === 4) bytes.writeUInt32BE(value)
  else bytes.writeBigUInt64BE(BigInt(value))
  bytes[0] = bytes[0]! | (bytes.length === 4 ? 0x80 : 0xc0)
  return bytes
}

const frame = (type: number, ...fields: readonly (number | Uint8Array)[]): Buffer =>
  Buffer.concat([varint(type), ...fields.map((field) => (typeof field === 'number' ? varint(field) : field))])

const withLength = (bytes: Uint8Array): Buffer => Buffer.concat([varint(bytes.length), bytes])

export const PING = Buffer.of(1)

/** Acknowledges `largest` and `first` packets before it, then pairs of gap and length. */
export const ack = (largest: number, first = 0, pairs: readonly number[] = [], delay = 0): Buffer =>
  frame(0x02, largest, delay, pairs.length / 2, first, ...pairs)
export const resetStream = (stream: number, code = 0, finalSize = 0): Buffer => frame(0x04, stream, code, finalSize)
export const stopSending = (stream: number, code = 0): Buffer => frame(0x05, stream, code)
export const crypto = (offset: number, data: Uint8Array): Buffer => frame(0x06, offset, withLength(data))
export const newToken = (token: Uint8Array): Buffer => frame(0x07, withLength(token))
export const stream = (id: number, offset: number, data: Uint8Array, finish = false): Buffer =>
  frame(0x0e | (finish ? 1 : 0), id, offset, withLength(data))
export const maxData = (bytes: number): Buffer => frame(0x10, bytes)
export const maxStreamData = (id: number, bytes: number): Buffer => frame(0x11, id, bytes)
export const maxStreams = (count: number): Buffer => frame(0x13, count)
export const dataBlocked = (limit: number): Buffer => frame(0x14, limit)
export const newConnectionId = (number: number, retirePriorTo: number, id: Uint8Array, token: Uint8Array): Buffer =>
  frame(0x18, number, retirePriorTo, Buffer.of(id.length), id, token)
export const retireConnectionId = (number: number): Buffer => frame(0x19, number)
export const pathChallenge = (data: Uint8Array): Buffer => frame(0x1a, data)
export const pathResponse = (data: Uint8Array): Buffer => frame(0x1b, data)
export const connectionClose = (code: number, reason: Uint8Array): Buffer => frame(0x1c, code, 0, withLength(reason))
export const applicationClose = (code: number, reason: Uint8Array): Buffer => frame(0x1d, code, withLength(reason))
export const handshakeDone = Buffer.of(0x1e)
export const datagram = (data: Uint8Array): Buffer => frame(0x31, withLength(data))

export interface ReadFrame {
  readonly type: number
  /** Its integers in their order, without lengths. */
  readonly numbers: readonly number[]
  readonly data: Buffer
}

/** Integers before the data, per type. */
const NUMBERS: Readonly<Record<number, number>> = {
  1: 0,
  4: 3,
  5: 2,
  16: 1,
  17: 2,
  18: 1,
  19: 1,
  20: 1,
  21: 2,
  22: 1,
  23: 1,
  25: 1,
  30: 0,
}

/** All frames of a payload but padding. Throws for what is none. */
export const readFrames = (payload: Buffer): ReadFrame[] => {
  const frames: ReadFrame[] = []
  let at = 0
  const integer = (): number => {
    const size = 1 << (payload[at]! >> 6)
    const bytes = Buffer.from(payload.subarray(at, at + size))
    bytes[0] = bytes[0]! & 0x3f
    at += size
    return size < 8 ? bytes.readUIntBE(0, size) : Number(bytes.readBigUInt64BE())
  }
  const data = (length: number): Buffer => {
    if (at + length > payload.length) throw new Error('a frame is cut off')
    at += length
    return payload.subarray(at - length, at)
  }
  const read = (type: number): ReadFrame => {
    const plain = NUMBERS[type]
    if (plain !== undefined) return { type, numbers: Array.from({ length: plain }, integer), data: data(0) }
    if (type === 2 || type === 3) {
      const numbers = [integer(), integer(), integer(), integer()]
      for (let pairs = numbers[2]! * 2; pairs > 0; pairs--) numbers.push(integer())
      return { type, numbers, data: data(0) }
    }
    if (type === 6) return { type, numbers: [integer()], data: data(integer()) }
    if (type === 7) return { type, numbers: [], data: data(integer()) }
    if (type >= 8 && type <= 15) {
      const numbers = [integer(), type & 4 ? integer() : 0]
      return { type, numbers, data: data(type & 2 ? integer() : payload.length - at) }
    }
    if (type === 24) return { type, numbers: [integer(), integer()], data: data(payload[at++]! + 16) }
    if (type === 26 || type === 27) return { type, numbers: [], data: data(8) }
    if (type === 28) return { type, numbers: [integer(), integer()], data: data(integer()) }
    if (type === 29) return { type, numbers: [integer()], data: data(integer()) }
    if (type === 48) return { type, numbers: [], data: data(payload.length - at) }
    if (type === 49) return { type, numbers: [], data: data(integer()) }
    throw new Error(`no frame of type ${type} is known`)
  }
  while (at < payload.length) {
    const type = integer()
    if (type !== 0) frames.push(read(type))
  }
  return frames
}
