/** The part of bencode 4 that bencode.ts uses; the package brings no types. */
declare module 'bencode' {
  interface Bencode {
    decode(data: Uint8Array): unknown
    encode(value: number | string | Uint8Array): Uint8Array
  }

  const bencode: Bencode
  export default bencode
}
