/** Who steps back where two nodes lost each other: exactly one, for reasons that nobody else can make up. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../certs/errors.ts'
import { nodeIdOf } from '../../../certs/node-id.ts'
import { type SigningKey, signingKeyFromSeed } from '../../../certs/signing-key.ts'
import { GRACE_MS, mustStepBack, Overlap } from '../../../src/cluster/overlap.ts'
import {
  decodeSight,
  encodeSight,
  giveWord,
  isWordOf,
  type Sight,
  type SightClaim,
} from '../../../src/cluster/sight.ts'
import { seededRandom } from '../../../transport/random.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'

const test = suite('overlap')

const NONCE = Uint8Array.from({ length: 12 }, (_, index) => index)
const keyOf = (number: number): SigningKey => signingKeyFromSeed(new Uint8Array(32).fill(number))
const idOf = (key: SigningKey): string => nodeIdOf(key.publicKey)
const incarnationOf = (number: number): string => number.toString(16).padStart(16, '0')

/** A node of a small world whose links can be cut; whoever started later has the greater number. */
interface Actor {
  readonly number: number
  readonly name: string
  readonly id: string
  readonly incarnation: string
  readonly key: SigningKey
  readonly overlap: Overlap
  readonly log: string[]
  /** Numbers of those it is connected to. */
  readonly connected: Set<number>
  /** What it makes of what it relays. */
  liar: ((to: Actor, sight: Sight) => Sight | undefined) | undefined
}

class World {
  readonly clock = new VirtualClock()
  readonly actors: Actor[] = []
  readonly #dead = new Set<number>()

  constructor(count: number, seed = 1) {
    const random = seededRandom(seed)
    for (let number = 0; number < count; number++) {
      const key = keyOf(number + 1)
      const age = { id: idOf(key), incarnation: incarnationOf(number) }
      const connected = new Set<number>()
      const log: string[] = []
      const overlap = new Overlap({
        self: age,
        key,
        clock: this.clock,
        random,
        host: {
          witnesses: () => [...connected].map((other) => this.actors[other]!.id),
          sees: (id) => [...connected].some((other) => this.actors[other]!.id === id),
          doubt: () => {},
          send: (id, sight) => this.#send(this.actors[number]!, id, sight),
          stepBack: ({ lost, keep }) => {
            log.push(`lost ${lost.map(({ name }) => name).join(' ')}`)
            for (const other of [...connected]) if (!keep.has(this.actors[other]!.id)) this.#part(number, other)
          },
          comeBack: () => log.push('back'),
        },
      })
      this.actors.push({ number, name: `n${number}`, ...age, key, overlap, log, connected, liar: undefined })
    }
    for (const actor of this.actors) {
      for (const other of this.actors) if (other !== actor) actor.connected.add(other.number)
    }
  }

  /** Both lose each other, and cannot dial. */
  cut(a: number, b: number): void {
    this.#part(a, b)
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const) {
      this.actors[one]!.overlap.lost(this.actors[other]!)
      for (let dial = 0; dial < 2; dial++) this.actors[one]!.overlap.failed(this.actors[other]!.id)
    }
  }

  crash(number: number): void {
    this.#dead.add(number)
    for (const other of this.actors) {
      if (other.connected.has(number)) this.cut(other.number, number)
    }
  }

  join(a: number, b: number): void {
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const) {
      this.actors[one]!.connected.add(other)
      this.actors[one]!.overlap.settled(this.actors[other]!.id)
    }
  }

  async pass(ms: number): Promise<void> {
    await this.clock.run({ untilMs: this.clock.now() + ms })
  }

  stop(): void {
    for (const { overlap } of this.actors) overlap.stop()
  }

  /** Numbers of those who stepped back. */
  stepped(): number[] {
    return this.actors.filter(({ log }) => log.length > 0).map(({ number }) => number)
  }

  #part(a: number, b: number): void {
    this.actors[a]!.connected.delete(b)
    this.actors[b]!.connected.delete(a)
  }

  #send(from: Actor, id: string, sight: Sight): void {
    const to = this.actors.find((actor) => actor.id === id)
    const said = to === undefined || from.liar === undefined ? sight : from.liar(to, sight)
    if (to === undefined || said === undefined || !from.connected.has(to.number) || this.#dead.has(from.number)) return
    const bytes = encodeSight(said)
    this.clock.after(5, () => {
      if (!this.#dead.has(to.number) && to.connected.has(from.number)) to.overlap.heard(from.id, decodeSight(bytes))
    })
  }
}

