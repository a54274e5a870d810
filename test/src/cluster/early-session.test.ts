/**
 * Sessions whose connection is early (TLS is not done): a hello is said, read and answered, nothing else is, and no other
 * session suffers for it before TLS is done.
 */
import * as assert from 'uvu/assert'
import type { VerifiedPeer } from '../../../certs/certificate.ts'
import { Keyring } from '../../../certs/keyring.ts'
import { deriveKeys } from '../../../certs/keys.ts'
import { nodeIdOf } from '../../../certs/node-id.ts'
import { CONTROL } from '../../../src/cluster/control.ts'
import {
  type Claim,
  HANDSHAKE_TIMEOUT_MS,
  type HandshakeState,
  handshakeKeys,
  type Introduction,
  next,
  type Refusal,
  start,
} from '../../../src/cluster/handshake.ts'
import { Peers, type PeersOptions } from '../../../src/cluster/peers.ts'
import { Session, type SessionEnd, type SessionHost } from '../../../src/cluster/session.ts'
import { Origin } from '../../../src/pid.ts'
import type { LaneConnection } from '../../../transport/lane.ts'
import { seededRandom } from '../../../transport/random.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'
import { HandConnection } from '../../transport/lanes-by-hand.ts'

const test = suite('early session')

const random = seededRandom(5)
const ADDRESS = { host: '10.0.0.1', port: 4433 }
const KEYS = deriveKeys(Buffer.from('a cookie for tests'), 'test')

const peerOf = (publicKey: Uint8Array): VerifiedPeer => ({
  nodeId: nodeIdOf(publicKey),
  publicKey,
  certificate: new Uint8Array(),
})

const introduce = (role: 'initiator' | 'acceptor', publicKey = random.bytes(32)): Introduction => ({
  role,
  name: `${nodeIdOf(publicKey)}@host`,
  incarnation: '0123456789abcdef',
  publicKey,
  versions: [1, 2],
  capabilities: [],
  addresses: [ADDRESS],
  hidden: false,
  replace: false,
  nonce: random.bytes(32),
  keys: handshakeKeys(KEYS),
})

/** The lanes of a session, as far as a handshake needs them, and the other side's part in it. */
class Stage {
  readonly session: Session
  readonly other: Introduction
  readonly sent: { readonly type: number; readonly body: Uint8Array }[] = []
  accepted = false
  closedWith: string | undefined
  early = true
  #state: HandshakeState
  readonly #own: Introduction

  constructor(host: SessionHost, own: Introduction, other: Introduction) {
    this.#own = own
    this.other = other
    this.session = new Session(host, own, ADDRESS, undefined)
    this.#state = start(other)
    const connection = Object.defineProperties(new HandConnection(), {
      early: { get: () => this.early },
      peer: { value: peerOf(other.publicKey) },
    })
    const lanes: Partial<LaneConnection> = {
      connection,
      control: (type, body) => this.sent.push({ type, body }),
      acceptLanes: () => {
        this.accepted = true
      },
      close: (_wireCode, code) => {
        this.closedWith = code
      },
    }
    this.session.begin(lanes as LaneConnection)
  }

  open(): void {
    this.session.onOpen()
  }

  confirm(): void {
    this.early = false
    this.session.onConfirmed()
  }

