/** The rules by which a connection changes its way: no sockets, no clock. */
import * as assert from 'uvu/assert'
import { seededRandom } from '../../transport/random.ts'
import type { Way, WayKind } from '../../transport/way.ts'
import { NONCE_BYTES, PROOF_PACKET_BYTES, type Proof, WayKeeper } from '../../transport/way-keeper.ts'
import { suite } from '../support/suite.ts'

const test = suite('way keeper')

const way = (name: string, kind: WayKind = 'port'): Way => ({
  kind,
  key: `${kind} ${name}`,
  address: { host: '192.0.2.1', port: 1 },
  maxBytes: 1500,
  send: () => assert.unreachable('it never sends'),
})

const [P, Q, S] = [way('p'), way('q'), way('s', 'socket')]
const R = way('r', 'relay')
const RTT_MS = 20

interface Setup {
  readonly keeper: WayKeeper
  nowMs: number
  readonly sent: { readonly proof: Proof; readonly atMs: number }[]
  /** Time goes on; what is due is sent, and answered if the way works. */
  run(untilMs: number): void
  works(way: Way, peerUsesIt?: boolean): void
  fails(way: Way): void
}

const setUp = (role: 'initiator' | 'acceptor' = 'acceptor', present: Way = P): Setup => {
  const keeper = new WayKeeper(role, present, seededRandom(7), 0)
  const working = new Map<string, boolean>()
  const answers: { readonly atMs: number; readonly nonce: Uint8Array; readonly usesIt: boolean }[] = []
  const setup: Setup = {
    keeper,
    nowMs: 0,
    sent: [],
    works: (one, peerUsesIt = false) => void working.set(one.key, peerUsesIt),
    fails: (one) => void working.delete(one.key),
    run(untilMs) {
      for (; setup.nowMs <= untilMs; setup.nowMs++) {
        while (answers[0] !== undefined && answers[0].atMs <= setup.nowMs) {
          const { nonce, usesIt } = answers.shift() as (typeof answers)[number]
          keeper.answered(nonce, usesIt, setup.nowMs)
        }
        if (setup.nowMs >= keeper.deadlineMs(setup.nowMs)) keeper.tick(setup.nowMs)
        for (let proof = keeper.nextProof(setup.nowMs); proof !== undefined; proof = keeper.nextProof(setup.nowMs)) {
          setup.sent.push({ proof, atMs: setup.nowMs })
          keeper.sent(proof, setup.nowMs)
          const usesIt = working.get(proof.way.key)
          if (proof.type === 'challenge' && usesIt !== undefined)
            answers.push({ atMs: setup.nowMs + RTT_MS, nonce: proof.nonce, usesIt })
        }
      }
    },
  }
  return setup
}

const sentTo = (setup: Setup, to: Way): number[] =>
  setup.sent.filter(({ proof }) => proof.way.key === to.key).map(({ atMs }) => atMs)

test('a quiet connection with one way does nothing, ever', () => {
  const { keeper } = setUp()
  assert.is(keeper.deadlineMs(0), Number.POSITIVE_INFINITY)
  assert.is(keeper.deadlineMs(100_000), Number.POSITIVE_INFINITY)
  assert.is(keeper.nextProof(100_000), undefined)
  keeper.lossTimeout(100_000)
  assert.is(keeper.nextProof(100_000), undefined)
})

test('a challenge is tried three times and then given up', () => {
  const setup = setUp()
  setup.keeper.offered(Q, 0)
  setup.run(5000)
  assert.equal(sentTo(setup, Q), [0, 200, 600])
  assert.is(setup.keeper.challengedWays.length, 0)
  assert.is(setup.keeper.present, P)
  assert.equal(setup.keeper.knownWays, [])
})

test('a direct way displaces a relay as soon as it is proven', () => {
  for (const direct of [Q, S]) {
    const setup = setUp('initiator', R)
    setup.works(direct)
    setup.keeper.offered(direct, 0)
    setup.run(RTT_MS - 1)
    assert.is(setup.keeper.present, R)
    setup.keeper.presentHeard(RTT_MS - 1)
    setup.run(RTT_MS)
    assert.is(setup.keeper.present, direct)
    assert.equal(setup.keeper.knownWays, [R], 'the relay stays known')
  }
})

