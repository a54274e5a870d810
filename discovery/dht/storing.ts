/**
 * To store something: a lookup that waits for the late, since a node that is missed is missed for long, and then a query to
 * each of the nodes nearest to the target that gave a token (BEP 5, BEP 44).
 */
import type { Candidate } from './lookup.ts'
import type { DhtKey, Reply } from './message.ts'
import type { Overlay } from './overlay.ts'
import type { Question } from './queries.ts'

/** How many nodes keep what is stored. */
export const STORED_ON = 16

export interface PutResult {
  /** How many nodes stored it. */
  readonly stored: number
  /** Error codes of those who refused (FAULT of message.ts). */
  readonly refused: readonly number[]
}

/** Something to be stored on the nodes nearest to a target. */
export interface Storing {
  readonly target: DhtKey
  /** What to ask on the way: a query whose reply has a token. */
  readonly finding: Question
  readonly storing: (token: Uint8Array) => Question
  /** Whether a node has it already. */
  readonly has?: (reply: Reply) => boolean
}

/** Looks for the nodes nearest to the target, then asks those that gave a token to store something. */
export const storeIn = (
  overlay: Overlay,
  { target, finding, storing, has = () => false }: Storing,
  onDone: (result: PutResult) => void,
): void => {
  const tokens = new Map<Candidate, Uint8Array>()
  const ask = (nodes: readonly Candidate[]): void => {
    const pending = new Set(nodes)
    const refused: number[] = []
    let stored = 0
    const settle = (node: Candidate): void => {
      if (pending.delete(node) && pending.size === 0) onDone({ stored, refused })
    }
    for (const node of nodes) {
      const isAsked = overlay.ask(node.address, storing(tokens.get(node)!), {
        onAnswer: (answer) => {
          if (answer.kind === 'reply') stored++
          else refused.push(answer.code)
          settle(node)
        },
        onSilent: () => settle(node),
        onFailed: () => settle(node),
      })
      if (!isAsked) settle(node)
    }
    if (nodes.length === 0) onDone({ stored, refused })
  }
  overlay.lookup({
    target,
    question: finding,
    paths: 2,
    patient: true,
    onReply: (reply, node) => {
      if (reply.token !== undefined && !has(reply)) tokens.set(node, reply.token)
      return false
    },
    onDone: (lookup) => ask(lookup.closest(STORED_ON).filter((node) => tokens.has(node))),
  })
}
