/**
 * What members say of themselves and of each other, as signed bytes: so that it can be passed on by anybody, and changed
 * by nobody.
 *
 * An announcement is of oneself: name, incarnation, addresses, and a refutation number that only its owner can raise. A
 * doubt is of another: that its signer misses a sign of life ('suspect'), or has waited for one in vain ('down'). It is
 * bound to the incarnation and the refutation number of its subject, so one refutation makes all doubts before it void.
 * Every statement carries the public key of its signer, whose hash is the signer's id, and holds for one cluster. A hint
 * is unsigned: a member of which there is no announcement, for whoever wants to dial it. What it does not do: judge who may
 * say what (gossip.ts and suspicions.ts do).
 */
import { createHash } from 'node:crypto'
import { isNodeId, nodeIdOf } from '../../../certs/node-id.ts'
import { isSignedBy, type SigningKey } from '../../../certs/signing-key.ts'
import type { Address } from '../../../transport/address.ts'
import { ByteReader, ByteWriter, malformed } from '../../wire/bytes.ts'
import { INCARNATION, type PeerHint, readAddresses, writeAddresses } from '../control.ts'
import { isNodeName, MAX_NODE_NAME_BYTES } from '../node-name.ts'

const PUBLIC_KEY_BYTES = 32
const SIGNATURE_BYTES = 64
const MAX_STATEMENT_BYTES = 4096
/** What is signed begins with this and what stands for the cluster. */
const CONTEXT = 'skein v2 membership'
const INCARNATION_CHARACTERS = 16
const ID_CHARACTERS = 32
const CLUSTER_MARK_CHARACTERS = 16
/** Where others saw it, at most so many addresses beside those it tells itself. */
const MAX_SEEN_ADDRESSES = 2

const KIND = { announcement: 1, doubt: 2, hint: 3 } as const
const FLAG_LEFT = 1
const LEVEL = { suspect: 1, down: 2 } as const

/** The bytes that travel, and were or will be checked. */
interface Signed {
  readonly signer: string
  readonly publicKey: Uint8Array
  readonly body: Uint8Array
  readonly signature: Uint8Array
}

export interface Announcement extends Signed {
  readonly kind: 'announcement'
  readonly name: string
  readonly incarnation: string
  readonly refutation: number
  /** It has left for good, as this incarnation. */
  readonly hasLeft: boolean
  readonly addresses: readonly Address[]
  /** Not signed: where whoever passes it on sees the member. */
  readonly seenAt: readonly Address[]
}

export interface Doubt extends Signed {
  readonly kind: 'doubt'
  readonly level: 'suspect' | 'down'
  readonly subject: string
  readonly incarnation: string
  readonly refutation: number
}

export interface Hint {
  readonly kind: 'hint'
  readonly hint: PeerHint
}

export type Statement = Announcement | Doubt
export type GossipItem = Statement | Hint

/**
 * What stands for the cluster in what is signed: 16 hex digits of SHA-256 of its name. It does not depend on the cookie, so
 * that statements go on to hold when that changes: who may pass them on is settled by the proof of membership.
 */
export const clusterMark = (cluster: string): string =>
  createHash('sha256').update(`skein cluster\0${cluster}`).digest('hex').slice(0, CLUSTER_MARK_CHARACTERS)

/** Signs for one node of one cluster, and checks what others have signed. */
export class Notary {
  readonly #context: Buffer
  readonly #key: SigningKey
  readonly #id: string

  /** `mark` is that of `clusterMark`. */
  constructor(key: SigningKey, mark: string) {
    this.#context = Buffer.from(`${CONTEXT} ${mark} `)
    this.#key = key
    this.#id = nodeIdOf(key.publicKey)
  }