test('of two that lost each other while a third sees both the younger steps back, alone', async (t) => {
  const world = new World(3)
  t.defer(() => world.stop())
  world.cut(0, 1)
  await world.pass(GRACE_MS - 1000)
  assert.equal(world.stepped(), [], 'not before the grace time is over')
  await world.pass(6000)
  assert.equal(world.stepped(), [1])
  assert.equal(world.actors[1]!.log, ['lost n0'])
  assert.is(world.actors[1]!.connected.size, 0)
  assert.ok(world.actors[0]!.connected.has(2))
})

test('a link that is back in time, and a partition without a witness, are no reason', async (t) => {
  const world = new World(3)
  t.defer(() => world.stop())
  world.cut(0, 1)
  await world.pass(4000)
  world.join(0, 1)
  await world.pass(20_000)
  world.cut(0, 2)
  world.cut(1, 2)
  await world.pass(60_000)
  assert.equal(world.stepped(), [])
})

test('who lost more steps back, though it is the eldest', async (t) => {
  const world = new World(6)
  t.defer(() => world.stop())
  world.cut(0, 1)
  world.cut(0, 2)
  await world.pass(15_000)
  assert.equal(world.stepped(), [0])
})

test('two sides and one node that sees both: one side leaves, and stays together', async (t) => {
  for (let seed = 1; seed <= 10; seed++) {
    const world = new World(9, seed)
    t.defer(() => world.stop())
    const [left, right] = [
      [0, 2, 4, 6],
      [1, 3, 5, 7],
    ] as const
    for (const a of left) for (const b of right) world.cut(a, b)
    await world.pass(20_000)
    assert.equal(world.stepped(), [...right], `seed ${seed}: those who lost the eldest`)
    for (const number of right) {
      assert.equal(
        [...world.actors[number]!.connected].sort(),
        right.filter((one) => one !== number),
        `seed ${seed}`,
      )
    }
    for (const number of left) assert.is(world.actors[number]!.connected.size, 4)
  }
})

test('it comes back when the lost one is reached, or after a while; the pauses grow', async (t) => {
  const world = new World(3)
  t.defer(() => world.stop())
  world.cut(0, 1)
  await world.pass(9000)
  assert.is(world.actors[1]!.overlap.phase, 'apart')
  world.join(0, 1)
  assert.equal(world.actors[1]!.log, ['lost n0', 'back'])
  assert.is(world.actors[1]!.overlap.phase, 'watching')
  world.join(1, 2)

  const pauses: number[] = []
  for (let round = 0; round < 3; round++) {
    const { log, overlap } = world.actors[1]!
    log.length = 0
    world.cut(0, 1)
    while (overlap.phase !== 'apart') await world.pass(100)
    const sinceMs = world.clock.now()
    while (overlap.phase === 'apart') await world.pass(100)
    pauses.push(world.clock.now() - sinceMs)
    world.join(1, 2)
    world.join(0, 1)
  }
  assert.ok(pauses[2]! > pauses[0]! * 1.5, pauses.join(' '))
})

test('one member cannot put another out again and again', async (t) => {
  const world = new World(4)
  t.defer(() => world.stop())
  let steps = 0
  for (let round = 0; round < 10; round++) {
    world.actors[1]!.log.length = 0
    world.cut(0, 1)
    await world.pass(20_000)
    if (world.actors[1]!.log.length > 0) steps++
    for (const other of [0, 2, 3]) world.join(1, other)
    await world.pass(100)
  }
  assert.is(steps, 6)
})

test('a witness cannot make the dead alive', async (t) => {
  const world = new World(4)
  t.defer(() => world.stop())
  const [, , , liar] = world.actors
  const forger = keyOf(99)
  liar!.liar = (to, sight) => {
    if (sight.type !== 'answer') return sight
    const claim: SightClaim = { ...world.actors[0]!, connected: false, lost: 0, oldest: world.actors[0]! }
    return { ...sight, sees: true, word: giveWord(forger, claim, to.id, sight.nonce) }
  }
  world.crash(0)
  await world.pass(60_000)
  assert.equal(world.stepped(), [])
})

