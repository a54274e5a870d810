/**
 * Questions to peers and their answers, over one channel.
 *
 * A question has one outcome: the answer, the refusal (a SkeinError as the peer gave it), ERR_SKEIN_NOCONNECTION when the
 * peer goes, or ERR_SKEIN_GLOBAL_TIMEOUT. What a peer cannot take at the moment waits, in order; more than that is dropped,
 * and times out. What arrives is material to judge: answers to questions not asked of that peer are ignored.
 */
import { ERRORS, type ErrorCode, isSkeinError, SkeinError } from '../../../certs/errors.ts'
import type { Clock, Timer } from '../../../transport/clock.ts'
import { type Channel, type ChannelPeer, nonsense } from '../channel.ts'

/** Questions without an answer, of this node. */
const MAX_OPEN_QUESTIONS = 1_048_576
/** Questions of one peer that take time. */
const MAX_ANSWERS_UNDER_WAY = 1024
/** Messages that wait for one peer. */
const MAX_BACKLOG = 262_144
/** Characters of a refusal's text. */
const MAX_TEXT_LENGTH = 1000
/** Pause where a peer takes nothing. */
const RETRY_MS = 20

/** Answers a peer's question. Throws, or rejects with, a SkeinError to refuse. */
export type Answerer = (peer: ChannelPeer, question: Record<string, unknown>) => unknown

interface Open {
  readonly peer: ChannelPeer
  readonly timer: Timer
  answered(value: unknown): void
  failed(error: SkeinError): void
}

export class Dialogue {
  readonly #channel: () => Channel
  readonly #clock: Clock
  readonly #answerer: Answerer
  readonly #open = new Map<number, Open>()
  readonly #backlogs = new Map<ChannelPeer, unknown[]>()
  readonly #underWay = new Map<ChannelPeer, number>()
  #lastId = 0

  constructor(channel: () => Channel, clock: Clock, answerer: Answerer) {
    this.#channel = channel
    this.#clock = clock
    this.#answerer = answerer
  }

  /** `done` is called in the instant in which the answer comes, or says why there will be none. */
  ask(
    peer: ChannelPeer,
    question: { readonly type: string; readonly [key: string]: unknown },
    timeoutMs: number,
    done: { answered(value: unknown): void; failed(error: SkeinError): void },
  ): void {
    if (!this.#channel().has(peer)) {
      done.failed(gone(peer))
      return
    }
    if (this.#open.size >= MAX_OPEN_QUESTIONS) {
      done.failed(new SkeinError('ERR_SKEIN_LIMIT', `${MAX_OPEN_QUESTIONS} questions wait for an answer.`))
      return
    }
    const id = ++this.#lastId
    const late = (): void => {
      this.#open.delete(id)
      done.failed(new SkeinError('ERR_SKEIN_GLOBAL_TIMEOUT', `${peer.node} has not answered within ${timeoutMs} ms.`))
    }
    this.#open.set(id, { peer, timer: this.#clock.after(timeoutMs, late, true), ...done })
    this.tell(peer, { type: 'ask', id, question })
  }

