/**
 * Proof of membership: an HMAC-SHA256 that only a holder of the cluster's proof key can make, over everything that makes
 * this handshake this one.
 *
 * Both keys are in it, so a relay between two honest nodes, which must show a key of its own to each, has no use for
 * either proof. The role is in it, so a proof cannot be returned to its sender. Both nonces are in it, so it is worth
 * nothing later. The transcript (a hash of both hello messages as sent) is in it, so versions and capabilities cannot
 * be talked down on the way. Every field is preceded by its length: no two sets of parts give the same bytes.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'

/** Opens the encoding, and keeps this use of the key apart from the others. */
const CONTEXT = 'skein v1 membership'
/** Of a challenge within a session, and of the proof that answers it. */
const CHALLENGE_CONTEXT = 'skein v1 challenge'
const ANSWER_CONTEXT = 'skein v1 answer'
const LENGTH_BYTES = 4

/** What one side said of itself. */
export interface ProofSide {
  /** Raw Ed25519 key of the verified certificate, not of the hello. */
  readonly publicKey: Uint8Array
  readonly name: string
  readonly incarnation: string
  readonly nonce: Uint8Array
}

export interface ProofParts {
  /** Who makes this proof. */
  readonly role: 'initiator' | 'acceptor'
  readonly initiator: ProofSide
  readonly acceptor: ProofSide
  /** Hash of both hello messages. */
  readonly transcript: Uint8Array
}

/**
 * The parts of a proof within a session that is up (src/cluster/standing.ts): the nonces of both sides tie it to this
 * session, that of the challenge to this very question.
 */
export interface SessionProofParts {
  readonly kind: 'challenge' | 'answer'
  /** Who makes this proof. */
  readonly role: 'initiator' | 'acceptor'
  readonly initiator: ProofSide
  readonly acceptor: ProofSide
  /** Of the challenge. */
  readonly nonce: Uint8Array
}

/** The proof, 32 bytes. `key` is ClusterKeys.proof. */
export const proofOf = (key: Uint8Array, parts: ProofParts): Uint8Array => macOf(key, fieldsOf(parts))

/** The same within a session. */
export const sessionProofOf = (key: Uint8Array, parts: SessionProofParts): Uint8Array =>
  macOf(key, [
    parts.kind === 'challenge' ? CHALLENGE_CONTEXT : ANSWER_CONTEXT,
    parts.role,
    ...sideFields(parts.initiator),
    ...sideFields(parts.acceptor),
    parts.nonce,
  ])

const macOf = (key: Uint8Array, fields: readonly (string | Uint8Array)[]): Uint8Array => {
  const mac = createHmac('sha256', key)
  for (const field of fields) {
    const bytes = typeof field === 'string' ? Buffer.from(field) : field
    const length = Buffer.alloc(LENGTH_BYTES)
    length.writeUInt32BE(bytes.length)
    mac.update(length).update(bytes)
  }
  return new Uint8Array(mac.digest())
}

/** True if `proof` is the one these parts call for; takes the same time wherever it differs. */
export const proofMatches = (key: Uint8Array, parts: ProofParts, proof: Uint8Array): boolean =>
  isEqual(proofOf(key, parts), proof)

/** The same within a session. */
export const sessionProofMatches = (key: Uint8Array, parts: SessionProofParts, proof: Uint8Array): boolean =>
  isEqual(sessionProofOf(key, parts), proof)

const isEqual = (expected: Uint8Array, proof: Uint8Array): boolean =>
  proof.length === expected.length && timingSafeEqual(proof, expected)

const fieldsOf = ({ role, initiator, acceptor, transcript }: ProofParts): readonly (string | Uint8Array)[] => [
  CONTEXT,
  role,
  ...sideFields(initiator),
  ...sideFields(acceptor),
  transcript,
]

const sideFields = ({ publicKey, name, incarnation, nonce }: ProofSide): readonly (string | Uint8Array)[] => [
  publicKey,
  name,
  incarnation,
  nonce,
]
