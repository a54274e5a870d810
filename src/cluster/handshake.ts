/**
 * The handshake: from an open, mutually authenticated connection to a proven member of the cluster, as pure states.
 *
 *   initiator                                 acceptor
 *   hello  ---------------------------------> judges version, cookie, cluster, then name and rivals
 *          <--------------------------------- hello
 *   proof  ---------------------------------> verifies
 *          <--------------------------------- proof
 *   ready  ---------------------------------> both are up
 *
 * `next(state, input)` does no I/O, reads no clock and holds nothing outside the state. Each state carries exactly what is
 * valid there, and any other input than the one it waits for refuses the connection. The refusing side closes with a code,
 * and the other side learns that code from the close: no refusal is silent.
 *
 * The acceptor says nothing before it has checked all that one hello lets it check, so whoever lacks the cookie learns
 * no name. What it does not do: decide whether a claim of name and key fits the other connections of the node. It asks
 * (`judge`) and goes on when the verdict comes; rivals.ts holds those rules. docs/handshake.md is the page for people.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { VerifiedPeer } from '../../certs/certificate.ts'
import { type ErrorCode, SkeinError } from '../../certs/errors.ts'
import { fingerprintOf } from '../../certs/keyring.ts'
import { type ClusterKeys, hkdfSha256 } from '../../certs/keys.ts'
import { type ProofParts, type ProofSide, proofMatches, proofOf } from '../../certs/proof.ts'
import type { Address } from '../../transport/address.ts'
import { CONTROL, decodeHello, encodeHello, type Hello } from './control.ts'
import type { Proven } from './standing.ts'

/** Unauthenticated connections live no longer. OTP gives a handshake 7 s (net_setuptime); ours has no slow part. */
export const HANDSHAKE_TIMEOUT_MS = 3000

const KEY_BYTES = 32

/** Oldest and newest protocol version this code speaks. */
export const PROTOCOL_VERSIONS: readonly [number, number] = [1, 2]

/** What this side brings into one handshake. */
export interface Introduction {
  readonly role: 'initiator' | 'acceptor'
  readonly name: string
  readonly incarnation: string
  readonly publicKey: Uint8Array
  readonly versions: readonly [number, number]
  readonly capabilities: readonly string[]
  readonly addresses: readonly Address[]
  readonly hidden: boolean
  readonly replace: boolean
  /** 32 fresh random bytes. */
  readonly nonce: Uint8Array
  /** Those of the primary cookie. */
  readonly keys: HandshakeKeys
  /** An acceptor goes on with the one of these that fits the hello of the initiator. */
  readonly accepted?: readonly HandshakeKeys[]
}

/** What a handshake needs of the cluster's keys. */
export interface HandshakeKeys {
  /** As keyring.ts has it. */
  readonly fingerprint: string
  readonly proof: Uint8Array
  /** Equal for the same cookie, whatever the cluster. */
  readonly cookieCheck: Uint8Array
  /** Equal for the same cookie and cluster. */
  readonly clusterCheck: Uint8Array
}

/** The gate's key depends on the cookie alone, and the key made from it does too. */
export const handshakeKeys = (keys: ClusterKeys): HandshakeKeys => ({
  fingerprint: fingerprintOf(keys),
  proof: keys.proof,
  clusterCheck: keys.clusterCheck,
  cookieCheck: hkdfSha256(keys.gate, 'skein v1', 'hello cookie check', KEY_BYTES),
})

/** What the other side claims to be. Its key is certain from the start; the rest comes with its hello. */
export interface Claim {
  readonly id: string
  readonly hello: Hello | undefined
}

/** The outcome: a member. */
export interface Membership {
  readonly id: string
  readonly hello: Hello
  /** The newest version both speak. */
  readonly version: number
  /** What both can do. */
  readonly capabilities: readonly string[]
  /** By which key, and what further proofs of this session are bound to. */
  readonly proven: Proven
}

export interface Refusal {
  readonly code: ErrorCode
  readonly message: string
}

export type HandshakeInput =
  /** The other side's certificate is known: TLS is done, or goes on where an earlier connection ended (session.ts: early). */
  | { readonly type: 'open'; readonly peer: VerifiedPeer }
  /** A frame of the control lane. */
  | { readonly type: 'frame'; readonly frame: number; readonly body: Uint8Array }
  /** The answer to `judge`. */
  | { readonly type: 'verdict'; readonly refusal: Refusal | undefined }
  /** HANDSHAKE_TIMEOUT_MS are over. */
  | { readonly type: 'deadline' }

export type HandshakeOutput =
  | { readonly type: 'send'; readonly frame: number; readonly body: Uint8Array }
  /** Feed back a verdict at once. Asked again after the proof: the world may have changed meanwhile. */
  | { readonly type: 'judge'; readonly claim: Claim }
  | { readonly type: 'established'; readonly membership: Membership }
  | ({ readonly type: 'refuse' } & Refusal)

