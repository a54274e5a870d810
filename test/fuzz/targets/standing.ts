/**
 * Proofs within a session while cookies change: two members that use, accept and drop keys in any order, and somebody who
 * leaves out, repeats, changes and invents frames of theirs.
 */
import { Keyring } from '../../../certs/keyring.ts'
import { type ClusterKeys, deriveKeys } from '../../../certs/keys.ts'
import { CONTROL } from '../../../src/cluster/control.ts'
import { Standing } from '../../../src/cluster/standing.ts'
import { holds, joined, partsOf, type Target, tried } from '../target.ts'
import { HERE } from '../values.ts'

const keys = ['first', 'second', 'third'].map((word) => deriveKeys(Buffer.from(`the ${word} cookie`), 'demo')) as [
  ClusterKeys,
  ...ClusterKeys[],
]
const side = (role: string) => ({
  publicKey: Buffer.alloc(32, role.length),
  name: `${role}@host`,
  incarnation: HERE.incarnation,
  nonce: Buffer.alloc(32, 3),
})

interface Frame {
  readonly type: number
  readonly body: Uint8Array
}

class Member {
  readonly ring = new Keyring(keys[0])
  readonly sent: Frame[] = []
  readonly standing: Standing
  #nonces = 0

  constructor(role: 'initiator' | 'acceptor') {
    const proven = { fingerprint: '', initiator: side('initiator'), acceptor: side('acceptor') }
    this.standing = new Standing({
      role,
      ring: this.ring,
      proven: { ...proven, fingerprint: this.ring.entries()[0]!.fingerprint },
      isAble: true,
      nonce: () => Buffer.alloc(32, ++this.#nonces),
      nowMs: 0,
      send: (type, body) => this.sent.push({ type, body }),
    })
  }

  take({ type, body }: Frame): void {
    if (type === CONTROL.challenge) this.standing.challenged(body, 0)
    else this.standing.answered(body)
  }
}

/** What is done, by the first or the second member, or with its next frame. */
const USE = 0
const ACCEPT = 1
const FORGET = 2
const PASS = 3
const CHANGE = 4
const DROP = 5
const REPEAT = 6
const INVENT = 7
const OPS = 8
/** Challenges may use up the allowance of who repeats them. */
const MAX_PARTS = 40

export const target: Target = {
  name: 'standing',
  about: 'members, and whoever holds an old cookie: proofs within a session while cookies change',
  isSlow: true,
  sample: (chance) => {
    const parts: Uint8Array[] = []
    for (let i = chance.below(12); i >= 0; i--) {
      const op = chance.oneIn(3) ? chance.below(OPS) : PASS
      const body = op === INVENT ? chance.bytes(chance.oneIn(4) ? chance.below(80) : 64) : chance.bytes(2)
      parts.push(Buffer.concat([Buffer.of(op | (chance.below(2) << 7), chance.below(3)), body]))
    }
    return joined(parts)
  },
  run: (bytes) => {
    const both = [new Member('initiator'), new Member('acceptor')] as const
    let isHonest = true
    let parts = 0
    for (const part of partsOf(bytes)) {
      if (part.length < 2 || ++parts > MAX_PARTS) break
      const [from, to] = (part[0]! & 0x80) === 0 ? both : [both[1], both[0]]
      const op = (part[0]! & 0x7f) % OPS
      const one = keys[part[1]! % keys.length]!
      if (op === USE || op === ACCEPT || op === FORGET) {
        tried(() => (op === USE ? from.ring.use(one) : op === ACCEPT ? from.ring.accept(one) : from.ring.drop(one)))
        // It would end the session.
        if (!from.standing.review()) return
        continue
      }
      if (op === INVENT) {
        isHonest = false
        to.take({ type: (part[1]! & 1) === 0 ? CONTROL.challenge : CONTROL.answer, body: part.subarray(2) })
        continue
      }
      const frame = from.sent[0]
      if (frame === undefined) continue
      if (op !== REPEAT) from.sent.shift()
      if (op !== PASS) isHonest = false
      if (op === CHANGE) {
        const body = Uint8Array.from(frame.body)
        body[part[1]! % body.length]! ^= 1 + (part[2] ?? 0)
        to.take({ type: frame.type, body })
      } else if (op !== DROP) to.take(frame)
    }
    if (!isHonest) return
    for (let rounds = 0; rounds < 16; rounds++) {
      for (const [from, to] of [both, [both[1], both[0]]] as const) {
        for (const frame of from.sent.splice(0)) to.take(frame)
      }
    }
    const [first, second] = both.map(({ ring }) => ring.entries()[0]!.fingerprint)
    if (first !== second) return
    holds(both[0].standing.provenBy === first, 'who has the key proves it')
    holds(both[1].standing.provenBy === first, 'and so does the other side')
  },
}
