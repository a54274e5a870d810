/**
 * Which of two hosts gets a name that both probe for at once (RFC 6762 section 8.2): what each proposes is compared byte by
 * byte, and the later one wins. Both sides come to the same result without another word.
 */
import ipaddr from 'ipaddr.js'
import { type ResourceRecord, TYPE_NUMBERS } from './packet.ts'

/** Below zero if `ours` loses, above if it wins, zero if both propose the same. */
export const compareProposals = (ours: readonly ResourceRecord[], theirs: readonly ResourceRecord[]): number => {
  const own = inOrder(ours)
  const other = inOrder(theirs)
  for (let i = 0; i < Math.min(own.length, other.length); i++) {
    const order = Buffer.compare(own[i]!, other[i]!)
    if (order !== 0) return order
  }
  return own.length - other.length
}

/** Section 8.2.1: by class, which is always IN here, then type, then data. */
const inOrder = (records: readonly ResourceRecord[]): Buffer[] =>
  records.map((record) => Buffer.concat([uint16(TYPE_NUMBERS[record.type]), dataOf(record)])).sort(Buffer.compare)

/** As on the wire, with names in full. */
const dataOf = (record: ResourceRecord): Buffer => {
  switch (record.type) {
    case 'PTR':
      return nameBytes(record.target)
    case 'SRV': {
      const { priority, weight, port, target } = record
      return Buffer.concat([uint16(priority), uint16(weight), uint16(port), nameBytes(target)])
    }
    case 'TXT':
      return Buffer.concat(record.strings.map(counted))
    case 'A':
    case 'AAAA':
      return Buffer.from(ipaddr.parse(record.host).toByteArray())
    case 'NSEC':
      return nameBytes(record.name)
  }
}

const uint16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

const counted = (text: string): Buffer => {
  const bytes = Buffer.from(text)
  return Buffer.concat([Buffer.of(bytes.length), bytes])
}

const nameBytes = (name: string): Buffer => Buffer.concat([...name.split('.').map(counted), Buffer.of(0)])