  /** As `ask`, as a promise. */
  asked(peer: ChannelPeer, question: { readonly type: string }, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.ask(peer, question, timeoutMs, { answered: resolve, failed: reject })
    })
  }

  /** Surely and in order, unless the peer goes. */
  tell(peer: ChannelPeer, message: unknown): void {
    const backlog = this.#backlogs.get(peer)
    if (backlog !== undefined) {
      if (backlog.length < MAX_BACKLOG) backlog.push(message)
      return
    }
    const outcome = this.#channel().send(peer, message)
    if (outcome === 'refused' && this.#channel().has(peer)) {
      this.#backlogs.set(peer, [message])
      void this.#catchUp(peer)
    }
  }

  /** True if the message was an answer or a question. Throws what it refuses. */
  received(peer: ChannelPeer, message: Record<string, unknown>): boolean {
    const { type, id } = message
    if (type !== 'ask' && type !== 'answer' && type !== 'refusal') return false
    if (!Number.isSafeInteger(id)) throw nonsense('an answer to nothing')
    if (type === 'ask') this.#asked(peer, Number(id), message.question)
    else this.#settle(peer, Number(id), message)
    return true
  }

  peerDown(peer: ChannelPeer): void {
    this.#backlogs.delete(peer)
    this.#underWay.delete(peer)
    for (const [id, open] of this.#open) {
      if (open.peer !== peer) continue
      this.#open.delete(id)
      open.timer.cancel()
      open.failed(gone(peer))
    }
  }

  stop(): void {
    this.#backlogs.clear()
    for (const [id, open] of this.#open) {
      this.#open.delete(id)
      open.timer.cancel()
      open.failed(new SkeinError('ERR_SKEIN_STOPPED', 'The node has been stopped.'))
    }
  }

  #settle(peer: ChannelPeer, id: number, { type, value, code, message }: Record<string, unknown>): void {
    const open = this.#open.get(id)
    if (open === undefined || open.peer !== peer) return
    this.#open.delete(id)
    open.timer.cancel()
    if (type === 'answer') open.answered(value)
    else open.failed(refusalOf(peer, code, message))
  }

  #asked(peer: ChannelPeer, id: number, question: unknown): void {
    if (typeof question !== 'object' || question === null) throw nonsense('a question that is none')
    try {
      const answer = this.#answerer(peer, question as Record<string, unknown>)
      if (answer instanceof Promise) this.#answerLater(peer, id, answer)
      else this.tell(peer, { type: 'answer', id, value: answer })
    } catch (error) {
      this.#refuse(peer, id, error)
    }
  }

  #answerLater(peer: ChannelPeer, id: number, answer: Promise<unknown>): void {
    const count = this.#underWay.get(peer) ?? 0
    this.#underWay.set(peer, count + 1)
    const over = (): void => {
      const left = this.#underWay.get(peer)
      if (left !== undefined) this.#underWay.set(peer, left - 1)
    }
    answer.then(
      (value) => {
        over()
        this.tell(peer, { type: 'answer', id, value })
      },
      (error: unknown) => {
        over()
        this.#refuseQuietly(peer, id, error)
      },
    )
  }

  /** Throws ERR_SKEIN_LIMIT when the peer has enough questions under way. */
  mustHaveTime(peer: ChannelPeer): void {
    if ((this.#underWay.get(peer) ?? 0) >= MAX_ANSWERS_UNDER_WAY) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `${MAX_ANSWERS_UNDER_WAY} questions of one node are under way.`)
    }
  }

  #refuse(peer: ChannelPeer, id: number, error: unknown): void {
    this.#refuseQuietly(peer, id, error)
    // What makes no sense is told to the operator too.
    if (isSkeinError(error, 'ERR_SKEIN_PROTOCOL') || !isSkeinError(error)) throw error
  }

  #refuseQuietly(peer: ChannelPeer, id: number, error: unknown): void {
    const code: ErrorCode = isSkeinError(error) ? error.code : 'ERR_SKEIN_PROTOCOL'
    const text = error instanceof Error ? error.message : String(error)
    this.tell(peer, { type: 'refusal', id, code, message: text.slice(0, MAX_TEXT_LENGTH) })
  }

  async #catchUp(peer: ChannelPeer): Promise<void> {
    for (;;) {
      await this.#channel().drained(peer)
      const backlog = this.#backlogs.get(peer)
      if (backlog === undefined) return
      let sent = 0
      while (sent < backlog.length && this.#channel().send(peer, backlog[sent]) !== 'refused') sent++
      backlog.splice(0, sent)
      if (backlog.length === 0) {
        this.#backlogs.delete(peer)
        return
      }
      if (sent === 0) await new Promise<void>((go) => this.#clock.after(RETRY_MS, go, true))
    }
  }
}

const gone = (peer: ChannelPeer): SkeinError =>
  new SkeinError('ERR_SKEIN_NOCONNECTION', `The connection to ${peer.node} is gone.`)

const refusalOf = (peer: ChannelPeer, code: unknown, message: unknown): SkeinError => {
  const isKnown = typeof code === 'string' && Object.hasOwn(ERRORS, code)
  const text = typeof message === 'string' ? message.slice(0, MAX_TEXT_LENGTH) : 'It gave no reason.'
  return new SkeinError(isKnown ? (code as ErrorCode) : 'ERR_SKEIN_PROTOCOL', `${peer.node}: ${text}`)
}