test('a relay does not displace a direct way that is heard from', () => {
  const setup = setUp()
  setup.works(R, true)
  for (let now = 0; now < 5000; now += 50) {
    setup.keeper.presentHeard(now)
    setup.keeper.heard(R, 100, now)
    setup.run(now + 49)
  }
  assert.is(setup.keeper.present, P)
  assert.equal(setup.keeper.knownWays, [R])
})

test('a relay takes over from a direct way that has been silent for a second', () => {
  const setup = setUp()
  setup.works(R, true)
  setup.run(500)
  setup.keeper.presentHeard(500)
  for (let now = 501; setup.keeper.present === P; now++) {
    assert.ok(now < 2000, 'in time')
    setup.keeper.heard(R, 100, now)
    setup.run(now)
  }
  assert.ok(setup.nowMs >= 1500 && setup.nowMs < 1510, `at ${setup.nowMs}`)
  assert.is(setup.keeper.present, R)
})

test('the acceptor follows the peer at once, the initiator when the way it uses falls silent', () => {
  for (const role of ['acceptor', 'initiator'] as const) {
    const setup = setUp(role)
    setup.works(Q, true)
    setup.run(99)
    setup.keeper.presentHeard(99)
    setup.keeper.heard(Q, 100, 100)
    setup.run(100 + RTT_MS)
    assert.is(setup.keeper.present, role === 'acceptor' ? Q : P)
    setup.run(300)
    assert.is(setup.keeper.present, Q)
  }
})

test('the initiator stays while it is heard from on the way it uses: two ends never swap for ever', () => {
  const setup = setUp('initiator')
  setup.works(Q, true)
  for (let now = 0; now < 3000; now += 20) {
    setup.keeper.presentHeard(now)
    setup.keeper.heard(Q, 100, now)
    setup.run(now + 19)
  }
  assert.is(setup.keeper.present, P)
})

test('two ends that begin on different ways meet on one', () => {
  const [one, other] = [setUp('initiator', P), setUp('acceptor', Q)]
  let changes = 0
  let before: readonly Way[] = [P, Q]
  for (let now = 0; now < 5000; now++) {
    // Each hears the other by the way the other uses; an answer tells whether that is the way of the challenge.
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      if (from.keeper.present.key === to.keeper.present.key) to.keeper.presentHeard(now)
      else to.keeper.heard(from.keeper.present, 100, now)
      for (const candidate of [P, Q]) to.works(candidate, from.keeper.present === candidate)
    }
    one.run(now)
    other.run(now)
    const presents = [one.keeper.present, other.keeper.present]
    changes += presents.filter((present, i) => present !== before[i]).length
    before = presents
  }
  assert.is(one.keeper.present, other.keeper.present)
  assert.ok(changes <= 3, `${changes} changes`)
})

test('a silent way is doubted: the others are challenged, and the first that answers takes its place', () => {
  const setup = setUp()
  setup.works(Q, true)
  setup.keeper.heard(Q, 100, 0)
  setup.run(RTT_MS)
  assert.is(setup.keeper.present, Q)
  setup.works(P)
  setup.run(1100)
  const before = setup.sent.length
  setup.fails(Q)
  setup.run(1700)
  assert.ok(setup.sent.length > before)
  assert.is(setup.keeper.present, P)
})

test('when nobody had anything to say, the present way answers as well and stays', () => {
  const setup = setUp()
  setup.works(P, true)
  setup.keeper.gone(R, 0)
  setup.works(Q)
  setup.keeper.offered(Q, 0)
  for (let now = 0; now < 1000; now += 100) {
    setup.keeper.presentHeard(now)
    setup.run(now + 99)
  }
  assert.equal(setup.keeper.knownWays, [Q])
  const asked = sentTo(setup, Q).length
  setup.run(60_000)
  assert.is(setup.keeper.present, P)
  assert.ok(sentTo(setup, P).length > 5)
  assert.is(sentTo(setup, Q).length, asked, 'the others are not even asked')
})

test('in a long silence challenges become rarer', () => {
  const setup = setUp()
  setup.works(Q)
  setup.keeper.offered(Q, 0)
  setup.run(RTT_MS)
  setup.fails(Q)
  setup.run(30_000)
  const rounds = sentTo(setup, Q).length / 3
  assert.ok(rounds >= 5 && rounds <= 10, `${rounds} rounds`)
})

