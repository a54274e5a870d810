/**
 * A member of the cluster that does what it can to harm the others, over real QUIC: it forges, guesses, floods and bombs.
 * It has the cookie; what it may not do all the same, or not to this extent, is shown here. docs/security.md has the list.
 */
import { brotliCompressSync, constants } from 'node:zlib'
import * as assert from 'uvu/assert'
import { CONTROL, encodeNumber } from '../../src/cluster/control.ts'
import { MEMBERSHIP_FRAMES } from '../../src/cluster/membership/frames.ts'
import { Origin } from '../../src/pid.ts'
import type { Signal } from '../../src/signals.ts'
import { MessageCodec } from '../../src/wire/codec.ts'
import { varintBytes, writeVarint } from '../../src/wire/codec-varint.ts'
import { encodeKeys } from '../../src/wire/key-tables.ts'
import { PACKED } from '../../src/wire/packing.ts'
import { Wire } from '../../src/wire/wire.ts'
import type { LaneSender } from '../../transport/lane.ts'
import { machineNowMs, NodeProcess } from '../support/node-process.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { Rogue, type RogueOptions } from './support.ts'

const test = suite('a hostile member', { watchdogMs: 240_000 })

const NOBODY = 4_000_000
const SIGNALS_PER_TURN = 32
const DEADLINE = { deadlineMs: 60_000 }

/** Speaks as the processes of a rogue. */
class Tongue {
  readonly rogue: Rogue
  readonly #wire = new Wire(new MessageCodec({ local: new Origin('rogue@nowhere', 'r'.repeat(32), 'f'.repeat(16)) }))
  readonly #to: Origin
  readonly #senders = new Map<number, LaneSender>()
  refused = 0
  #said = 0

  private constructor(rogue: Rogue, { facts }: NodeProcess) {
    this.rogue = rogue
    this.#to = new Origin(facts.name, facts.id, facts.incarnation)
  }

  static async of(t: TestContext, node: NodeProcess, options?: RogueOptions): Promise<Tongue> {
    const rogue = await Rogue.dial(t, node, options)
    await rogue.up
    return new Tongue(rogue, node)
  }

