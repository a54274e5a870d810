/** The TCP port: preambles and words, frames in pieces of any size, and what their bodies say. */
import { boundedCloseMessage, codeOfWire } from '../../../transport/close-codes.ts'
import { FRAME, FrameReader, FrameWriter, limitsOf } from '../../../transport/tcp-frames.ts'
import { TcpGate } from '../../../transport/tcp-gate.ts'
import { Chance } from '../chance.ts'
import { holds, type Target } from '../target.ts'

const WALL_MS = Date.UTC(2030, 0, 1)
const gateKey = Buffer.alloc(32, 1)
const sealing = new TcpGate([gateKey], new Chance(1))
const binding = Buffer.alloc(32, 4)

export const target: Target = {
  name: 'tcp',
  about: 'everybody: preambles; whoever opened a connection: frames',
  dictionary: [
    ...Object.values(FRAME).map((type) => Buffer.of(type, 0, 0, 6)),
    Buffer.of(0, 0x40, 6),
    Buffer.of(0xff, 0xff, 0xff),
  ],
  maxBytes: 20_000,
  sample: (chance) => {
    if (chance.oneIn(6)) return sealing.seal(WALL_MS)
    const writer = new FrameWriter()
    for (let i = chance.below(6); i >= 0; i--) {
      const stream = chance.below(2 ** 20)
      const kind = chance.below(6)
      if (kind === 0) writer.data(stream, chance.bytes(1 + chance.below(chance.oneIn(20) ? 9000 : 40)), chance.oneIn(2))
      else if (kind === 1) writer.limits(chance.pick([FRAME.reset, FRAME.streams]), stream)
      else if (kind === 2) writer.limits(FRAME.credit, stream, chance.next())
      else if (kind === 3) writer.ping(chance.pick([FRAME.ping, FRAME.pong]), chance.next())
      else if (kind === 4) writer.close(48, 'it makes no sense')
      else writer.body(chance.oneIn(2) ? FRAME.word : FRAME.datagram, sealing.word('initiator', binding))
    }
    return Buffer.concat([Buffer.of(chance.below(256)), ...writer.take()])
  },
  run: (bytes) => {
    const gate = new TcpGate([gateKey], new Chance(1))
    if (gate.open(bytes, WALL_MS) === 'member')
      holds(gate.open(bytes, WALL_MS) === 'replayed', 'a preamble is good once')
    if (bytes.length === 0) return
    let given = 0
    const reader = new FrameReader({
      data: (stream, piece) => {
        given += piece.length
        holds(stream < 2 ** 48, 'a stream has a number')
      },
      frame: (type, body) => {
        given += body.length
        if (type === FRAME.credit || type === FRAME.streams || type === FRAME.reset) limitsOf(body)
        if (type === FRAME.word) gate.isWord('initiator', binding, body)
        if (type === FRAME.close) {
          codeOfWire(body.readUInt32BE())
          boundedCloseMessage(body.toString('utf8', 4))
        }
      },
    })
    const step = 1 + bytes[0]! * 8
    for (let at = 1; at < bytes.length; at += step) reader.take(bytes.subarray(at, at + step))
    holds(given < bytes.length, 'no frame has bytes that did not come')
  },
}
