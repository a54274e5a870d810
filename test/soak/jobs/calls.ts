/**
 * Calls to a server on another node: answered at once, later, by another process than the one that was called, or too late.
 * Each has one outcome; a reply that comes too late vanishes and never reaches a mailbox.
 */
import type { CallMessage, From, Self } from '../../../src/index.ts'
import { codeOf, isType, type Mark, type Work, type Workplace } from './work.ts'

const SERVER = 'server'
const HOWS = ['now', 'later', 'handed on', 'too late'] as const
const LATER_MS = 20
/** Far beyond what a busy machine makes of TIMEOUT_MS. */
const TOO_LATE_MS = 1500
const SHORT_TIMEOUT_MS = 100
const TIMEOUT_MS = 30_000

interface Question {
  readonly how: (typeof HOWS)[number]
  readonly number: number
}

interface Late {
  readonly type: 'late'
  readonly from: From<unknown>
  readonly value: number
}

export class CallsWork implements Work {
  readonly name = 'calls'
  readonly #place: Workplace
  #self: Self<unknown> | undefined
  #open = 0
  #number = 0

  constructor(place: Workplace) {
    this.#place = place
    place.node.spawnWith({ name: SERVER }, (self: Self<unknown>) => this.#serve(self))
    place.node.spawn(async (self: Self<unknown>) => {
      this.#self = self
      for await (const message of self) place.violation(`a caller got ${JSON.stringify(message)}`)
    })
  }

  tick(): void {
    const node = this.#place.peer()
    if (node === undefined) return
    void this.#ask(node)
    // Also from outside of any process.
    if (this.#place.chance(0.1)) void this.#askAs(this.#place.node, node, 'now')
  }

  outstanding(): number {
    return this.#open
  }

  async #ask(node: string): Promise<void> {
    const self = this.#self
    const how = this.#place.chance(0.7) ? 'now' : (this.#place.pick(HOWS) ?? 'now')
    if (self !== undefined) await this.#askAs(self, node, how)
  }

  async #askAs(caller: Pick<Self, 'call'>, node: string, how: Question['how']): Promise<void> {
    const mark = this.#place.mark(node)
    const number = ++this.#number
    this.#open++
    try {
      const timeoutMs = how === 'too late' ? SHORT_TIMEOUT_MS : TIMEOUT_MS
      const question: Question = { how, number }
      const value: unknown = await caller.call({ name: SERVER, node }, question, { timeoutMs })
      if (how === 'too late') this.#place.violation(`a call that is answered too late got ${String(value)}`)
      else if (value !== -number) this.#place.violation(`call ${number} got ${String(value)}`)
      this.#place.count(`calls: ${how}`)
    } catch (error) {
      this.#failed(mark, how, error)
    } finally {
      this.#open--
    }
  }

  #failed(mark: Mark, how: Question['how'], error: unknown): void {
    const code = codeOf(error)
    if (how === 'too late' && code === 'ERR_SKEIN_CALL_TIMEOUT') this.#place.count('calls: too late')
    else this.#place.blame(mark, `a call (${how}) to ${mark.node} failed with ${code}`)
  }

  async #serve(self: Self<unknown>): Promise<void> {
    for await (const message of self) {
      if (isType(message, 'late')) {
        const { from, value } = message as unknown as Late
        self.reply(from, value)
      } else if (isType(message, 'call')) {
        const { from, request } = message as unknown as CallMessage<Question, unknown>
        const value = -request.number
        if (request.how === 'now') self.reply(from, value)
        else if (request.how === 'handed on') self.spawn((other) => void other.reply(from, value))
        else self.sendAfter(request.how === 'later' ? LATER_MS : TOO_LATE_MS, self.pid, { type: 'late', from, value })
      }
    }
  }
}
