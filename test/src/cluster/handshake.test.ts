/** The handshake as pure states: every way through, every refusal, and whatever strangers may send. */
import fc from 'fast-check'
import * as assert from 'uvu/assert'
import type { VerifiedPeer } from '../../../certs/certificate.ts'
import { deriveKeys } from '../../../certs/keys.ts'
import { nodeIdOf } from '../../../certs/node-id.ts'
import { CONTROL, decodeHello, encodeHello, type Hello, MAX_HELLO_BYTES } from '../../../src/cluster/control.ts'
import {
  type Claim,
  type HandshakeInput,
  type HandshakeOutput,
  type HandshakeState,
  handshakeKeys,
  type Introduction,
  next,
  type Refusal,
  start,
} from '../../../src/cluster/handshake.ts'
import { seededRandom } from '../../../transport/random.ts'
import { suite } from '../../support/suite.ts'

const test = suite('handshake')

const keysOf = (cookie: string, cluster: string) => handshakeKeys(deriveKeys(Buffer.from(cookie), cluster))
const random = seededRandom(11)

const peerOf = (publicKey: Uint8Array): VerifiedPeer => ({
  nodeId: nodeIdOf(publicKey),
  publicKey,
  certificate: new Uint8Array(),
})

const introduce = (role: 'initiator' | 'acceptor', changes: Partial<Introduction> = {}): Introduction => ({
  role,
  name: `${role}@host`,
  incarnation: '0123456789abcdef',
  publicKey: random.bytes(32),
  versions: [1, 1],
  capabilities: [],
  addresses: [{ host: '10.0.0.1', port: 4433 }],
  hidden: false,
  replace: false,
  nonce: random.bytes(32),
  keys: keysOf('a good cookie', 'demo'),
  ...changes,
})

/** One side of a conversation; outputs that are answered elsewhere pile up here. */
class Side {
  state: HandshakeState
  readonly own: Introduction
  readonly sent: { frame: number; body: Uint8Array }[] = []
  readonly judged: Claim[] = []
  established: Extract<HandshakeOutput, { type: 'established' }> | undefined
  refused: Refusal | undefined
  readonly #verdict: (claim: Claim, count: number) => Refusal | undefined

  constructor(own: Introduction, verdict: (claim: Claim, count: number) => Refusal | undefined = () => undefined) {
    this.own = own
    this.state = start(own)
    this.#verdict = verdict
  }

