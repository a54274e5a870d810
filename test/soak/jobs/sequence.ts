/**
 * Numbers of one sender after the other, as a receiver sees them: from whatever it begins with, each is one more than the
 * one before. Where the connection was lost some may be missing, once; never does one come twice or out of order.
 *
 * Of what is published to a group some may be missing more than once (`published`): what was on its way is lost, what is published
 * before the loss is noticed waits for the next connection, and what is published after that goes to nobody there until the
 * members of the group are told of anew.
 */
interface Heard {
  readonly node: string
  number: number
  gapAllowed: boolean
  heardMs: number
}

export class Sequences {
  readonly #heard = new Map<string, Heard>()
  readonly #published: boolean
  /** Connections to these were lost. */
  readonly #lost = new Set<string>()

  constructor({ published = false } = {}) {
    this.#published = published
  }

  /** '' if it is what should come; otherwise what is wrong. */
  next(sender: string, node: string, number: number, nowMs: number): string {
    const heard = this.#heard.get(sender)
    if (heard === undefined) {
      this.#heard.set(sender, { node, number, gapAllowed: this.#published && this.#lost.has(node), heardMs: nowMs })
      return ''
    }
    const last = heard.number
    const isWrong = number <= last || (number !== last + 1 && !heard.gapAllowed)
    heard.number = Math.max(last, number)
    heard.gapAllowed &&= this.#published
    heard.heardMs = nowMs
    return isWrong ? `number ${number} of ${node} after ${last}` : ''
  }

  /** The connection to this node was lost. */
  cut(node: string): void {
    if (this.#published) this.#lost.add(node)
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
