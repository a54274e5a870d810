/** The first look at a datagram: whose it is, its gate tag, its long header, its retry token. */
import { classify } from '../../../transport/demux.ts'
import { GATE_TAG_BYTES, Gate } from '../../../transport/gate.ts'
import { parseLongHeader } from '../../../transport/quic-header.ts'
import { RetryTokens } from '../../../transport/retry-token.ts'
import { holds, isOneIn, type Target } from '../target.ts'

const gate = new Gate([Buffer.alloc(32, 1), Buffer.alloc(32, 2)])
const tokens = new RetryTokens(Buffer.alloc(32, 3))
const from = { host: '192.0.2.1', port: 4433 }
const id = Buffer.alloc(8, 0x88)
const room = Buffer.alloc(4096)
const NOW_MS = 5000

export const target: Target = {
  name: 'datagram',
  about: 'everybody: the port, the gate, long headers of QUIC, retry tokens',
  dictionary: [
    Buffer.of(0xc0, 0, 0, 0, 1, 8),
    Buffer.of(0xf0, 0, 0, 0, 1),
    Buffer.of(0x80, 0, 0, 0, 0),
    'd1:',
    Buffer.of(0xff, 0xff, 0xff, 0xff),
    Buffer.of(20),
    Buffer.of(21),
  ],
  neverThrows: true,
  sample: (chance) => {
    const token = tokens.issue(from, id, id, NOW_MS - chance.below(20_000))
    const first = chance.pick([0xc0, 0xc0, 0xd0, 0xe0, 0xf0, 0x80, 0x40])
    const head = Buffer.of(first, 0, 0, 0, chance.pick([1, 1, 0, 2]), id.length, ...id, id.length, ...id)
    const rest = Buffer.concat([Buffer.of(0x40, token.length), token, Buffer.of(0x40, 24), chance.bytes(24)])
    const bytes = Buffer.concat([head, rest, Buffer.alloc(GATE_TAG_BYTES)])
    if (chance.oneIn(2)) gate.seal(bytes, bytes.length - GATE_TAG_BYTES)
    return bytes
  },
  run: (bytes) => {
    const kind = classify(bytes)
    gate.open(bytes)
    const header = parseLongHeader(bytes)
    holds(header === undefined || kind === 'long', 'what has a long header is for QUIC')
    if (header !== undefined) {
      const { destinationId, sourceId, token } = header
      holds(
        destinationId.length <= 20 && sourceId.length <= 20 && token?.length !== 0,
        'ids and tokens have their bounds',
      )
      if (token !== undefined) tokens.check(token, from, destinationId, NOW_MS)
    }
    tokens.check(bytes, from, id, NOW_MS)
    if (isOneIn(8, bytes) && bytes.length > 0 && bytes.length < room.length - GATE_TAG_BYTES) {
      room.set(bytes)
      const sealed = room.subarray(0, gate.seal(room, bytes.length))
      holds(gate.open(sealed) === bytes.length, 'a sealed datagram can be opened')
    }
  },
}
