/**
 * With which of the cluster's keys the other side of a session has proven its membership, and how it does so anew.
 *
 * When another key becomes the primary one, who holds only the old one must not stay a member for ever, and who holds both
 * must not lose its connection. So each side challenges the other within the session:
 *
 *   challenge = nonce, 32 bytes | HMAC by the proof key of the new primary    shows that its sender has that key, and which
 *   answer    = nonce           | HMAC by the same key                        proves that the other side has it as well
 *
 * Both cover role, keys, names, incarnations and nonces of both sides (certs/proof.ts). Who does not have the key yet keeps
 * the latest challenge and answers when it has: frames of the control lane are neither lost nor reordered, so nothing is
 * asked twice. Pure: the session sends, and ends. Signals go on as if nothing happened.
 */
import { fingerprintOf, type RingView } from '../../certs/keyring.ts'
import type { ClusterKeys } from '../../certs/keys.ts'
import { type ProofSide, type SessionProofParts, sessionProofMatches, sessionProofOf } from '../../certs/proof.ts'
import { malformed } from '../wire/bytes.ts'
import { CONTROL, NONCE_BYTES } from './control.ts'
import { Allowance } from './membership/allowance.ts'

const MAC_BYTES = 32
const BODY_BYTES = NONCE_BYTES + MAC_BYTES
/** Challenges without an answer so far. Each stands for a change of the primary key. */
const MAX_OPEN = 8
/** Challenges taken of a peer: one for each rotation of its. */
const CHALLENGES = { burst: 64, perSecond: 1 }

type Role = 'initiator' | 'acceptor'

/** How a member was proven: whose part of the handshake the proofs of this session are bound to. */
export interface Proven {
  /** Tells the key, as keyring.ts does. */
  readonly fingerprint: string
  readonly initiator: ProofSide
  readonly acceptor: ProofSide
}

export interface StandingOptions {
  readonly role: Role
  readonly ring: RingView
  readonly proven: Proven
  /** The peer knows these frames. */
  readonly isAble: boolean
  readonly nonce: () => Uint8Array
  readonly nowMs: number
  readonly send: (type: number, body: Uint8Array) => void
}

interface Challenge {
  readonly nonce: Uint8Array
  readonly keys: ClusterKeys
}

export class Standing {
  readonly #options: StandingOptions
  readonly #challenges: Allowance
  #provenBy: string
  /** Sent and not answered, the oldest first. */
  #open: readonly Challenge[] = []
  /** The peer's latest, for which we lack the key. */
  #owed: Uint8Array | undefined

  constructor(options: StandingOptions) {
    this.#options = options
    this.#challenges = new Allowance(CHALLENGES, options.nowMs)
    this.#provenBy = options.proven.fingerprint
  }

  /** Fingerprint of the key by which the peer was proven last. */
  get provenBy(): string {
    return this.#provenBy
  }

  /** To be asked at the beginning and after each change of the ring. False: none of our keys proves the peer any more. */
  review(): boolean {
    const { ring } = this.#options
    if (!ring.all().some((keys) => fingerprintOf(keys) === this.#provenBy)) return false
    if (this.#owed !== undefined) this.#answer(this.#owed)
    this.#ask(ring.primary)
    return true
  }

  /** The peer's challenge. Throws ERR_SKEIN_PROTOCOL. */
  challenged(body: Uint8Array, nowMs: number): void {
    if (body.length !== BODY_BYTES) throw malformed(`a challenge of ${body.length} bytes`)
    if (!this.#challenges.take(nowMs)) throw malformed('challenges without end')
    this.#answer(Uint8Array.from(body))
  }

  /** The peer's answer. Throws ERR_SKEIN_PROTOCOL for what nobody asked for, and for a wrong one. */
  answered(body: Uint8Array): void {
    if (body.length !== BODY_BYTES) throw malformed(`an answer of ${body.length} bytes`)
    const nonce = body.subarray(0, NONCE_BYTES)
    const index = this.#open.findIndex((one) => Buffer.compare(one.nonce, nonce) === 0)
    const challenge = this.#open[index]
    if (challenge === undefined) throw malformed('an answer to no challenge')
    const { role } = this.#options
    const parts = this.#parts('answer', role === 'initiator' ? 'acceptor' : 'initiator', challenge.nonce)
    if (!sessionProofMatches(challenge.keys.proof, parts, body.subarray(NONCE_BYTES))) {
      throw malformed('a wrong answer to a challenge')
    }
    // Answers come in the order of the challenges, so those before it will have none.
    this.#open = this.#open.slice(index + 1)
    const isInRing = this.#options.ring.all().some((keys) => keys.clusterTag === challenge.keys.clusterTag)
    if (isInRing && this.#provenBy !== fingerprintOf(this.#options.ring.primary)) {
      this.#provenBy = fingerprintOf(challenge.keys)
    }
  }

  #ask(keys: ClusterKeys): void {
    const { isAble, nonce: newNonce, role, send } = this.#options
    // Only the latest counts: of those before it the peer may know nothing any more.
    const isOpen = this.#open.at(-1)?.keys.clusterTag === keys.clusterTag
    if (!isAble || isOpen || this.#provenBy === fingerprintOf(keys)) return
    const nonce = newNonce()
    this.#open = [...this.#open, { nonce, keys }].slice(-MAX_OPEN)
    const mac = sessionProofOf(keys.proof, this.#parts('challenge', role, nonce))
    send(CONTROL.challenge, Buffer.concat([nonce, mac]))
  }

  /** With the key that made the challenge, if we have it; otherwise as soon as we do. */
  #answer(body: Uint8Array): void {
    const { role, ring, send } = this.#options
    const nonce = body.subarray(0, NONCE_BYTES)
    const parts = this.#parts('challenge', role === 'initiator' ? 'acceptor' : 'initiator', nonce)
    const keys = ring.all().find(({ proof }) => sessionProofMatches(proof, parts, body.subarray(NONCE_BYTES)))
    this.#owed = keys === undefined ? body : undefined
    if (keys === undefined) return
    send(CONTROL.answer, Buffer.concat([nonce, sessionProofOf(keys.proof, this.#parts('answer', role, nonce))]))
  }

  #parts(kind: SessionProofParts['kind'], role: Role, nonce: Uint8Array): SessionProofParts {
    const { initiator, acceptor } = this.#options.proven
    return { kind, role, initiator, acceptor, nonce }
  }
}
