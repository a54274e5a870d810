/**
 * Multicast DNS packets as the cores see them: typed, checked, free of the library that codes them.
 *
 * Only what DNS-SD needs is here (PTR, SRV, TXT, A, AAAA, NSEC of class IN); socket.ts drops every other record at the
 * border.
 * Names keep their case and are compared by `nameKey` (RFC 6762 section 16). Sizes count names in full: the encoder does
 * not compress, so a packet is exactly as long as computed here.
 */

export type RecordType = 'PTR' | 'SRV' | 'TXT' | 'A' | 'AAAA' | 'NSEC'
/** OTHER stands for the types that we never have: who asks for one learns that, if the name is ours. */
export type QuestionType = RecordType | 'ANY' | 'OTHER'

/** RFC 1035 section 3.2.2, RFC 3596, RFC 2782, RFC 4034. */
export const TYPE_NUMBERS: Readonly<Record<RecordType, number>> = {
  A: 1,
  PTR: 12,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  NSEC: 47,
}

export interface Question {
  readonly name: string
  readonly type: QuestionType
}

interface RecordBase {
  readonly name: string
  readonly ttlSeconds: number
  /** The cache-flush bit: these are all records of this name and type (RFC 6762 section 10.2). Never set on PTR. */
  readonly flush: boolean
}

export interface PointerRecord extends RecordBase {
  readonly type: 'PTR'
  readonly target: string
}

export interface ServiceRecord extends RecordBase {
  readonly type: 'SRV'
  readonly priority: number
  readonly weight: number
  readonly port: number
  readonly target: string
}

export interface TextRecord extends RecordBase {
  readonly type: 'TXT'
  readonly strings: readonly string[]
}

export interface AddressRecord extends RecordBase {
  readonly type: 'A' | 'AAAA'
  /** Without zone. */
  readonly host: string
}

/** The name has records of these types and of no other (RFC 6762 section 6.1). */
export interface DenialRecord extends RecordBase {
  readonly type: 'NSEC'
  readonly types: readonly RecordType[]
}

export type ResourceRecord = PointerRecord | ServiceRecord | TextRecord | AddressRecord | DenialRecord

export interface Packet {
  readonly kind: 'query' | 'response'
  /** Zero in multicast; an answer to a plain resolver repeats the question's (RFC 6762 sections 6.7, 18.1). */
  readonly id: number
  readonly questions: readonly Question[]
  /** In a query: the answers that the asker knows already (RFC 6762 section 7.1). */
  readonly answers: readonly ResourceRecord[]
  /** In a query: what the asker proposes to claim, which makes the query a probe (RFC 6762 section 8.2). */
  readonly authorities: readonly ResourceRecord[]
  readonly additionals: readonly ResourceRecord[]
  /** The TC bit: more known answers follow in the next packet (RFC 6762 section 7.2). */
  readonly truncated: boolean
}

/** Fits every path of a LAN with its headers; larger ones would be cut up by IP, and some networks drop the pieces. */
export const MAX_PACKET_BYTES = 1400

const LEGACY_TTL_SECONDS = 10
const HEADER_BYTES = 12
/** Type and class. */
const QUESTION_FIXED_BYTES = 4
/** Type, class, TTL and length of the data. */
const RECORD_FIXED_BYTES = 10
/** Priority, weight and port. */
const SERVICE_FIXED_BYTES = 6

/** What names are compared by: DNS ignores the case of ASCII letters. */
export const nameKey = (name: string): string => name.toLowerCase()

/** The same for two records that say the same thing; TTL and cache-flush bit aside. */
export const recordKey = (record: ResourceRecord): string =>
  `${record.type} ${nameKey(record.name)} ${recordDataKey(record)}`

const recordDataKey = (record: ResourceRecord): string => {
  switch (record.type) {
    case 'PTR':
      return nameKey(record.target)
    case 'SRV':
      return `${record.priority} ${record.weight} ${record.port} ${nameKey(record.target)}`
    case 'TXT':
      return JSON.stringify(record.strings)
    case 'A':
    case 'AAAA':
      return record.host
    case 'NSEC':
      return record.types.join()
  }
}

/** On the wire a label has its length before it, and an empty one ends the name. */
const nameBytes = (name: string): number => Buffer.byteLength(name) + 2

const recordBytes = (record: ResourceRecord): number => {
  const bytes = nameBytes(record.name) + RECORD_FIXED_BYTES
  switch (record.type) {
    case 'PTR':
      return bytes + nameBytes(record.target)
    case 'SRV':
      return bytes + SERVICE_FIXED_BYTES + nameBytes(record.target)
    case 'TXT':
      return record.strings.reduce((sum, text) => sum + 1 + Buffer.byteLength(text), bytes)
    case 'A':
      return bytes + 4
    case 'AAAA':
      return bytes + 16
    case 'NSEC':
      return bytes + nameBytes(record.name) + bitmapBytes(record.types)
  }
}