test('nobody makes a witness see what it has lost: those who lost the same stay together', async (t) => {
  const world = new World(9)
  t.defer(() => world.stop())
  const right = [1, 3, 5, 7]
  for (const a of [0, 2, 4, 6]) for (const b of right) world.cut(a, b)
  // It sees both sides, and sends its word through members of the one, who pass it on.
  const liar = world.actors[8]!
  liar.liar = (to, sight) => {
    if (sight.type !== 'answer' || !right.includes(to.number)) return sight
    const { nonce } = sight
    const claim: SightClaim = { ...liar, connected: false, lost: 0, oldest: liar }
    const word = giveWord(liar.key, claim, to.id, nonce)
    for (const number of right) {
      if (number === to.number) continue
      const { overlap } = world.actors[number]!
      world.clock.after(5, () => overlap.heard(liar.id, { type: 'word', nonce, asker: to.id, word }))
    }
    return sight
  }
  await world.pass(20_000)
  assert.equal(world.stepped(), right)
  for (const number of right) {
    const others = right.filter((one) => one !== number)
    assert.equal([...world.actors[number]!.connected].sort(), others)
  }
})

test('a member that shuts out two at once and denies it steps back, or nobody does', async (t) => {
  const world = new World(5)
  t.defer(() => world.stop())
  const claim = {
    ...world.actors[0]!,
    connected: false,
    lost: 1,
    oldest: { id: 'z'.repeat(32), incarnation: 'f'.repeat(16) },
  }
  const [liar] = world.actors
  liar!.liar = (_to, sight) =>
    sight.type === 'word' ? { ...sight, word: giveWord(liar!.key, claim, sight.asker, sight.nonce) } : sight
  world.cut(0, 1)
  world.cut(0, 2)
  await world.pass(30_000)
  assert.equal(
    world.stepped().filter((number) => number !== 0),
    [],
  )
})

test('exactly one of two steps back, whatever they lost', () => {
  const random = seededRandom(5)
  const pick = (count: number): number => Math.floor(random.float() * count)
  const age = (): { id: string; incarnation: string } => ({ id: `${pick(3)}`, incarnation: incarnationOf(pick(3)) })
  for (let i = 0; i < 1000; i++) {
    const a = { ...age(), id: 'a', lost: pick(3), oldest: age() }
    const b = { ...age(), id: 'b', lost: pick(3), oldest: age() }
    assert.is(mustStepBack(a, b), !mustStepBack(b, a), JSON.stringify([a, b]))
  }
})

test('frames survive the wire, and what is malformed is refused', () => {
  const key = keyOf(1)
  const asker = idOf(keyOf(2))
  const claim: SightClaim = {
    id: idOf(key),
    incarnation: incarnationOf(7),
    connected: true,
    lost: 3,
    oldest: { id: asker, incarnation: incarnationOf(2) },
  }
  const word = giveWord(key, claim, asker, NONCE)
  const frames: Sight[] = [
    { type: 'ask', nonce: NONCE, target: asker, relay: true },
    { type: 'relay', nonce: NONCE, asker },
    { type: 'word', nonce: NONCE, asker, word },
    { type: 'answer', nonce: NONCE, sees: false, word: undefined },
    { type: 'answer', nonce: NONCE, sees: true, word },
  ]
  const random = seededRandom(3)
  for (const frame of frames) {
    const bytes = encodeSight(frame)
    const read = decodeSight(bytes)
    assert.is(read.type, frame.type)
    assert.equal(encodeSight(read), bytes)
    for (let length = 0; length < bytes.length; length++)
      assert.ok(isRefused(bytes.subarray(0, length)), `cut to ${length}`)
    for (let i = 0; i < 200; i++) {
      const changed = Uint8Array.from(bytes)
      changed[Math.floor(random.float() * bytes.length)] = Math.floor(random.float() * 256)
      isRefused(changed)
    }
  }
  assert.ok(isWordOf(word, claim.id, asker, NONCE))
  assert.not(isWordOf(word, asker, asker, NONCE), 'of another')
  assert.not(isWordOf(word, claim.id, claim.id, NONCE), 'for another')
  assert.not(isWordOf(word, claim.id, asker, new Uint8Array(12)), 'at another time')
  assert.not(isWordOf({ ...word, claim: { ...claim, lost: 0 } }, claim.id, asker, NONCE), 'another claim')
})

/** Throws what is no refusal. */
const isRefused = (bytes: Uint8Array): boolean => {
  try {
    decodeSight(bytes)
    return false
  } catch (error) {
    if (isSkeinError(error, 'ERR_SKEIN_PROTOCOL')) return true
    throw error
  }
}

test.run()