  feed(input: HandshakeInput): void {
    const { state, outputs } = next(this.state, input)
    this.state = state
    for (const output of outputs) {
      if (output.type === 'send') this.sent.push(output)
      if (output.type === 'established') this.established = output
      if (output.type === 'refuse') this.refused = output
      if (output.type === 'judge') {
        this.judged.push(output.claim)
        this.feed({ type: 'verdict', refusal: this.#verdict(output.claim, this.judged.length) })
      }
    }
  }

  takeSent(): { frame: number; body: Uint8Array }[] {
    return this.sent.splice(0)
  }
}

type Tamper = (from: 'initiator' | 'acceptor', frame: number, body: Uint8Array) => { frame: number; body: Uint8Array }

/** Lets both talk until nobody has anything to say. */
const converse = (
  initiator: Side,
  acceptor: Side,
  tamper: Tamper = (_from, frame, body) => ({ frame, body }),
): void => {
  acceptor.feed({ type: 'open', peer: peerOf(initiator.own.publicKey) })
  initiator.feed({ type: 'open', peer: peerOf(acceptor.own.publicKey) })
  for (;;) {
    const forAcceptor = initiator.takeSent()
    const forInitiator = acceptor.takeSent()
    if (forAcceptor.length + forInitiator.length === 0) return
    for (const { frame, body } of forAcceptor) acceptor.feed({ type: 'frame', ...tamper('initiator', frame, body) })
    for (const { frame, body } of forInitiator) initiator.feed({ type: 'frame', ...tamper('acceptor', frame, body) })
  }
}

const pair = (initiator: Partial<Introduction> = {}, acceptor: Partial<Introduction> = {}): [Side, Side] => [
  new Side(introduce('initiator', initiator)),
  new Side(introduce('acceptor', acceptor)),
]

/** One side of a handshake that has gone on for some rounds; round 1 is the open connection. */
const after = (rounds: number, role: 'initiator' | 'acceptor'): Side => {
  const [initiator, acceptor] = pair()
  if (rounds > 0) {
    acceptor.feed({ type: 'open', peer: peerOf(initiator.own.publicKey) })
    initiator.feed({ type: 'open', peer: peerOf(acceptor.own.publicKey) })
  }
  for (let i = 1; i < rounds; i++) {
    for (const { frame, body } of initiator.takeSent()) acceptor.feed({ type: 'frame', frame, body })
    // The initiator of the last round has not heard the answer.
    if (i === rounds - 1 && role === 'acceptor') break
    for (const { frame, body } of acceptor.takeSent()) initiator.feed({ type: 'frame', frame, body })
  }
  return role === 'initiator' ? initiator : acceptor
}

test('two members meet: both are established and know each other', () => {
  const [initiator, acceptor] = pair({ name: 'a@one', hidden: true, replace: true }, { name: 'b@two' })
  converse(initiator, acceptor)
  assert.is(initiator.state.phase, 'established')
  assert.is(acceptor.state.phase, 'established')
  const atInitiator = initiator.established?.membership
  const atAcceptor = acceptor.established?.membership
  assert.is(atInitiator?.hello.name, 'b@two')
  assert.is(atInitiator?.id, nodeIdOf(acceptor.own.publicKey))
  assert.is(atAcceptor?.hello.name, 'a@one')
  assert.is(atAcceptor?.id, nodeIdOf(initiator.own.publicKey))
  assert.is(atAcceptor?.hello.hidden, true)
  assert.is(atAcceptor?.hello.replace, true)
  assert.equal(atAcceptor?.hello.addresses, [{ host: '10.0.0.1', port: 4433 }])
})

test('the newest common version and the common capabilities are taken, unknown ones ignored', () => {
  const [initiator, acceptor] = pair(
    { versions: [1, 4], capabilities: ['compress', 'future', 'trace'] },
    { versions: [2, 3], capabilities: ['trace', 'compress', 'other'] },
  )
  converse(initiator, acceptor)
  assert.is(initiator.established?.membership.version, 3)
  assert.is(acceptor.established?.membership.version, 3)
  assert.equal(initiator.established?.membership.capabilities, ['compress', 'trace'])
  assert.equal(acceptor.established?.membership.capabilities, ['trace', 'compress'])
})

test('no common version: ERR_SKEIN_VERSION, and the acceptor has said nothing', () => {
  const [initiator, acceptor] = pair({ versions: [3, 4] }, { versions: [1, 2] })
  converse(initiator, acceptor)
  assert.is(acceptor.refused?.code, 'ERR_SKEIN_VERSION')
  assert.is(acceptor.sent.length, 0)
  assert.is(initiator.state.phase, 'awaitingHello')
})

test('another cookie: ERR_SKEIN_WRONG_COOKIE, and the acceptor has said nothing', () => {
  const [initiator, acceptor] = pair({ keys: keysOf('another cookie', 'demo') })
  converse(initiator, acceptor)
  assert.is(acceptor.refused?.code, 'ERR_SKEIN_WRONG_COOKIE')
  assert.is(acceptor.judged.length, 0)
  assert.is(initiator.established, undefined)
})

test('another cluster: ERR_SKEIN_WRONG_CLUSTER, and the acceptor has said nothing', () => {
  const [initiator, acceptor] = pair({ keys: keysOf('a good cookie', 'other') })
  converse(initiator, acceptor)
  assert.is(acceptor.refused?.code, 'ERR_SKEIN_WRONG_CLUSTER')
  assert.is(acceptor.judged.length, 0)
})

test('the initiator checks the same of the acceptor', () => {
  const cases = [
    { keys: keysOf('another cookie', 'demo'), code: 'ERR_SKEIN_WRONG_COOKIE' },
    { keys: keysOf('a good cookie', 'other'), code: 'ERR_SKEIN_WRONG_CLUSTER' },
  ]
  for (const { keys, code } of cases) {
    const [initiator] = pair()
    // An acceptor that takes anybody in, as an impostor would.
    const impostor = new Side(introduce('acceptor', { keys }))
    const honest = new Side(introduce('initiator', { keys, publicKey: initiator.own.publicKey }))
    impostor.feed({ type: 'open', peer: peerOf(initiator.own.publicKey) })
    honest.feed({ type: 'open', peer: peerOf(impostor.own.publicKey) })
    for (const { frame, body } of honest.takeSent()) impostor.feed({ type: 'frame', frame, body })
    initiator.feed({ type: 'open', peer: peerOf(impostor.own.publicKey) })
    for (const { frame, body } of impostor.takeSent()) initiator.feed({ type: 'frame', frame, body })
    assert.is(initiator.refused?.code, code)
  }
})

test('the judge is asked by key, by hello and again by proof, and any no ends it with that code', () => {
  const codes = [
    'ERR_SKEIN_NAME_TAKEN',
    'ERR_SKEIN_SELF',
    'ERR_SKEIN_SIMULTANEOUS',
    'ERR_SKEIN_STALE_INCARNATION',
    'ERR_SKEIN_TOO_MANY_CONNECTIONS',
  ] as const
  for (const code of codes) {
    for (const role of ['initiator', 'acceptor'] as const) {
      const rounds = role === 'initiator' ? 3 : 2
      for (let round = 1; round <= rounds; round++) {
        const verdict = (_claim: Claim, count: number): Refusal | undefined =>
          count === round ? { code, message: 'no' } : undefined
        const judge = new Side(introduce(role), verdict)
        const other = new Side(introduce(role === 'initiator' ? 'acceptor' : 'initiator'))
        if (role === 'initiator') converse(judge, other)
        else converse(other, judge)
        assert.is(judge.refused?.code, code, `${code} by the ${role} in round ${round}`)
        assert.is(judge.judged.length, round)
        assert.is(judge.established, undefined)
        assert.is(other.established, undefined, 'nobody is up before both agree')
      }
    }
  }
})

test('by key the initiator knows no hello yet, and nothing was sent', () => {
  const claims: Claim[] = []
  const initiator = new Side(introduce('initiator'), (claim) => {
    claims.push(claim)
    return { code: 'ERR_SKEIN_SIMULTANEOUS', message: 'no' }
  })
  const key = random.bytes(32)
  initiator.feed({ type: 'open', peer: peerOf(key) })
  assert.equal(claims, [{ id: nodeIdOf(key), hello: undefined }])
  assert.is(initiator.sent.length, 0)
})

test('a proof that was changed, or is another one, is refused on either side', () => {
  for (const from of ['initiator', 'acceptor'] as const) {
    for (const change of [
      (b: Uint8Array) => Uint8Array.of(b[0]! ^ 1, ...b.subarray(1)),
      () => random.bytes(32),
      () => new Uint8Array(),
    ]) {
      const [initiator, acceptor] = pair()
      converse(initiator, acceptor, (sender, frame, body) =>
        sender === from && frame === CONTROL.proof ? { frame, body: change(body) } : { frame, body },
      )
      const judge = from === 'initiator' ? acceptor : initiator
      assert.is(judge.refused?.code, 'ERR_SKEIN_WRONG_COOKIE')
      assert.is(initiator.established, undefined)
      assert.is(acceptor.established, undefined)
    }
  }
})

test('a hello changed on the way fails at the proof: nothing can be talked down', () => {
  const [initiator, acceptor] = pair(
    { versions: [1, 2], capabilities: ['seal'] },
    { versions: [1, 2], capabilities: ['seal'] },
  )
  converse(initiator, acceptor, (sender, frame, body) => {
    if (sender !== 'initiator' || frame !== CONTROL.hello) return { frame, body }
    return { frame, body: encodeHello({ ...decodeHello(body), versions: [1, 1], capabilities: [] }) }
  })
  assert.is(acceptor.refused?.code, 'ERR_SKEIN_WRONG_COOKIE')
  assert.is(initiator.established, undefined)
})

test('a relay with a key of its own is found out', () => {
  const [initiator, acceptor] = pair()
  const relayKey = random.bytes(32)
  acceptor.feed({ type: 'open', peer: peerOf(relayKey) })
  initiator.feed({ type: 'open', peer: peerOf(relayKey) })
  for (const { frame, body } of initiator.takeSent()) acceptor.feed({ type: 'frame', frame, body })
  assert.is(acceptor.refused?.code, 'ERR_SKEIN_WRONG_COOKIE')
})

test('any frame but the one that is due is ERR_SKEIN_HANDSHAKE, in every phase', () => {
  const due: Record<string, number> = {
    awaitingHello: CONTROL.hello,
    awaitingProof: CONTROL.proof,
    awaitingReady: CONTROL.ready,
  }
  const phases = new Set<string>()
  for (const role of ['initiator', 'acceptor'] as const) {
    for (let rounds = 0; rounds < 4; rounds++) {
      for (const frame of [0, ...Object.values(CONTROL), 200]) {
        const side = after(rounds, role)
        const { phase } = side.state
        if (phase === 'established' || due[phase] === frame) continue
        phases.add(phase)
        side.feed({ type: 'frame', frame, body: new Uint8Array(32) })
        assert.is(side.refused?.code, 'ERR_SKEIN_HANDSHAKE', `frame ${frame} to the ${role} ${phase}`)
      }
    }
  }
  assert.equal([...phases].sort(), ['awaitingHello', 'awaitingProof', 'awaitingReady', 'connecting'])
})

test('ready must be empty and come last', () => {
  const [initiator, acceptor] = pair()
  converse(initiator, acceptor, (_from, frame, body) =>
    frame === CONTROL.ready ? { frame, body: Uint8Array.of(1) } : { frame, body },
  )
  assert.is(acceptor.refused?.code, 'ERR_SKEIN_HANDSHAKE')
  const early = new Side(introduce('acceptor'))
  early.feed({ type: 'open', peer: peerOf(random.bytes(32)) })
  early.feed({ type: 'frame', frame: CONTROL.ready, body: new Uint8Array() })
  assert.is(early.refused?.code, 'ERR_SKEIN_HANDSHAKE')
})

test('the deadline ends every phase with ERR_SKEIN_CONNECT_TIMEOUT, and an ended one stays as it is', () => {
  const phases = new Set<string>()
  for (const role of ['initiator', 'acceptor'] as const) {
    for (let steps = 0; steps < 4; steps++) {
      const side = after(steps, role)
      if (side.state.phase === 'established') continue
      phases.add(side.state.phase)
      side.feed({ type: 'deadline' })
      assert.is(side.refused?.code, 'ERR_SKEIN_CONNECT_TIMEOUT')
      const ended = side.state
      side.refused = undefined
      side.feed({ type: 'deadline' })
      side.feed({ type: 'frame', frame: CONTROL.hello, body: new Uint8Array(9) })
      assert.is(side.state, ended)
      assert.is(side.refused, undefined)
    }
  }
  assert.equal([...phases].sort(), ['awaitingHello', 'awaitingProof', 'awaitingReady', 'connecting'])
})

const aHello = (): Hello => ({
  versions: [1, 2],
  capabilities: ['one', 'two'],
  name: 'node@host',
  incarnation: '00000000000000ff',
  nonce: random.bytes(32),
  cookieCheck: random.bytes(32),
  clusterCheck: random.bytes(32),
  addresses: [
    { host: '192.168.1.7', port: 4433 },
    { host: 'fe80::1', port: 1 },
  ],
  hidden: true,
  replace: false,
})

test('a hello survives the wire, and fields of a later version are skipped', () => {
  const hello = aHello()
  const bytes = encodeHello(hello)
  const plain = (value: Hello) => ({
    ...value,
    nonce: [...value.nonce],
    cookieCheck: [...value.cookieCheck],
    clusterCheck: [...value.clusterCheck],
  })
  assert.equal(plain(decodeHello(bytes)), plain(hello))
  const later = Buffer.concat([bytes, Buffer.of(77, 0, 3, 1, 2, 3)])
  assert.equal(plain(decodeHello(later)), plain(hello))
})

test('a hello that breaks a rule is refused', () => {
  const good = encodeHello(aHello())
  const bad: [string, Uint8Array][] = [
    ['empty', new Uint8Array()],
    ['a field twice', Buffer.concat([good, good])],
    ['cut', good.subarray(0, good.length - 1)],
    ['oversize', Buffer.concat([good, Buffer.of(77, 0x1f, 0xff), Buffer.alloc(MAX_HELLO_BYTES)])],
    ['a bad name', encodeHello({ ...aHello(), name: 'no host' })],
    ['a bad incarnation', encodeHello({ ...aHello(), incarnation: 'xyz' })],
    ['a short nonce', encodeHello({ ...aHello(), nonce: new Uint8Array(31) })],
    ['versions backwards', encodeHello({ ...aHello(), versions: [2, 1] })],
    ['an address that is none', encodeHello({ ...aHello(), addresses: [{ host: 'name.example', port: 1 }] })],
    ['port 0', encodeHello({ ...aHello(), addresses: [{ host: '10.0.0.1', port: 0 }] })],
    ['too many capabilities', encodeHello({ ...aHello(), capabilities: Array.from({ length: 65 }, () => 'x') })],
  ]
  for (const [what, bytes] of bad) {
    const acceptor = new Side(introduce('acceptor'))
    acceptor.feed({ type: 'open', peer: peerOf(random.bytes(32)) })
    acceptor.feed({ type: 'frame', frame: CONTROL.hello, body: bytes })
    assert.is(acceptor.refused?.code, 'ERR_SKEIN_HANDSHAKE', what)
  }
})

test('whatever arrives, the handshake never throws and never lets a stranger in', () => {
  const anyFrame = fc.record({
    frame: fc.oneof(fc.constantFrom(...Object.values(CONTROL)), fc.nat(255)),
    body: fc.uint8Array({ maxLength: 300 }),
    honest: fc.boolean(),
    flip: fc.nat(),
  })
  const property = fc.property(
    fc.constantFrom('initiator' as const, 'acceptor' as const),
    fc.array(anyFrame, { maxLength: 6 }),
    (role, frames) => {
      const stranger = new Side(
        introduce(role === 'initiator' ? 'acceptor' : 'initiator', { keys: keysOf('a guess!', 'demo') }),
      )
      const side = new Side(introduce(role))
      side.feed({ type: 'open', peer: peerOf(stranger.own.publicKey) })
      stranger.feed({ type: 'open', peer: peerOf(side.own.publicKey) })
      for (const { frame, body, honest, flip } of frames) {
        const own = stranger.takeSent()[0]
        if (honest && own !== undefined) {
          const changed = Uint8Array.from(own.body)
          if (changed.length > 0) changed[flip % changed.length]! ^= 1 << (flip % 8)
          side.feed({ type: 'frame', frame: own.frame, body: changed })
        } else side.feed({ type: 'frame', frame, body })
      }
      assert.is(side.established, undefined)
    },
  )
  fc.assert(property, { seed: 4711, numRuns: 500 })
})

test('an acceptor goes on with the key of its ring that the initiator has', () => {
  const old = keysOf('the old cookie', 'demo')
  const fresh = keysOf('the new cookie', 'demo')
  const other = keysOf('another cookie', 'demo')
  for (const [theirs, primary, accepted] of [
    [old, old, [fresh]],
    [fresh, old, [fresh]],
    [old, fresh, [old]],
    [old, fresh, [other, old]],
  ] as const) {
    const [initiator, acceptor] = pair({ keys: theirs }, { keys: primary, accepted })
    converse(initiator, acceptor)
    for (const side of [initiator, acceptor]) {
      assert.is(side.state.phase, 'established')
      assert.is(side.established?.membership.proven.fingerprint, theirs.fingerprint)
    }
    assert.equal(initiator.established?.membership.proven, acceptor.established?.membership.proven)
  }
})

test('an initiator goes by its primary key alone, also if the answer is by one that it accepts', () => {
  const old = keysOf('the old cookie', 'demo')
  const fresh = keysOf('the new cookie', 'demo')
  const [initiator, acceptor] = pair({ keys: old, accepted: [fresh] }, { keys: fresh })
  converse(initiator, acceptor)
  assert.is(acceptor.refused?.code, 'ERR_SKEIN_WRONG_COOKIE')

  const asking = new Side({ ...initiator.own })
  const twin = new Side({ ...initiator.own, keys: fresh })
  const answering = new Side(acceptor.own)
  answering.feed({ type: 'open', peer: peerOf(asking.own.publicKey) })
  for (const side of [asking, twin]) side.feed({ type: 'open', peer: peerOf(answering.own.publicKey) })
  for (const { frame, body } of twin.takeSent()) answering.feed({ type: 'frame', frame, body })
  for (const { frame, body } of answering.takeSent()) asking.feed({ type: 'frame', frame, body })
  assert.is(asking.refused?.code, 'ERR_SKEIN_WRONG_COOKIE')
})

test('another cluster is told from another cookie, whichever key of the ring fits', () => {
  const [initiator, acceptor] = pair(
    { keys: keysOf('the old cookie', 'elsewhere') },
    { keys: keysOf('the new cookie', 'demo'), accepted: [keysOf('the old cookie', 'demo')] },
  )
  converse(initiator, acceptor)
  assert.is(acceptor.refused?.code, 'ERR_SKEIN_WRONG_CLUSTER')
})

test.run()