  announce(said: Pick<Announcement, 'name' | 'incarnation' | 'refutation' | 'hasLeft' | 'addresses'>): Announcement {
    const body = new ByteWriter()
      .bytes(this.#key.publicKey)
      .u8(said.hasLeft ? FLAG_LEFT : 0)
      .text(said.name)
      .text(said.incarnation)
      .u32(said.refutation)
    return {
      kind: 'announcement',
      ...said,
      seenAt: [],
      ...this.#sign(KIND.announcement, writeAddresses(body, said.addresses).done()),
    }
  }

  doubt(said: Pick<Doubt, 'level' | 'subject' | 'incarnation' | 'refutation'>): Doubt {
    const body = new ByteWriter()
      .bytes(this.#key.publicKey)
      .u8(LEVEL[said.level])
      .text(said.subject)
      .text(said.incarnation)
      .u32(said.refutation)
      .done()
    return { kind: 'doubt', ...said, ...this.#sign(KIND.doubt, body) }
  }

  isGenuine({ kind, publicKey, body, signature }: Statement): boolean {
    return isSignedBy(publicKey, this.#toSign(KIND[kind], body), signature)
  }

  #sign(kind: number, body: Uint8Array): Signed {
    const { publicKey, sign } = this.#key
    return { signer: this.#id, publicKey, body, signature: sign(this.#toSign(kind, body)) }
  }

  #toSign(kind: number, body: Uint8Array): Uint8Array {
    return Buffer.concat([this.#context, Buffer.of(kind), body])
  }
}

export const encodeItem = (item: GossipItem): Uint8Array => {
  const out = new ByteWriter().u8(KIND[item.kind])
  if (item.kind === 'hint') {
    const { name, id, incarnation, addresses } = item.hint
    return writeAddresses(out.text(name).text(id).text(incarnation), addresses).done()
  }
  out.bytes(item.body).raw(item.signature)
  return item.kind === 'announcement'
    ? writeAddresses(out, item.seenAt.slice(0, MAX_SEEN_ADDRESSES)).done()
    : out.done()
}

/** Throws ERR_SKEIN_PROTOCOL for what cannot be read; whether it is genuine is another question. */
export const decodeItem = (reader: ByteReader): GossipItem => {
  const kind = reader.u8()
  if (kind === KIND.hint) return readHint(reader)
  if (kind !== KIND.announcement && kind !== KIND.doubt) throw malformed(`a statement of kind ${kind}`)
  // Copies: what is kept of a frame shall not hold all of it.
  const body = Uint8Array.from(reader.bytes(MAX_STATEMENT_BYTES))
  const signature = Uint8Array.from(reader.raw(SIGNATURE_BYTES))
  const content = new ByteReader(body)
  const publicKey = content.bytes(PUBLIC_KEY_BYTES)
  if (publicKey.length !== PUBLIC_KEY_BYTES) throw malformed('a statement without a key')
  const signed: Signed = { signer: nodeIdOf(publicKey), publicKey, body, signature }
  const statement = kind === KIND.announcement ? readAnnouncement(content, signed) : readDoubt(content, signed)
  content.end()
  return statement.kind === 'announcement' ? { ...statement, seenAt: readAddresses(reader) } : statement
}

const readAnnouncement = (reader: ByteReader, signed: Signed): Announcement => {
  const flags = reader.u8()
  const name = reader.text(MAX_NODE_NAME_BYTES)
  const incarnation = reader.text(INCARNATION_CHARACTERS)
  const refutation = reader.u32()
  const addresses = readAddresses(reader)
  if (!isNodeName(name) || !INCARNATION.test(incarnation)) throw malformed('a malformed announcement')
  const hasLeft = (flags & FLAG_LEFT) !== 0
  return { kind: 'announcement', ...signed, name, incarnation, refutation, hasLeft, addresses, seenAt: [] }
}

const readDoubt = (reader: ByteReader, signed: Signed): Doubt => {
  const level = reader.u8()
  const subject = reader.text(ID_CHARACTERS)
  const incarnation = reader.text(INCARNATION_CHARACTERS)
  const refutation = reader.u32()
  const isLevel = level === LEVEL.suspect || level === LEVEL.down
  if (!isLevel || !isNodeId(subject) || !INCARNATION.test(incarnation)) throw malformed('a malformed doubt')
  return {
    kind: 'doubt',
    ...signed,
    level: level === LEVEL.suspect ? 'suspect' : 'down',
    subject,
    incarnation,
    refutation,
  }
}

const readHint = (reader: ByteReader): Hint => {
  const name = reader.text(MAX_NODE_NAME_BYTES)
  const id = reader.text(ID_CHARACTERS)
  const incarnation = reader.text(INCARNATION_CHARACTERS)
  const addresses = readAddresses(reader)
  if (!isNodeName(name) || !isNodeId(id) || !INCARNATION.test(incarnation)) throw malformed('a malformed hint')
  return { kind: 'hint', hint: { name, id, incarnation, addresses } }
}