test('a loss timeout after a shorter silence asks the other ways', () => {
  const setup = setUp()
  setup.works(R)
  setup.keeper.offered(R, 0)
  setup.run(50)
  setup.keeper.presentHeard(50)
  setup.keeper.lossTimeout(300)
  assert.is(setup.keeper.nextProof(300), undefined, 'too early')
  setup.keeper.lossTimeout(460)
  assert.is(setup.keeper.nextProof(460)?.way, R)
})

test('the present way gone: the best known one is taken when it answers, relays last', () => {
  const setup = setUp()
  for (const one of [R, Q]) {
    setup.works(one)
    setup.keeper.offered(one, 0)
  }
  setup.run(100)
  assert.is(setup.keeper.present, P)
  setup.keeper.presentHeard(100)
  setup.keeper.gone(P, 100)
  setup.run(200)
  assert.is(setup.keeper.present, Q)
  assert.equal(
    setup.keeper.knownWays.map((one) => one.key),
    [R.key],
    'and the one that is gone is forgotten',
  )
})

test('a way that is gone is not taken again though the peer still uses it, unless it is offered', () => {
  const setup = setUp('acceptor', R)
  setup.keeper.gone(Q, 0)
  setup.works(Q, true)
  for (let now = 0; now < 3000; now += 100) {
    setup.keeper.heard(Q, 100, now)
    setup.run(now)
  }
  assert.is(setup.keeper.present, R)
  assert.is(setup.sent.length, 0)
  setup.keeper.offered(Q, 3000)
  setup.run(3100)
  assert.is(setup.keeper.present, Q)
})

test('an answer counts once, and only with the nonce of a challenge that was sent', () => {
  const { keeper } = setUp('acceptor', R)
  const random = seededRandom(11)
  keeper.offered(Q, 0)
  const proof = keeper.nextProof(0) as Proof
  keeper.answered(proof.nonce, true, 0)
  assert.is(keeper.present, R, 'nobody can know the nonce before it was sent')
  keeper.sent(proof, 0)
  for (let i = 0; i < 1000; i++) keeper.answered(random.bytes(i % 20), true, i % 100)
  assert.is(keeper.present, R)
  const nonce = Uint8Array.from(proof.nonce)
  assert.is(nonce.length, NONCE_BYTES)
  keeper.answered(nonce, true, 100)
  assert.is(keeper.present, Q)
  keeper.gone(Q, 101)
  keeper.answered(nonce, true, 102)
  assert.not.ok(keeper.knownWays.includes(Q))
})

test('to an unproven address goes less than three times what came from it', () => {
  const setup = setUp()
  const shortest = 37
  setup.keeper.heard(Q, shortest, 0)
  setup.run(5000)
  assert.ok(sentTo(setup, Q).length * PROOF_PACKET_BYTES <= 3 * shortest)
  assert.is(sentTo(setup, Q).length, 1)
})

test('a flood from made-up addresses causes few challenges, little state, and no move', () => {
  const setup = setUp()
  for (let now = 0; now < 10_000; now++) {
    setup.keeper.presentHeard(now)
    setup.keeper.heard(way(`stranger ${now}`), 1200, now)
    setup.run(now)
    assert.ok(setup.keeper.challengedWays.length <= 16)
  }
  assert.ok(setup.sent.length <= 16 + 20 * 10, `${setup.sent.length} challenges in ten seconds`)
  assert.is(setup.keeper.present, P)
  assert.equal(setup.keeper.knownWays, [])
})

test('an offered way finds its place in the middle of a flood', () => {
  const setup = setUp('acceptor', R)
  setup.works(Q)
  for (let now = 0; now < 2000; now++) {
    setup.keeper.heard(way(`stranger ${now}`), 1200, now)
    if (now === 1000) setup.keeper.offered(Q, now)
    setup.run(now)
  }
  assert.is(setup.keeper.present, Q)
})

test('while the window takes one packet only, it goes to where the peer is heard now, not to where it once was', () => {
  const setup = setUp()
  const old = [way('o1'), way('o2'), way('o3')]
  for (const one of old) {
    setup.works(one)
    setup.keeper.offered(one, 0)
  }
  setup.run(100)
  assert.is(setup.keeper.knownWays.length, 3)
  setup.keeper.heard(Q, 1200, 200)
  setup.keeper.notSent(200)
  setup.keeper.lossTimeout(900)
  assert.is(setup.keeper.nextProof(900)?.way, Q)
  // QUIC waits twice as long each time.
  setup.keeper.tick(2100)
  const proof = setup.keeper.nextProof(2100) as Proof
  assert.is(proof.way, Q, 'later as well')
  setup.keeper.sent(proof, 2100)
  setup.keeper.heard(S, 1200, 2101)
  assert.ok(old.includes(setup.keeper.nextProof(2101)?.way as Way), 'but not all of them')
})