/** RFC 4034 section 4.1.2: the number of the block, its length, and a bit for each type up to the greatest. */
const bitmapBytes = (types: readonly RecordType[]): number =>
  types.length === 0 ? 0 : 3 + Math.floor(Math.max(...types.map((type) => TYPE_NUMBERS[type])) / 8)

const questionBytes = (question: Question): number => nameBytes(question.name) + QUESTION_FIXED_BYTES

export const packetBytes = (packet: Packet): number =>
  HEADER_BYTES +
  packet.questions.reduce((sum, question) => sum + questionBytes(question), 0) +
  packet.answers.reduce((sum, record) => sum + recordBytes(record), 0) +
  packet.authorities.reduce((sum, record) => sum + recordBytes(record), 0) +
  packet.additionals.reduce((sum, record) => sum + recordBytes(record), 0)

/** Cuts a list into runs that fit a packet. What does not fit even alone is left out. */
const chunks = <T>(items: readonly T[], sizeOf: (item: T) => number, firstLimit: number, limit: number): T[][] => {
  const result: T[][] = [[]]
  let left = firstLimit
  for (const item of items) {
    const bytes = sizeOf(item)
    if (bytes > limit) continue
    if (bytes > left) {
      result.push([])
      left = limit
    }
    result.at(-1)!.push(item)
    left -= bytes
  }
  return result
}

const EMPTY: Omit<Packet, 'kind'> = {
  id: 0,
  questions: [],
  answers: [],
  authorities: [],
  additionals: [],
  truncated: false,
}

const ROOM_BYTES = MAX_PACKET_BYTES - HEADER_BYTES

/** Responses with these answers. Additional records ride along where they fit the last packet; they are never needed. */
export const responses = (
  answers: readonly ResourceRecord[],
  additionals: readonly ResourceRecord[] = [],
): Packet[] => {
  if (answers.length === 0) return []
  const packets = chunks(answers, recordBytes, ROOM_BYTES, ROOM_BYTES).filter((chunk) => chunk.length > 0)
  return packets.map((chunk, index): Packet => {
    const packet: Packet = { ...EMPTY, kind: 'response', answers: chunk }
    if (index < packets.length - 1) return packet
    const room = MAX_PACKET_BYTES - packetBytes(packet)
    return { ...packet, additionals: chunks(additionals, recordBytes, room, room)[0]! }
  })
}

/** Queries with these questions; the known answers belong to the last of them. */
export const queries = (questions: readonly Question[], known: readonly ResourceRecord[] = []): Packet[] => {
  if (questions.length === 0) return []
  const query = (asked: readonly Question[], answers: readonly ResourceRecord[], truncated: boolean): Packet => ({
    ...EMPTY,
    kind: 'query',
    questions: asked,
    answers,
    truncated,
  })
  const asked = chunks(questions, questionBytes, ROOM_BYTES, ROOM_BYTES).filter((chunk) => chunk.length > 0)
  const last = asked.pop()
  if (last === undefined) return []
  const room = MAX_PACKET_BYTES - packetBytes(query(last, [], false))
  const answers = chunks(known, recordBytes, room, ROOM_BYTES)
  return [
    ...asked.map((chunk) => query(chunk, [], false)),
    ...answers.map((chunk, index) => query(index === 0 ? last : [], chunk, index < answers.length - 1)),
  ]
}

/** Asks who has these names, and says what this node proposes for them: all of it, or ties could not be broken. */
export const probes = (names: readonly string[], proposed: readonly ResourceRecord[]): Packet[] => {
  const probe = (asked: readonly string[]): Packet => ({
    ...EMPTY,
    kind: 'query',
    questions: asked.map((name) => ({ name, type: 'ANY' })),
    authorities: proposed.filter((record) => asked.some((name) => nameKey(name) === nameKey(record.name))),
  })
  const together = probe(names)
  return packetBytes(together) <= MAX_PACKET_BYTES ? [together] : names.map((name) => probe([name]))
}

/**
 * The answer to a plain resolver, who asked from another port than 5353 (RFC 6762 section 6.7): with its id and question,
 * no longer than 10 s to keep, without the cache-flush bit. Undefined if it fits no packet.
 */
export const legacyResponse = (query: Packet, answers: readonly ResourceRecord[]): Packet | undefined => {
  const capped = answers.map((record) => ({
    ...record,
    ttlSeconds: Math.min(record.ttlSeconds, LEGACY_TTL_SECONDS),
    flush: false,
  }))
  const packet: Packet = { ...EMPTY, kind: 'response', id: query.id, questions: query.questions, answers: capped }
  return packetBytes(packet) <= MAX_PACKET_BYTES ? packet : undefined
}