export interface HandshakeStep {
  readonly state: HandshakeState
  readonly outputs: readonly HandshakeOutput[]
}

/** Both hellos, and what follows from them. */
interface Meeting {
  readonly membership: Membership
  /** The proof to send and the parts of the one to expect. */
  readonly proof: Uint8Array
  readonly expected: ProofParts
}

export type HandshakeState =
  | { readonly phase: 'connecting'; readonly own: Introduction }
  | {
      readonly phase: 'awaitingHello'
      readonly own: Introduction
      readonly peer: VerifiedPeer
      /** The initiator's, as sent. */
      readonly sent: Uint8Array | undefined
    }
  /** Waits for the verdict; `accepted` is where it leads if nothing speaks against it. */
  | { readonly phase: 'judging'; readonly own: Introduction; readonly accepted: HandshakeStep }
  | { readonly phase: 'awaitingProof'; readonly own: Introduction; readonly meeting: Meeting }
  /** The acceptor has promised: only the initiator's last word is missing. */
  | { readonly phase: 'awaitingReady'; readonly own: Introduction; readonly membership: Membership }
  | { readonly phase: 'established' }
  | { readonly phase: 'refused' }

export const start = (own: Introduction): HandshakeState => ({ phase: 'connecting', own })

export const next = (state: HandshakeState, input: HandshakeInput): HandshakeStep => {
  if (state.phase === 'established' || state.phase === 'refused') return { state, outputs: [] }
  if (input.type === 'deadline') {
    return refuse('ERR_SKEIN_CONNECT_TIMEOUT', `The handshake was not finished within ${HANDSHAKE_TIMEOUT_MS} ms.`)
  }
  switch (state.phase) {
    case 'connecting':
      return input.type === 'open' ? onOpen(state.own, input.peer) : unexpected(state, input)
    case 'judging':
      if (input.type !== 'verdict') return unexpected(state, input)
      return input.refusal === undefined ? state.accepted : refuse(input.refusal.code, input.refusal.message)
    case 'awaitingHello':
      return isFrame(input, CONTROL.hello) ? onHello(state, input.body) : unexpected(state, input)
    case 'awaitingProof':
      return isFrame(input, CONTROL.proof) ? onProof(state, input.body) : unexpected(state, input)
    case 'awaitingReady':
      if (!isFrame(input, CONTROL.ready) || input.body.length > 0) return unexpected(state, input)
      return { state: { phase: 'established' }, outputs: [{ type: 'established', membership: state.membership }] }
  }
}

type Frame = Extract<HandshakeInput, { type: 'frame' }>

const isFrame = (input: HandshakeInput, frame: number): input is Frame =>
  input.type === 'frame' && input.frame === frame

const refuse = (code: ErrorCode, message: string): HandshakeStep => ({
  state: { phase: 'refused' },
  outputs: [{ type: 'refuse', code, message }],
})

const unexpected = (state: HandshakeState, input: HandshakeInput): HandshakeStep => {
  const what = input.type === 'frame' ? `frame ${input.frame} of ${input.body.length} bytes` : `"${input.type}"`
  return refuse('ERR_SKEIN_HANDSHAKE', `Unexpected ${what} in phase ${state.phase}.`)
}

const judge = (own: Introduction, claim: Claim, accepted: HandshakeStep): HandshakeStep => ({
  state: { phase: 'judging', own, accepted },
  outputs: [{ type: 'judge', claim }],
})

const onOpen = (own: Introduction, peer: VerifiedPeer): HandshakeStep => {
  if (own.role === 'acceptor') return { state: { phase: 'awaitingHello', own, peer, sent: undefined }, outputs: [] }
  const sent = encodeHello(helloOf(own, peer))
  return judge(
    own,
    { id: peer.nodeId, hello: undefined },
    {
      state: { phase: 'awaitingHello', own, peer, sent },
      outputs: [{ type: 'send', frame: CONTROL.hello, body: sent }],
    },
  )
}

