/** What the tests of the DHT's stores share: signers, items, and someone who asks a responder in datagrams. */
import { SEED_BYTES, type SigningKey, signingKeyFromSeed } from '../../../certs/signing-key.ts'
import { encode } from '../../../discovery/dht/bencode.ts'
import { compareDistance } from '../../../discovery/dht/dht-id.ts'
import { decodeMessage, encodeMessage } from '../../../discovery/dht/krpc.ts'
import type { Contact, DhtKey, Fault, ItemBody, Query, Reply } from '../../../discovery/dht/message.ts'
import { type ContactTable, Responder, type ResponderOptions } from '../../../discovery/dht/responder.ts'
import { makeMutable } from '../../../discovery/dht/signed-item.ts'
import type { Address } from '../../../transport/address.ts'
import { seededRandom } from '../../../transport/random.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'

/** The key pair of this number. */
export const signerOf = (number: number): SigningKey => signingKeyFromSeed(seededRandom(number).bytes(SEED_BYTES))

/** A signed item with this text as its value. */
export const mutableItem = (signer: SigningKey, sequence: number, text: string, salt?: Uint8Array): ItemBody =>
  makeMutable({ ...signer, sequence, value: encode(text), ...(salt === undefined ? {} : { salt }) })

/** An item that nobody signed, for stores that do not look at signatures. */
export const unsignedItem = (publicKey: Uint8Array, sequence: number, text: string): ItemBody => ({
  value: encode(text),
  mutable: { publicKey, sequence, signature: new Uint8Array(64) },
})

/** The id of this number: uniform, and the same each time. */
export const keyOf = (number: number): DhtKey => seededRandom(number).bytes(20)

/** A table of these contacts. */
export const tableOf = (id: DhtKey, contacts: readonly Contact[] = []): ContactTable => ({
  id,
  closest: (target, count) => contacts.toSorted((a, b) => compareDistance(target, a.id, b.id)).slice(0, count),
})

export const contactsOf = (count: number, host: (i: number) => string): Contact[] =>
  Array.from({ length: count }, (_, i) => ({ id: keyOf(1000 + i), address: { host: host(i), port: 6881 + i } }))

export const OWN_ID = keyOf(1)
export const ASKER_ID = keyOf(2)
export const TRANSACTION = Uint8Array.of(1, 2, 3, 4)

/** A query without what is the same in all of them. */
export type Question = Query extends infer Kind
  ? Kind extends Query
    ? Omit<Kind, 'kind' | 'transaction' | 'id' | 'readOnly' | 'version'> & { readOnly?: boolean }
    : never
  : never

/** A responder with virtual time, asked in datagrams as the network would. */
export class Desk {
  readonly clock = new VirtualClock()
  readonly responder: Responder
  /** Bytes received and sent. */
  readonly bytes = { in: 0, out: 0 }

  constructor(options: Partial<ResponderOptions> = {}) {
    this.responder = new Responder({
      clock: this.clock,
      random: seededRandom(7),
      tables: new Map([['ip4', tableOf(OWN_ID)]]),
      ...options,
    })
  }

  /** What a datagram from there is answered with. */
  receive(datagram: Uint8Array, from: Address): Uint8Array | undefined {
    const message = decodeMessage(datagram)
    if (message?.kind !== 'query' && message?.kind !== 'malformed') return undefined
    const answer = this.responder.answer(message, from, datagram.length)
    this.bytes.in += datagram.length
    this.bytes.out += answer?.length ?? 0
    return answer
  }

  ask(question: Question, from: Address = alice): Reply | Fault | undefined {
    const query = { kind: 'query', transaction: TRANSACTION, id: ASKER_ID, readOnly: false, ...question } as Query
    const answer = this.receive(encodeMessage(query), from)
    const message = answer && decodeMessage(answer)
    if (message === undefined) return undefined
    if (message.kind !== 'reply' && message.kind !== 'fault') throw new Error(`answered with ${message.kind}`)
    return message
  }

  reply(question: Question, from: Address = alice): Reply {
    const answer = this.ask(question, from)
    if (answer?.kind === 'reply') return answer
    throw new Error(`no reply to ${question.method}: ${answer?.code} ${answer?.message}`)
  }

  /** The code of the fault, 'stored', or 'silence'. */
  outcome(question: Question, from: Address = alice): number | 'stored' | 'silence' {
    const answer = this.ask(question, from)
    return answer === undefined ? 'silence' : answer.kind === 'fault' ? answer.code : 'stored'
  }

  /** A token for items and for peers under this key. */
  token(target: DhtKey, from: Address = alice): Uint8Array {
    return this.reply({ method: 'get', target, want: [] }, from).token!
  }
}

export const alice: Address = { host: '192.0.2.1', port: 7001 }
export const bob: Address = { host: '198.51.100.2', port: 7002 }

/** A host of its own network for every number. */
export const hostOf = (number: number): string =>
  `${1 + (number % 223)}.${Math.floor(number / 223) % 256}.${Math.floor(number / 223 / 256) % 256}.9`
