/**
 * Frames with which a node that lost a member asks others whether they still see it: encoding, bounded decoding, and the
 * member's own word.
 *
 *   asker -- ask --> witness -- relay --> member
 *   asker <-- answer -- witness <-- word -- member
 *
 * The word is signed with the member's key and covers asker and nonce, so that a witness can keep silent about a member
 * but not invent one. What it does not do: decide anything (overlap.ts), or look at who may ask how often.
 */
import { isNodeId, nodeIdOf } from '../../certs/node-id.ts'
import { isSignedBy, type SigningKey } from '../../certs/signing-key.ts'
import { ByteReader, ByteWriter, malformed } from '../wire/bytes.ts'
import { INCARNATION } from './control.ts'

export const SIGHT_NONCE_BYTES = 12
const KEY_BYTES = 32
const SIGNATURE_BYTES = 64
const ID_BYTES = 32

const DOMAIN = 'skein v2 sight'

/** How old a node is, as the order of starts goes; the lesser is the older. */
export interface Age {
  readonly incarnation: string
  readonly id: string
}

/** What a member says of itself. */
export interface SightClaim extends Age {
  /** It believes to be connected to the asker. */
  readonly connected: boolean
  /** Members it has lost that others still see. */
  readonly lost: number
  /** The oldest of them. */
  readonly oldest: Age
}

/** A claim with the proof whose it is. */
export interface Word {
  readonly claim: SightClaim
  readonly publicKey: Uint8Array
  readonly signature: Uint8Array
}

export type Sight =
  /** `relay`: the member's own word is wanted too. */
  | { readonly type: 'ask'; readonly nonce: Uint8Array; readonly target: string; readonly relay: boolean }
  | { readonly type: 'relay'; readonly nonce: Uint8Array; readonly asker: string }
  | { readonly type: 'word'; readonly nonce: Uint8Array; readonly asker: string; readonly word: Word }
  /** Without a word it is the witness's own sight alone. */
  | { readonly type: 'answer'; readonly nonce: Uint8Array; readonly sees: boolean; readonly word: Word | undefined }

const KINDS = ['ask', 'relay', 'word', 'answer'] as const

export const encodeSight = (sight: Sight): Uint8Array => {
  const out = new ByteWriter().u8(KINDS.indexOf(sight.type)).raw(sight.nonce)
  if (sight.type === 'ask')
    return out
      .text(sight.target)
      .u8(sight.relay ? 1 : 0)
      .done()
  if (sight.type === 'answer') {
    out.u8((sight.sees ? 1 : 0) | (sight.word === undefined ? 0 : 2))
    return (sight.word === undefined ? out : writeWord(out, sight.word)).done()
  }
  out.text(sight.asker)
  return (sight.type === 'word' ? writeWord(out, sight.word) : out).done()
}

/** Throws ERR_SKEIN_PROTOCOL. The result shares no memory with `bytes`. */
export const decodeSight = (bytes: Uint8Array): Sight => {
  const reader = new ByteReader(Uint8Array.from(bytes))
  const type = KINDS[reader.u8()]
  const nonce = reader.raw(SIGHT_NONCE_BYTES)
  const sight = readRest(type, nonce, reader)
  reader.end()
  return sight
}

const readRest = (type: Sight['type'] | undefined, nonce: Uint8Array, reader: ByteReader): Sight => {
  switch (type) {
    case 'ask':
      return { type, nonce, target: readId(reader), relay: (reader.u8() & 1) !== 0 }
    case 'relay':
      return { type, nonce, asker: readId(reader) }
    case 'word':
      return { type, nonce, asker: readId(reader), word: readWord(reader) }
    case 'answer': {
      const flags = reader.u8()
      return { type, nonce, sees: (flags & 1) !== 0, word: (flags & 2) === 0 ? undefined : readWord(reader) }
    }
    default:
      throw malformed('a question of an unknown kind')
  }
}

const writeWord = (out: ByteWriter, { claim, publicKey, signature }: Word): ByteWriter =>
  writeClaim(out, claim).raw(publicKey).raw(signature)

const readWord = (reader: ByteReader): Word => ({
  claim: readClaim(reader),
  publicKey: reader.raw(KEY_BYTES),
  signature: reader.raw(SIGNATURE_BYTES),
})

const writeClaim = (out: ByteWriter, { id, incarnation, connected, lost, oldest }: SightClaim): ByteWriter =>
  out
    .text(id)
    .text(incarnation)
    .u8(connected ? 1 : 0)
    .u16(Math.min(lost, 0xffff))
    .text(oldest.id)
    .text(oldest.incarnation)

const readClaim = (reader: ByteReader): SightClaim => ({
  ...readAge(reader),
  connected: reader.u8() !== 0,
  lost: reader.u16(),
  oldest: readAge(reader),
})

const readAge = (reader: ByteReader): Age => {
  const id = readId(reader)
  const incarnation = reader.text(16)
  if (!INCARNATION.test(incarnation)) throw malformed('a malformed incarnation')
  return { id, incarnation }
}

const readId = (reader: ByteReader): string => {
  const id = reader.text(ID_BYTES)
  if (!isNodeId(id)) throw malformed('a malformed id')
  return id
}

const signedBytes = (claim: SightClaim, asker: string, nonce: Uint8Array): Uint8Array =>
  writeClaim(new ByteWriter().text(DOMAIN).text(asker).raw(nonce), claim).done()

export const giveWord = (key: SigningKey, claim: SightClaim, asker: string, nonce: Uint8Array): Word => ({
  claim,
  publicKey: key.publicKey,
  signature: key.sign(signedBytes(claim, asker, nonce)),
})

/** Whether it is that member's word for this asker and nonce. */
export const isWordOf = (
  { claim, publicKey, signature }: Word,
  id: string,
  asker: string,
  nonce: Uint8Array,
): boolean =>
  claim.id === id && nodeIdOf(publicKey) === id && isSignedBy(publicKey, signedBytes(claim, asker, nonce), signature)