const onHello = (state: Extract<HandshakeState, { phase: 'awaitingHello' }>, body: Uint8Array): HandshakeStep => {
  const { own: introduced, peer } = state
  let hello: Hello
  try {
    hello = decodeHello(body)
  } catch (error) {
    return refuse('ERR_SKEIN_HANDSHAKE', error instanceof SkeinError ? error.message : 'The hello cannot be read.')
  }
  const { role, versions, keys, accepted = [] } = introduced
  const version = Math.min(versions[1], hello.versions[1])
  if (version < Math.max(versions[0], hello.versions[0])) {
    const theirs = hello.versions.join(' to ')
    return refuse('ERR_SKEIN_VERSION', `One side speaks protocol ${versions.join(' to ')}, the other ${theirs}.`)
  }
  const theirRole = role === 'initiator' ? 'acceptor' : 'initiator'
  // An initiator has said already which keys it goes by.
  const proving = helloParts(theirRole, hello.nonce, peer.publicKey, introduced.publicKey)
  const fitting = (role === 'initiator' ? [keys] : [keys, ...accepted]).find(({ cookieCheck }) =>
    timingSafeEqual(macOf(cookieCheck, proving), hello.cookieCheck),
  )
  if (fitting === undefined) return refuse('ERR_SKEIN_WRONG_COOKIE', 'The two nodes have different cookies.')
  if (!timingSafeEqual(macOf(fitting.clusterCheck, proving), hello.clusterCheck)) {
    return refuse('ERR_SKEIN_WRONG_CLUSTER', 'The two nodes belong to different clusters.')
  }
  const own: Introduction = { ...introduced, keys: fitting }
  const ours = sideOf(own, own.publicKey)
  const theirs = sideOf(hello, peer.publicKey)
  const [initiator, acceptor] = own.role === 'initiator' ? [ours, theirs] : [theirs, ours]
  const membership: Membership = {
    id: peer.nodeId,
    hello,
    version,
    capabilities: own.capabilities.filter((capability) => hello.capabilities.includes(capability)),
    proven: { fingerprint: own.keys.fingerprint, initiator, acceptor },
  }
  const claim: Claim = { id: peer.nodeId, hello }
  if (own.role === 'acceptor') {
    const answer = encodeHello(helloOf(own, peer))
    return judge(own, claim, {
      state: { phase: 'awaitingProof', own, meeting: meet(own, membership, body, answer) },
      outputs: [{ type: 'send', frame: CONTROL.hello, body: answer }],
    })
  }
  if (state.sent === undefined) return refuse('ERR_SKEIN_HANDSHAKE', 'No hello was sent.')
  const meeting = meet(own, membership, state.sent, body)
  return judge(own, claim, {
    state: { phase: 'awaitingProof', own, meeting },
    outputs: [{ type: 'send', frame: CONTROL.proof, body: meeting.proof }],
  })
}

const onProof = (state: Extract<HandshakeState, { phase: 'awaitingProof' }>, body: Uint8Array): HandshakeStep => {
  const { own, meeting } = state
  const { membership } = meeting
  if (!proofMatches(own.keys.proof, meeting.expected, body)) {
    return refuse('ERR_SKEIN_WRONG_COOKIE', 'The proof of membership is wrong.')
  }
  const claim: Claim = { id: membership.id, hello: membership.hello }
  if (own.role === 'acceptor') {
    return judge(own, claim, {
      state: { phase: 'awaitingReady', own, membership },
      outputs: [{ type: 'send', frame: CONTROL.proof, body: meeting.proof }],
    })
  }
  return judge(own, claim, {
    state: { phase: 'established' },
    outputs: [
      { type: 'send', frame: CONTROL.ready, body: new Uint8Array(0) },
      { type: 'established', membership },
    ],
  })
}

const sideOf = ({ name, incarnation, nonce }: Omit<ProofSide, 'publicKey'>, publicKey: Uint8Array): ProofSide => ({
  publicKey,
  name,
  incarnation,
  nonce,
})

const helloOf = (own: Introduction, peer: VerifiedPeer): Hello => {
  const { keys, role, publicKey, versions, capabilities, name, incarnation, nonce, addresses, hidden, replace } = own
  const proving = helloParts(role, nonce, publicKey, peer.publicKey)
  const said = { versions, capabilities, name, incarnation, nonce, addresses, hidden, replace }
  return { ...said, cookieCheck: macOf(keys.cookieCheck, proving), clusterCheck: macOf(keys.clusterCheck, proving) }
}

/**
 * What the checks of a hello cover. They show, before any proof, whose cookie and cluster its sender has. Bound to both
 * keys, so they are of no use to anyone else; the proof adds freshness. All parts but the role have a fixed length, so no
 * two sets of parts give the same bytes.
 */
const helloParts = (
  role: 'initiator' | 'acceptor',
  nonce: Uint8Array,
  fromKey: Uint8Array,
  toKey: Uint8Array,
): Uint8Array => Buffer.concat([nonce, fromKey, toKey, Buffer.from(role)])

const macOf = (key: Uint8Array, bytes: Uint8Array): Uint8Array => createHmac('sha256', key).update(bytes).digest()

/** Both hellos as sent, the initiator's first, are the transcript both proofs cover. */
const meet = (
  own: Introduction,
  membership: Membership,
  initiatorHello: Uint8Array,
  acceptorHello: Uint8Array,
): Meeting => {
  const digest = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest()
  const transcript = digest(Buffer.concat([digest(initiatorHello), digest(acceptorHello)]))
  const { initiator, acceptor } = membership.proven
  const theirRole = own.role === 'initiator' ? 'acceptor' : 'initiator'
  return {
    membership,
    proof: proofOf(own.keys.proof, { role: own.role, initiator, acceptor, transcript }),
    expected: { role: theirRole, initiator, acceptor, transcript },
  }
}