  /** The other side's next frame, after it has heard what was sent so far. */
  theirs(): { readonly type: number; readonly body: Uint8Array } {
    const said: { type: number; body: Uint8Array }[] = []
    const feed = (input: Parameters<typeof next>[1]): void => {
      const { state, outputs } = next(this.#state, input)
      this.#state = state
      for (const output of outputs) {
        if (output.type === 'send') said.push({ type: output.frame, body: output.body })
        if (output.type === 'judge') feed({ type: 'verdict', refusal: undefined })
      }
    }
    if (this.#state.phase === 'connecting') feed({ type: 'open', peer: peerOf(this.#own.publicKey) })
    for (const { type, body } of this.sent.splice(0)) feed({ type: 'frame', frame: type, body })
    return said[0]!
  }

  hear({ type, body }: { readonly type: number; readonly body: Uint8Array }): void {
    this.session.onControl(type, body, 0, body.length)
  }
}

class Host implements SessionHost {
  readonly clock = new VirtualClock()
  readonly ring = new Keyring(KEYS)
  readonly judged: { readonly claim: Claim; readonly early: boolean }[] = []
  readonly ends: SessionEnd[] = []
  opens = 0
  members = 0
  verdict: (early: boolean) => Refusal | undefined = () => undefined

  newNonce(): Uint8Array {
    return random.bytes(32)
  }

  judge(session: Session, claim: Claim): Refusal | undefined {
    this.judged.push({ claim, early: session.early })
    return this.verdict(session.early)
  }

  established(): never {
    this.members++
    throw new Error('a member')
  }

  opened(): void {
    this.opens++
  }

  ended(_session: Session, end: SessionEnd): void {
    this.ends.push(end)
  }

  defect(): void {}
  ticked(): void {}
  ponged(): void {}
  askedForPeers(): void {}
  toldOfPeers(): void {}
  meshFrame(): void {}
  reachFrame(): void {}
  datagram(): void {}
  moved(): void {}
}

test('an acceptor answers an early hello, and judges again when the proof comes', () => {
  const host = new Host()
  const stage = new Stage(host, introduce('acceptor'), introduce('initiator'))
  stage.open()
  assert.is(host.opens, 0)
  stage.hear(stage.theirs())
  assert.equal(
    stage.sent.map(({ type }) => type),
    [CONTROL.hello],
  )
  stage.confirm()
  assert.is(host.opens, 1)
  stage.hear(stage.theirs())
  assert.equal(
    host.judged.map(({ early, claim }) => [early, claim.hello?.name]),
    [
      [true, stage.other.name],
      [false, stage.other.name],
    ],
  )
  assert.equal(
    stage.sent.map(({ type }) => type),
    [CONTROL.proof],
    'and it goes on as ever',
  )
})

test('the verdict after TLS counts', () => {
  for (const role of ['acceptor', 'initiator'] as const) {
    const host = new Host()
    host.verdict = (early) => (early ? undefined : { code: 'ERR_SKEIN_SIMULTANEOUS', message: 'too late' })
    const stage = new Stage(host, introduce(role), introduce(role === 'acceptor' ? 'initiator' : 'acceptor'))
    stage.open()
    if (role === 'acceptor') stage.hear(stage.theirs())
    assert.is(stage.closedWith, undefined)
    stage.confirm()
    if (role === 'acceptor') stage.hear(stage.theirs())
    assert.is(stage.closedWith, 'ERR_SKEIN_SIMULTANEOUS', role)
    assert.is(host.ends.length, 1)
  }
})

test('a right proof in early data makes nobody a member', () => {
  const host = new Host()
  const stage = new Stage(host, introduce('acceptor'), introduce('initiator'))
  stage.open()
  stage.hear(stage.theirs())
  const proof = stage.theirs()
  assert.is(proof.type, CONTROL.proof)
  stage.hear(proof)
  assert.is(stage.closedWith, 'ERR_SKEIN_HANDSHAKE')
  assert.is(host.members, 0)
  assert.not(stage.accepted)
})

test('nothing but a hello has a place in early data', () => {
  for (const type of [...Object.values(CONTROL).filter((number) => number !== CONTROL.hello), 0, 77]) {
    for (const after of ['open', 'hello'] as const) {
      const host = new Host()
      const stage = new Stage(host, introduce('acceptor'), introduce('initiator'))
      stage.open()
      if (after === 'hello') stage.hear(stage.theirs())
      stage.hear({ type, body: new Uint8Array(4) })
      assert.is(stage.closedWith, 'ERR_SKEIN_HANDSHAKE', `frame ${type} after ${after}`)
      assert.is(host.members, 0)
    }
  }
})

test('an initiator says hello early, and its time runs from when somebody answers', async () => {
  const host = new Host()
  const stage = new Stage(host, introduce('initiator'), introduce('acceptor'))
  stage.open()
  assert.equal(
    stage.sent.map(({ type }) => type),
    [CONTROL.hello],
  )
  await host.clock.run({ untilMs: 2 * HANDSHAKE_TIMEOUT_MS })
  assert.is(stage.closedWith, undefined, 'until TLS is done the carrier has the deadline')
  stage.confirm()
  await host.clock.run({ untilMs: 4 * HANDSHAKE_TIMEOUT_MS })
  assert.is(stage.closedWith, 'ERR_SKEIN_CONNECT_TIMEOUT')
})

// ---- among others, in the table of peers

const peersOf = (own: Introduction, called: (name: string) => void = () => {}): Peers => {
  const options: Partial<PeersOptions> = {
    self: new Origin(own.name, nodeIdOf(own.publicKey), own.incarnation),
    publicKey: own.publicKey,
    keys: new Keyring(KEYS),
    hidden: false,
    clock: new VirtualClock(),
    random,
    observer: new Proxy({} as PeersOptions['observer'], {
      get: (_target, name) => () => {
        called(String(name))
        // Nobody is barred.
        return name === 'refusal' ? undefined : true
      },
    }),
  }
  return new Peers(options as PeersOptions)
}

/** Two keys, the one with the greater id first. */
const keyPair = (): [Uint8Array, Uint8Array] => {
  const [a, b] = [random.bytes(32), random.bytes(32)]
  return nodeIdOf(a) > nodeIdOf(b) ? [a, b] : [b, a]
}

test('a replay neither ends a handshake under way nor keeps the next one out', () => {
  for (const [theirs, ours] of [keyPair(), keyPair().reverse()] as [Uint8Array, Uint8Array][]) {
    const own = introduce('acceptor', ours)
    const peers = peersOf(own)
    const other = introduce('initiator', theirs)
    const real = new Stage(peers, own, other)
    real.early = false
    real.open()
    real.hear(real.theirs())

    const replay = new Stage(peers, introduce('acceptor', ours), introduce('initiator', theirs))
    replay.open()
    replay.hear(replay.theirs())
    assert.equal(
      replay.sent.map(({ type }) => type),
      [CONTROL.hello],
      'it is answered',
    )
    assert.is(real.closedWith, undefined)

    const dial = new Stage(peers, introduce('initiator', ours), introduce('acceptor', theirs))
    real.session.end('closed', 'over')
    dial.early = false
    dial.open()
    assert.is(dial.closedWith, undefined, 'our own dial does not lose to it')
    const second = new Stage(peers, introduce('acceptor', ours), introduce('initiator', theirs))
    second.open()
    second.hear(second.theirs())
    assert.is(dial.closedWith, undefined, 'nor is it given up for it')
  }
})

test('of a replay that is refused the operator hears nothing, of anybody else he does', () => {
  for (const early of [true, false]) {
    const own = introduce('acceptor')
    const called: string[] = []
    const peers = peersOf(own, (name) => called.push(name))
    const stage = new Stage(peers, own, { ...introduce('initiator'), name: own.name })
    stage.early = early
    stage.open()
    stage.hear(stage.theirs())
    assert.is(stage.closedWith, 'ERR_SKEIN_NAME_TAKEN')
    assert.is(called.includes('refused'), !early)
  }
})

test('an early dial, which may lead nowhere, stands in nobody’s way', () => {
  for (const [theirs, ours] of [keyPair(), keyPair().reverse()] as [Uint8Array, Uint8Array][]) {
    const peers = peersOf(introduce('acceptor', ours))
    const early = [0, 1].map(() => new Stage(peers, introduce('initiator', ours), introduce('acceptor', theirs)))
    for (const stage of early) stage.open()
    assert.equal(
      early.map(({ closedWith }) => closedWith),
      [undefined, undefined],
      'two addresses of one node',
    )
    const incoming = new Stage(peers, introduce('acceptor', ours), introduce('initiator', theirs))
    incoming.early = false
    incoming.open()
    incoming.hear(incoming.theirs())
    assert.is(incoming.closedWith, undefined)
  }
})

test('a hello that was said early and taken back ends no other handshake of its sender', () => {
  for (const [theirs, ours] of [keyPair(), keyPair().reverse()] as [Uint8Array, Uint8Array][]) {
    const peers = peersOf(introduce('acceptor', ours))
    const [early, full] = [0, 1].map(
      () => new Stage(peers, introduce('acceptor', ours), introduce('initiator', theirs)),
    ) as [Stage, Stage]
    early.open()
    early.hear(early.theirs())
    // Their second dial is open first, so the first one is to end as soon as TLS is done: that goes out before the end does.
    full.early = false
    full.open()
    full.hear(full.theirs())
    early.confirm()
    assert.is(full.closedWith, undefined)
    early.session.end('closed', 'Another dial to the same node is under way.')
    full.hear(full.theirs())
    assert.is(full.sent.at(-1)?.type, CONTROL.proof)
    assert.is(full.closedWith, undefined)
  }
})

test('when TLS is done the rules of rivals hold', () => {
  const [greater, lesser] = keyPair()
  const peers = peersOf(introduce('acceptor', greater))
  const incoming = new Stage(peers, introduce('acceptor', greater), introduce('initiator', lesser))
  incoming.early = false
  incoming.open()
  incoming.hear(incoming.theirs())
  const dials = [0, 1].map(() => new Stage(peers, introduce('initiator', greater), introduce('acceptor', lesser)))
  for (const dial of dials) dial.open()
  assert.is(incoming.closedWith, undefined)
  dials[0]!.confirm()
  assert.is(incoming.closedWith, 'ERR_SKEIN_SIMULTANEOUS', 'the dial of the greater id wins')
  dials[1]!.confirm()
  assert.is(dials[1]!.closedWith, 'ERR_SKEIN_SIMULTANEOUS', 'of two dials the first goes on')
  assert.is(dials[0]!.closedWith, undefined)
})

test.run()
