/**
 * Whole numbers from 0 to 2^53 - 1 in as few bytes as they need: unsigned LEB128, as in Protocol Buffers and WebAssembly,
 * with one form per number (none longer than needed).
 */

/** Seven bits a byte, lowest first, the high bit says that more follow: up to 8 bytes for 2^53. */
export const writeVarint = (bytes: Uint8Array, position: number, value: number): number => {
  let rest = value
  while (rest >= 0x80) {
    bytes[position++] = (rest % 0x80) | 0x80
    rest = rest < 0x80000000 ? rest >>> 7 : Math.floor(rest / 0x80)
  }
  bytes[position++] = rest
  return position
}

export const MAX_VARINT_BYTES = 8

/** The varint at `position`, or -1 if it is longer than needed, beyond 2^53 or cut off by `end`. See writeVarint. */
export const readVarint = (bytes: Uint8Array, position: number, end: number): number => {
  let value = 0
  let scale = 1
  for (let i = position; i < end && i < position + MAX_VARINT_BYTES; i++) {
    const byte = bytes[i]!
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return value > Number.MAX_SAFE_INTEGER || (byte === 0 && i > position) ? -1 : value
    scale *= 0x80
  }
  return -1
}

/** How many bytes writeVarint makes of it. */
export const varintBytes = (value: number): number => {
  let count = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) count++
  return count
}
