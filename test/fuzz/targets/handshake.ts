/**
 * The handshake, both sides of it: a conversation with an honest node in which somebody in between leaves out, repeats,
 * changes and invents frames, or which is held by a node with the right or the wrong cookie that sends what it likes.
 */
import { deriveKeys } from '../../../certs/keys.ts'
import { nodeIdOf } from '../../../certs/node-id.ts'
import { CONTROL, encodeHello } from '../../../src/cluster/control.ts'
import {
  type HandshakeInput,
  type HandshakeState,
  handshakeKeys,
  type Introduction,
  next,
  start,
} from '../../../src/cluster/handshake.ts'
import { holds, joined, partsOf, type Target } from '../target.ts'
import { HERE } from '../values.ts'

const cluster = handshakeKeys(deriveKeys(Buffer.from('a good cookie'), 'demo'))
const older = handshakeKeys(deriveKeys(Buffer.from('an older cookie'), 'demo'))

const introduce = (role: Introduction['role'], keys: Introduction['keys']): Introduction => ({
  role,
  name: `${role}@host`,
  incarnation: HERE.incarnation,
  publicKey: Buffer.alloc(32, role.length),
  versions: [1, 2],
  capabilities: ['keys', 'reach'],
  addresses: [{ host: '10.0.0.1', port: 4433 }],
  hidden: false,
  replace: false,
  nonce: Buffer.alloc(32, 3),
  keys,
  accepted: role === 'acceptor' ? [older] : [],
})

const sides = [introduce('initiator', cluster), introduce('acceptor', cluster)] as const
const peers = sides.map(({ publicKey }) => ({ nodeId: nodeIdOf(publicKey), publicKey, certificate: publicKey }))

interface Frame {
  readonly frame: number
  readonly body: Uint8Array
}

class Side {
  #state: HandshakeState
  readonly sent: Frame[]
  established = 0
  refused = 0
  why = ''

  constructor(state: HandshakeState, sent: readonly Frame[] = []) {
    this.#state = state
    this.sent = [...sent]
  }

  copy(): Side {
    return new Side(this.#state, this.sent)
  }

  feed(input: HandshakeInput): void {
    const { state, outputs } = next(this.#state, input)
    this.#state = state
    for (const output of outputs) {
      if (output.type === 'send') this.sent.push(output)
      if (output.type === 'established') this.established++
      if (output.type === 'refuse') {
        this.refused++
        this.why = output.message
      }
      if (output.type === 'judge') this.feed({ type: 'verdict', refusal: undefined })
    }
  }
}

/** Both, where the connection has just opened: states are values, so each input can begin with them. */
const opened = sides.map((own, at) => {
  const side = new Side(start(own))
  side.feed({ type: 'open', peer: peers[1 - at]! })
  return side
})

/** What is done with the next frame of the first or the second side, and to which of them. */
const PASS = 0
const CHANGE = 1
const DROP = 2
const REPEAT = 3
const INVENT = 4
const OPS = 5

export const target: Target = {
  name: 'handshake',
  about: 'whoever opened a connection, and whoever sits between two members: the handshake as a conversation',
  isSlow: true,
  dictionary: [HERE.incarnation, 'initiator@host', Buffer.of(0, 32), Buffer.of(0, 0, 2, 0, 0)],
  sample: (chance) => {
    const parts: Uint8Array[] = []
    for (let i = 0; i < 8; i++) {
      const op = chance.oneIn(4) ? chance.below(OPS) : PASS
      const hello = encodeHello({ ...sides[0], cookieCheck: chance.bytes(32), clusterCheck: chance.bytes(32) })
      const body = op === INVENT ? (chance.oneIn(2) ? hello : chance.bytes(32)) : chance.bytes(3)
      parts.push(Buffer.concat([Buffer.of(op | ((i & 1) << 7), 1 + chance.below(3)), body]))
    }
    return joined(parts)
  },
  run: (bytes) => {
    const both = opened.map((side) => side.copy()) as [Side, Side]
    let isHonest = true
    let parts = 0
    for (const part of partsOf(bytes)) {
      if (part.length < 2 || ++parts > 24) break
      const [from, to] = (part[0]! & 0x80) === 0 ? [both[0], both[1]] : [both[1], both[0]]
      const op = (part[0]! & 0x7f) % OPS
      if (op === INVENT) {
        isHonest = false
        to.feed({ type: 'frame', frame: part[1]!, body: part.subarray(2) })
        continue
      }
      const frame = from.sent[0]
      if (frame === undefined) continue
      if (op !== REPEAT) from.sent.shift()
      else isHonest = false
      if (op === DROP) isHonest = false
      if (op === CHANGE) {
        const body = Uint8Array.from(frame.body)
        if (body.length > 0 && part.length > 3) body[(part[2]! * 256 + part[3]!) % body.length]! ^= 1 + part[1]!
        isHonest &&= Buffer.compare(body, frame.body) === 0
        to.feed({ type: 'frame', frame: frame.frame, body })
      } else if (op !== DROP) to.feed({ type: 'frame', frame: frame.frame, body: frame.body })
    }
    for (const side of both) {
      holds(side.established + side.refused <= 1, 'a handshake has one end')
      holds(isHonest === false || side.refused === 0, `honest nodes do not refuse one another: ${side.why}`)
    }
    both[0].feed({ type: 'deadline' })
    holds(both[0].established + both[0].refused === 1, 'after the deadline it has ended')
    holds(CONTROL.hello === 1, 'the first frame is the hello')
  },
}