test('of many known ways those heard from last are kept', () => {
  const setup = setUp()
  const ways = Array.from({ length: 20 }, (_, i) => way(`${i}`))
  for (const [i, one] of ways.entries()) {
    setup.works(one)
    setup.keeper.presentHeard(i * 500)
    setup.keeper.offered(one, i * 500)
    setup.run(i * 500 + 100)
  }
  assert.equal(
    setup.keeper.knownWays.map((one) => one.key),
    ways.slice(-8).map((one) => one.key),
  )
})

test('answers to the peer go back the way its challenge came, a bounded number of them', () => {
  const { keeper } = setUp()
  for (let i = 0; i < 100; i++) keeper.challenged(Q, new Uint8Array(NONCE_BYTES).fill(i), 0)
  let answers = 0
  for (let proof = keeper.nextProof(0); proof !== undefined; proof = keeper.nextProof(0)) {
    assert.is(proof.type, 'answer')
    assert.is(proof.way, Q)
    keeper.sent(proof, 0)
    answers++
  }
  assert.is(answers, 8)
})

test('the present way gone and no other known: it is taken up again when another one by its key is offered', () => {
  const setup = setUp()
  const again = way('p')
  setup.keeper.gone(P, 0)
  setup.works(again)
  setup.keeper.offered(again, 100)
  setup.run(100 + RTT_MS)
  assert.is(setup.keeper.present, again)
  setup.keeper.presentHeard(200)
  setup.works(R)
  setup.keeper.offered(R, 200)
  setup.run(500)
  assert.is(setup.keeper.present, again, 'and stays')
})

test('what the window does not take is tried again, and does not make the timer spin', () => {
  const { keeper } = setUp()
  keeper.offered(Q, 0)
  assert.ok(keeper.nextProof(0) !== undefined)
  keeper.notSent(0)
  assert.ok(keeper.deadlineMs(0) >= 50)
  assert.ok(keeper.nextProof(1) !== undefined, 'with the next packets at once')
  keeper.challenged(P, new Uint8Array(NONCE_BYTES), 1)
  assert.ok(keeper.deadlineMs(1) >= 50)
  keeper.tick(5000)
  assert.is(keeper.nextProof(5000), undefined, 'and not for ever')
})

test('whatever comes, every deadline is in the future once its tick was made', () => {
  const seed = 20261121
  const random = seededRandom(seed)
  const ways = [P, Q, R, S, way('t'), way('u', 'relay'), way('v')]
  const { keeper } = setUp('initiator')
  const nonces: Uint8Array[] = []
  let now = 0
  for (let i = 0; i < 50_000; i++) {
    now += random.float() * 40
    const one = ways[Math.floor(random.float() * ways.length)] as Way
    const what = random.float()
    if (what < 0.3) keeper.presentHeard(now)
    else if (what < 0.5 && one.key !== keeper.present.key) keeper.heard(one, 50, now)
    else if (what < 0.55) keeper.offered(one, now)
    else if (what < 0.6) keeper.challenged(one, random.bytes(NONCE_BYTES), now)
    else if (what < 0.75) keeper.answered(nonces.pop() ?? random.bytes(NONCE_BYTES), random.float() < 0.5, now)
    else if (what < 0.77) keeper.gone(one, now)
    else if (what < 0.8) keeper.lossTimeout(now)
    keeper.tick(now)
    for (let proof = keeper.nextProof(now); proof !== undefined; proof = keeper.nextProof(now)) {
      if (random.float() < 0.2) {
        keeper.notSent(now)
        break
      }
      keeper.sent(proof, now)
      if (proof.type === 'challenge') nonces.push(proof.nonce)
    }
    if (nonces.length > 20) nonces.shift()
    assert.ok(keeper.deadlineMs(now) > now, `seed ${seed}, step ${i}`)
    assert.ok(keeper.knownWays.length <= 8)
    assert.not.ok(keeper.knownWays.some((known) => known.key === keeper.present.key))
  }
})

test.run()