  /** Says so much, and waits where the connection takes no more; what it refuses is counted. */
  async say(signals: Iterable<Signal>): Promise<void> {
    for (const signal of signals) {
      // The test drives the others from this loop.
      if (++this.#said % SIGNALS_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve))
      const { type, head, headLength, body } = this.#wire.encode(signal, this.#to)
      await this.frame(signal.from, type, Buffer.from(head.subarray(0, headLength)), body && Uint8Array.from(body))
    }
  }

  async frame(from: number, type: number, head: Uint8Array, body?: Uint8Array): Promise<void> {
    const sender = this.#senders.get(from) ?? this.rogue.lanes.sender(from)
    this.#senders.set(from, sender)
    try {
      if (!sender.send(type, head, head.length, body)) {
        await Promise.race([sender.drained(), this.rogue.closed])
      }
    } catch {
      this.refused++
      await new Promise<void>((resolve) => setTimeout(resolve, 10))
    }
  }
}

const startPair = async (t: TestContext): Promise<[NodeProcess, NodeProcess]> => {
  const a = await NodeProcess.start(t, { name: 'a' })
  const b = await NodeProcess.start(t, { name: 'b', seeds: [a.address] })
  await Promise.all([a.up(b.name), b.up(a.name)])
  return [a, b]
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1)

test(
  'forged: DOWN, exits over links, replies, failures, answers to spawns, for what others have with each other',
  async (t) => {
    const [a, b] = await startPair(t)
    const watcher = await a.puppet('watcher')
    const target = await b.puppet('target')
    await a.do('trapExit', 'watcher', true)
    await a.do('self', 'watcher', 'monitor', [target.pid])
    await a.do('self', 'watcher', 'link', [target.pid])
    const outcome = a.do('call', target.pid, 'a question', { timeoutMs: 20_000 }).then(
      () => 'answered',
      (error: { code?: string }) => error.code,
    )
    await target.mailbox.next()
    const { say, rogue } = await Tongue.of(t, a).then((tongue) => ({
      rogue: tongue.rogue,
      say: (signals: Iterable<Signal>) => tongue.say(signals),
    }))
    const to = watcher.pid.number
    for (const number of range(1500)) {
      await say([
        { type: 'down', from: number, ref: number, reason: 'forged' },
        { type: 'reply', from: number, call: number, value: 'forged' },
        { type: 'callFailed', from: number, call: number, reason: 'forged' },
        { type: 'callEnded', from: number, call: number },
        { type: 'spawned', from: number, request: number },
        { type: 'started', from: number, request: number },
        { type: 'spawnFailed', from: 0, request: number, reason: 'forged' },
        { type: 'linkExit', from: number, to, reason: 'forged' },
        { type: 'unlink', from: number, to, id: number },
        { type: 'unlinkAck', from: number, to, id: number },
        { type: 'demonitor', from: number, to, ref: number },
      ])
    }
    await rogue.lanes.flushed()
    // Behind all of it, on a lane of its own; then the truth.
    await say([{ type: 'send', from: 7, to, message: 'all is said' }])
    assert.is((await watcher.mailbox.next()).value, 'all is said')
    await b.do('exit', target.pid, 'the truth')
    assert.is(await outcome, 'ERR_SKEIN_CALL_EXIT')
    await watcher.mailbox.next((value) => (value as { type?: string }).type === 'DOWN')
    await watcher.mailbox.next((value) => (value as { type?: string }).type === 'EXIT')
    const reasons = watcher.mailbox.all.map(({ value }) => (value as { reason?: unknown }).reason)
    assert.equal(reasons.slice(1), ['the truth', 'the truth'])
  },
  DEADLINE,
)

test('keys by number from a member that did not say it knows them cost it the connection', async (t) => {
  const node = await NodeProcess.start(t, { name: 'node' })
  for (const [type, body] of [
    [CONTROL.keys, encodeKeys(['customer'])],
    [CONTROL.keysKnown, encodeNumber(0)],
  ] as const) {
    const { rogue } = await Tongue.of(t, node)
    rogue.lanes.control(type, body)
    assert.is((await rogue.closed).code, 'ERR_SKEIN_PROTOCOL')
  }
})

interface Besieged {
  readonly a: NodeProcess
  readonly b: NodeProcess
  /** Half and 99 of 100 of the calls of b to a took no longer, ms. */
  readonly times: { readonly median: number; readonly p99: number; readonly count: number }
  readonly grownBytes: number
}

/** What a well-behaved member gets from `a` while a rogue does this for so long. */
const besiege = async (
  t: TestContext,
  ms: number,
  attack: (a: NodeProcess, isOver: () => boolean) => Promise<void>,
): Promise<Besieged> => {
  const [a, b] = await startPair(t)
  const echo = await a.do('load', 'echo', 'echo', [])
  const before = await a.do('memory')
  const endMs = machineNowMs() + ms
  const isOver = (): boolean => machineNowMs() >= endMs
  const taken: number[] = []
  const calls = async (): Promise<void> => {
    while (!isOver()) {
      const beganMs = machineNowMs()
      await b.do('call', echo, 'still there?', { timeoutMs: 15_000 })
      taken.push(machineNowMs() - beganMs)
      await new Promise<void>((resolve) => setTimeout(resolve, 5))
    }
  }
  await Promise.all([calls(), attack(a, isOver)])
  const grownBytes = (await a.do('memory')) - before
  taken.sort((one, other) => one - other)
  const at = (share: number): number => taken[Math.floor((taken.length - 1) * share)] ?? Number.POSITIVE_INFINITY
  for (const { events } of [a, b]) {
    const downs = events.all.filter(({ value }) => value.type === 'nodedown' && value.node !== 'rogue@nowhere')
    assert.is(downs.length, 0, 'nobody else went down')
  }
  return { a, b, times: { median: at(0.5), p99: at(0.99), count: taken.length }, grownBytes }
}

/** 4 KiB of frame that are a million empty objects. */
const bomb = (target: number): { readonly head: Buffer; readonly body: Buffer } => {
  const values = Buffer.alloc(2 ** 20 - 1, 0x80)
  values[0] = 0xdd
  values.writeUInt32BE(values.length - 5, 1)
  const stream = brotliCompressSync(values, { params: { [constants.BROTLI_PARAM_LGWIN]: 20 } })
  const body = Buffer.alloc(1 + varintBytes(values.length) + Math.ceil(values.length / 256))
  body[0] = PACKED
  stream.copy(body, writeVarint(body, 1, values.length))
  const head = Buffer.alloc(16)
  return { head: head.subarray(0, writeVarint(head, writeVarint(head, 0, 1), target)), body }
}

test(
  'bombs without end take a small part of a core: calls of others are answered as before',
  async (t) => {
    const { times, grownBytes } = await besiege(t, 8000, async (a, isOver) => {
      const sink = await a.do('load', 'sink', 'sink', [])
      const tongue = await Tongue.of(t, a, { capabilities: ['packed-brotli'] })
      const { head, body } = bomb(sink.number)
      while (!isOver()) await Promise.race([tongue.frame(1, 0x01, head, body), new Promise((r) => setTimeout(r, 100))])
    })
    assert.ok(times.median < 50, `median ${times.median} ms of ${times.count}`)
    assert.ok(times.count > 20, `${times.count} calls were answered`)
    assert.ok(grownBytes < 512 << 20, `${grownBytes >> 20} MiB more`)
  },
  DEADLINE,
)

test(
  'floods of everything that costs an answer: others are served, and memory stays',
  async (t) => {
    const { a, times, grownBytes } = await besiege(t, 6000, async (node, isOver) => {
      const sink = await node.do('load', 'sink', 'sink', [])
      const tongue = await Tongue.of(t, node)
      const { lanes } = tongue.rogue
      for (let round = 1; !isOver(); round++) {
        for (let i = 0; i < 100; i++) {
          lanes.control(CONTROL.ping, encodeNumber(i))
          lanes.control(CONTROL.askPeers, new Uint8Array(0))
          lanes.control(CONTROL.tick, encodeNumber(i))
          lanes.control(MEMBERSHIP_FRAMES.digest, Buffer.alloc(3))
        }
        const signals: Signal[] = []
        for (let i = 0; i < 200; i++) {
          const number = round * 200 + i
          signals.push(
            { type: 'monitor', from: 1, to: NOBODY, ref: number },
            { type: 'call', from: 1, to: 'nobody', call: number, request: 'x' },
            { type: 'reply', from: 1, call: number, value: 'never asked for' },
            { type: 'link', from: 1, to: NOBODY },
            { type: 'unlink', from: 1, to: NOBODY, id: number },
            { type: 'send', from: 1, to: NOBODY, message: 'a dead letter' },
            { type: 'inspect', from: 1, to: sink.number, call: NOBODY + number },
            {
              type: 'spawn',
              from: 0,
              request: number,
              behaviour: 'nothing',
              version: '',
              link: false,
              ref: 0,
              start: false,
              name: '',
              args: [],
            },
          )
        }
        await tongue.say(signals)
        await Promise.race([lanes.flushed(), tongue.rogue.closed])
      }
    })
    assert.ok(times.count > 10, `${times.count} calls were answered`)
    assert.ok(grownBytes < 256 << 20, `${grownBytes >> 20} MiB more`)
    assert.ok(await a.do('isAlive'))
  },
  DEADLINE,
)

test(
  'half frames that never end, and a lane for each process: bounded memory',
  async (t) => {
    const { grownBytes, times } = await besiege(t, 5000, async (node, isOver) => {
      const { rogue } = await Tongue.of(t, node)
      const senders = range(600).map((key) => rogue.lanes.sender(key))
      for (let round = 0; !isOver(); round++) {
        if (round < 200) rogue.beginFrame(16 << 20)
        const sender = senders[round % senders.length]!
        const head = Buffer.alloc(16)
        const length = writeVarint(head, writeVarint(head, 0, round % 600), NOBODY)
        // More than a shared lane is for: each gets one of its own, as far as there are any.
        sender.send(0x01, head, length, Buffer.concat([Buffer.of(0xc5, 0x40, 0x00), Buffer.alloc(16_384)]))
        await Promise.race([rogue.lanes.flushed(), rogue.closed, new Promise((r) => setTimeout(r, 20))])
      }
    })
    assert.ok(times.count > 10, `${times.count} calls were answered`)
    assert.ok(grownBytes < 256 << 20, `${grownBytes >> 20} MiB more`)
  },
  DEADLINE,
)

test(
  'dense messages to a process that takes none: its mailbox holds by what they are in memory',
  async (t) => {
    const { grownBytes } = await besiege(t, 6000, async (node, isOver) => {
      const deaf = await node.puppet('deaf')
      await node.do('deaf', 'deaf', true)
      const tongue = await Tongue.of(t, node)
      const values = Buffer.alloc(60_000, 0x80)
      values[0] = 0xdd
      values.writeUInt32BE(values.length - 5, 1)
      const head = Buffer.alloc(16)
      const length = writeVarint(head, writeVarint(head, 0, 1), deaf.pid.number)
      while (!isOver()) {
        await Promise.race([
          tongue.frame(1, 0x01, head.subarray(0, length), values),
          new Promise((resolve) => setTimeout(resolve, 100)),
        ])
      }
    })
    // 16 MiB on the wire were a gigabyte of these.
    assert.ok(grownBytes < 400 << 20, `${grownBytes >> 20} MiB more`)
  },
  DEADLINE,
)

test.run()
