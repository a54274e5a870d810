/**
 * Numbers of one sender after the other, as a receiver sees them: from whatever it begins with, each is one more than the
 * one before. Where the connection was lost some may be missing, once; never does one come twice or out of order.
 *
 * `late`: a few may still come in order before the gap. What is published before the loss is noticed waits for the next
 * connection, what is published after that goes to nobody there until the members of the group are told of anew.
 */
interface Heard {
  readonly node: string
  number: number
  gapAllowed: boolean
  heardMs: number
}

export class Sequences {
  readonly #heard = new Map<string, Heard>()
  readonly #late: boolean
  /** Connections to these were lost. */
  readonly #lost = new Set<string>()

  constructor({ late = false } = {}) {
    this.#late = late
  }

  /** '' if it is what should come; otherwise what is wrong. */
  next(sender: string, node: string, number: number, nowMs: number): string {
    const heard = this.#heard.get(sender)
    if (heard === undefined) {
      this.#heard.set(sender, { node, number, gapAllowed: this.#late && this.#lost.has(node), heardMs: nowMs })
      return ''
    }
    const last = heard.number
    const isNext = number === last + 1
    const isWrong = number <= last || (!isNext && !heard.gapAllowed)
    heard.number = Math.max(last, number)
    heard.gapAllowed &&= this.#late && isNext
    heard.heardMs = nowMs
    return isWrong ? `number ${number} of ${node} after ${last}` : ''
  }

  /** The connection to this node was lost. */
  cut(node: string): void {
    if (this.#late) this.#lost.add(node)
    for (const heard of this.#heard.values()) if (heard.node === node) heard.gapAllowed = true
  }

  /** Forgets the senders that were silent for long, of nodes that are not there. */
  forget(isThere: (node: string) => boolean, beforeMs: number): void {
    for (const [sender, heard] of this.#heard) {
      if (heard.heardMs < beforeMs && !isThere(heard.node)) this.#heard.delete(sender)
    }
  }

  last(): Record<string, number> {
    return Object.fromEntries([...this.#heard].map(([sender, { number }]) => [sender, number]))
  }
}
