/** Frames of signals: heads, names and keys by number, traces, packed bodies. */
import { isDeepStrictEqual } from 'node:util'
import type { Signal } from '../../../src/signals.ts'
import { learnKeys, SentKeys } from '../../../src/wire/key-tables.ts'
import { Packer } from '../../../src/wire/packing.ts'
import { FRAME_TYPES, Wire } from '../../../src/wire/wire.ts'
import type { Chance } from '../chance.ts'
import { holds, isOneIn, type Target, tried } from '../target.ts'
import { anyValue, codecOf, HERE, THERE } from '../values.ts'

const there = new Wire(codecOf(THERE, HERE), new Packer({ aboveBytes: 300 }))
const here = new Wire(codecOf(HERE, THERE))
const back = new Wire(codecOf(THERE, HERE))
const KNOWN = ['type', 'name', '__proto__', 'value', '']
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

const signalOf = (chance: Chance): Signal => {
  const from = chance.pick([0, 1, 127, 128, 2 ** 53 - 1])
  const to = chance.oneIn(3) ? chance.pick(['counter', 'x', 'é'.repeat(100)]) : 1 + chance.below(400)
  const number = 1 + chance.below(400)
  const message = chance.oneIn(4) ? { value: 'abcdefgh '.repeat(60), name: 1 } : anyValue(chance, 2)
  const trace = chance.oneIn(4) ? { trace: TRACE } : {}
  switch (chance.below(12)) {
    case 0:
      return { type: 'send', from, to, message, ...trace }
    case 1:
      return { type: 'sendMany', from, to: [number, number + 1, number + 300], message }
    case 2:
      return { type: 'call', from, to, call: number, request: message, ...trace }
    case 3:
      return { type: 'reply', from, call: number, value: message }
    case 4:
      return { type: 'cast', from, to, message, ...trace }
    case 5:
      return { type: 'exit', from, to, reason: message }
    case 6:
      return { type: 'down', from, ref: number, reason: message }
    case 7: {
      const spawn = { behaviour: 'b', version: chance.pick(['', '1']), name: chance.pick(['', 'n']), args: [message] }
      return {
        type: 'spawn',
        from,
        request: number,
        link: chance.oneIn(2),
        start: chance.oneIn(2),
        ref: number,
        ...spawn,
      }
    }
    case 8:
      return {
        type: 'stream',
        from,
        to: number,
        call: 1,
        stream: 1 + chance.below(9),
        duplex: chance.oneIn(2),
        meta: message,
      }
    case 9:
      return { type: 'monitor', from, to, ref: number }
    case 10:
      return { type: 'unlink', from, to: number, id: number }
    default:
      return { type: chance.pick(['spawned', 'started'] as const), from, request: number }
  }
}

const sentKeys = (): SentKeys => {
  const keys: SentKeys = new SentKeys(() => {})
  for (const text of KNOWN.slice(0, 4)) for (let i = 0; i < 2; i++) keys.numberOf(text)
  keys.tellNews()
  keys.acknowledge(4)
  return keys
}
const keys = sentKeys()

/** The first byte is the type of the frame, as it is in a lane. */
const frameOf = (wire: Wire, signal: Signal, packs: boolean): Buffer => {
  const { type, head, headLength, body } = wire.encode(signal, HERE, packs, packs ? keys : undefined)
  return Buffer.concat([Buffer.of(type), head.subarray(0, headLength), body ?? Buffer.alloc(0)])
}

export const target: Target = {
  name: 'wire',
  about: 'members: frames of signals with known keys, traces and packed bodies; announced keys',
  dictionary: [
    ...Object.values(FRAME_TYPES).map((type) => Buffer.of(type)),
    Buffer.of(0, 1),
    Buffer.of(0xc1, 2),
    TRACE,
  ],
  sample: (chance) => frameOf(there, signalOf(chance), chance.oneIn(2)),
  run: (bytes) => {
    tried(() => learnKeys([], bytes))
    if (bytes.length === 0) return
    const signal = here.decode(bytes[0]!, bytes, 1, bytes.length, THERE, KNOWN)
    if (!isOneIn(4, bytes)) return
    const again = tried(() => frameOf(here, signal, false))
    if (again === undefined) return
    const twice = tried(() => back.decode(again[0]!, again, 1, again.length, HERE))
    holds(twice !== undefined && isDeepStrictEqual(Object.keys(twice), Object.keys(signal)), 'a signal can be sent on')
  },
}
