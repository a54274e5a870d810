/**
 * "Do you hear this member?": questions to other members about a silent one, and the answers to theirs. Pure bookkeeping.
 *
 * A question has a nonce of its own, an answer counts only if it comes from somebody who was asked and with that nonce,
 * and whoever is asked answers only with a pong that came after the question: no answer is older than its question.
 */
import type { Random } from '../../../transport/random.ts'

/** Others that are asked about a member at a time (SWIM's k; Das, Gupta and Motivala 2002). */
export const MAX_HELPERS = 3
/** Own questions that are open; more are not asked. */
const MAX_QUESTIONS = 1024
/** Pings sent for others that are not answered yet; in all, and for one of them. */
const MAX_ERRANDS = 1024
const MAX_ERRANDS_PER_MEMBER = 64
/** Older questions and errands are of no interest to anybody. */
const LIFETIME_MS = 10_000
const NUMBER_BYTES = 4
const MAX_PING_NUMBER = 2 ** 31

interface Question {
  readonly subject: string
  readonly helpers: ReadonlySet<string>
  readonly askedMs: number
}

/** A ping on behalf of somebody else. */
export interface Errand {
  readonly asker: string
  readonly nonce: number
  readonly subject: string
  readonly sinceMs: number
}

export class IndirectProbes {
  readonly #random: Random
  /** By nonce; the oldest is the first. */
  readonly #questions = new Map<number, Question>()
  /** By the number of the ping; the oldest is the first. */
  readonly #errands = new Map<number, Errand>()
  readonly #errandsOf = new Map<string, number>()

  constructor(random: Random) {
    this.#random = random
  }

  /** A number for a ping: nobody can have answered it before. */
  pingNumber(): number {
    return this.#number() % MAX_PING_NUMBER
  }

  /** The nonce of a new question; undefined if too many are open. */
  ask(subject: string, helpers: ReadonlySet<string>, nowMs: number): number | undefined {
    for (const [nonce, { askedMs }] of this.#questions) {
      if (nowMs - askedMs < LIFETIME_MS) break
      this.#questions.delete(nonce)
    }
    if (this.#questions.size >= MAX_QUESTIONS) return undefined
    const nonce = this.#number()
    this.#questions.set(nonce, { subject, helpers, askedMs: nowMs })
    return nonce
  }

  /** The member that this answer confirms, if it answers a question of ours. */
  answered(from: string, nonce: number, nowMs: number): string | undefined {
    const question = this.#questions.get(nonce)
    if (question === undefined || !question.helpers.has(from)) return undefined
    return nowMs - question.askedMs < LIFETIME_MS ? question.subject : undefined
  }

  /** Somebody asks; gives the number of the ping to send, or undefined if it has asked for too much. */
  accept(asker: string, nonce: number, subject: string, nowMs: number): number | undefined {
    for (const [number, errand] of this.#errands) {
      if (nowMs - errand.sinceMs < LIFETIME_MS) break
      this.#done(number, errand)
    }
    const open = this.#errandsOf.get(asker) ?? 0
    if (this.#errands.size >= MAX_ERRANDS || open >= MAX_ERRANDS_PER_MEMBER) return undefined
    const number = this.pingNumber()
    if (this.#errands.has(number)) return undefined
    this.#errands.set(number, { asker, nonce, subject, sinceMs: nowMs })
    this.#errandsOf.set(asker, open + 1)
    return number
  }

  /** Whose errand this pong was. */
  ponged(from: string, number: number): Errand | undefined {
    const errand = this.#errands.get(number)
    if (errand === undefined || errand.subject !== from) return undefined
    this.#done(number, errand)
    return errand
  }

  #done(number: number, { asker }: Errand): void {
    this.#errands.delete(number)
    const left = (this.#errandsOf.get(asker) ?? 1) - 1
    if (left > 0) this.#errandsOf.set(asker, left)
    else this.#errandsOf.delete(asker)
  }

  #number(): number {
    return Buffer.from(this.#random.bytes(NUMBER_BYTES)).readUInt32BE()
  }
}
