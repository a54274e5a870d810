/**
 * Registrations in a TXT record: one string each, "r0=name", "r1=other;key=value;key=value", parts percent-encoded.
 *
 * Keys of a TXT record are to be unique, hence the numbers (RFC 6763 section 6.4). What does not fit a string of 255 bytes,
 * or all of them together the packet, is left out; what cannot be read is ignored, since anybody on the LAN can say anything.
 */
import type { Registration } from '../source.ts'

const MAX_STRING_BYTES = 255
/** All of them: a probe has to hold the TXT record beside question and SRV record, and a node's name may be long. */
const MAX_TOTAL_BYTES = 600
const MAX_READ = 8
const MAX_ENTRIES = 16
const NAME = /^[\x21-\x7e]{1,255}$/

export const registrationTexts = (registrations: readonly Registration[] = []): string[] => {
  let roomBytes = MAX_TOTAL_BYTES
  return registrations.flatMap(({ name, metadata }, index) => {
    const text = textOf(index, name, metadata)
    const bytes = text === undefined ? 0 : Buffer.byteLength(text) + 1
    if (text === undefined || bytes > MAX_STRING_BYTES + 1 || bytes > roomBytes) return []
    roomBytes -= bytes
    return [text]
  })
}

/** Undefined for halves of characters, which cannot be encoded. */
const textOf = (index: number, name: string, metadata: Registration['metadata']): string | undefined => {
  try {
    const entries = Object.entries(metadata).map((entry) => entry.map(encodeURIComponent).join('='))
    return [`r${index}=${encodeURIComponent(name)}`, ...entries].join(';')
  } catch {
    return undefined
  }
}

/** `values`: the strings of a TXT record by key, in lower case. */
export const readRegistrations = (values: ReadonlyMap<string, string>): Registration[] =>
  Array.from({ length: MAX_READ }, (_, index) => values.get(`r${index}`)).flatMap((text) => {
    const [name = '', ...entries] = text?.split(';') ?? []
    const plain = decode(name)
    if (plain === undefined || !NAME.test(plain)) return []
    const metadata = entries.slice(0, MAX_ENTRIES).flatMap((entry) => {
      const [key, value] = entry.split('=').map(decode)
      return key === undefined || value === undefined ? [] : [[key, value] as const]
    })
    return [{ name: plain, metadata: Object.fromEntries(metadata) }]
  })

const decode = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
