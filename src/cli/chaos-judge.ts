/**
 * The judge of `skein chaos`: what must be true whatever was killed, and what was seen instead.
 *
 * - After each round all nodes agree: each is connected to all others, all see the same holder of each global name, and
 *   that one process alone holds it.
 * - Meanwhile no two holders write with the same token, and none with an older one after a newer (services/global/fence.ts).
 * - A call is answered with what it asked; it may fail only if one of its two nodes was under a fault, or stepped back from
 *   a split, at some time while it ran.
 * - No process ends that nobody ended, and nothing goes uncaught.
 *
 * It is told of what happens with the time on one clock, and has no clock of its own.
 */
import { Fence } from '../services/global/fence.ts'
import type { ChaosEvent, ChaosView } from './chaos-protocol.ts'

/** Events cross from process to process: both ends of a time are known no better than that. */
const SLACK_MS = 1000
/** Calls that failed in one round, of which it remembers which. */
const MAX_REMEMBERED = 10_000
/** Excuses of the past, for calls that began then. */
const EXCUSE_MS = 60_000

interface Excuse {
  readonly node: string
  readonly fromMs: number
  toMs: number
}

interface FailedCall {
  readonly from: string
  readonly to: string
  readonly code: string
  readonly beganMs: number
  readonly endedMs: number
}

interface Written {
  readonly fence: Fence
  token: string
  holder: string
}

export class ChaosJudge {
  readonly #onViolation: (text: string) => void
  #excuses: Excuse[] = []
  #failed: FailedCall[] = []
  readonly #written = new Map<string, Written>()
  #violations = 0
  #endedByFaults = 0

  constructor(onViolation: (text: string) => void) {
    this.#onViolation = onViolation
  }

  get violations(): number {
    return this.#violations
  }

  /** Calls that failed and may have. */
  get endedByFaults(): number {
    return this.#endedByFaults
  }

  violation(text: string): void {
    this.#violations++
    this.#onViolation(text)
  }

  /** From now on, and until all agree again, calls from and to this node may fail. */
  excuse(node: string, nowMs: number): void {
    this.#excuses.push({ node, fromMs: nowMs, toMs: Number.POSITIVE_INFINITY })
  }

  heard(from: string, event: ChaosEvent, nowMs: number): void {
    switch (event.type) {
      case 'noReply':
        if (this.#failed.length < MAX_REMEMBERED) {
          this.#failed.push({ from, to: event.to, code: event.code, beganMs: nowMs - event.tookMs, endedMs: nowMs })
        }
        break
      case 'wrongReply':
        this.violation(`${from} asked ${event.to} and got the answer to another question`)
        break
      case 'write':
        this.#write(event)
        break
      case 'steppedBack':
        this.excuse(from, nowMs - SLACK_MS)
        break
      case 'defect':
        this.violation(`${from}: ${event.text}`)
        break
    }
  }

  /** Empty where all nodes agree. */
  disagreement(names: readonly string[], views: readonly ChaosView[]): string {
    const [first] = views
    for (const [i, { nodes, names: seen }] of views.entries()) {
      const missing = names.filter((name, other) => other !== i && !nodes.includes(name))
      if (missing.length > 0) return `${names[i]} does not see ${missing.join(', ')}`
      const differing = differingKey(first?.names ?? {}, seen)
      if (differing !== undefined) return `${names[0]} and ${names[i]} differ in who holds ${differing}`
    }
    for (const name of Object.keys(first?.names ?? {})) {
      const holders = names.filter((_, i) => views[i]?.held.includes(name))
      if (holders.length !== 1) return `${name} is held ${holders.length} times: ${holders.join(', ')}`
    }
    return ''
  }

  /** All agree again: judges the calls that failed meanwhile, now that all is known that may excuse them. */
  agreed(nowMs: number): void {
    for (const excuse of this.#excuses) excuse.toMs = Math.min(excuse.toMs, nowMs)
    for (const { from, to, code, beganMs, endedMs } of this.#failed.splice(0)) {
      const isExcused = this.#excuses.some(
        ({ node, fromMs, toMs }) =>
          (node === from || node === to) && fromMs - SLACK_MS <= endedMs && beganMs <= toMs + SLACK_MS,
      )
      if (isExcused) this.#endedByFaults++
      else this.violation(`a reply was lost: ${from} asked ${to}, which nothing had happened to (${code})`)
    }
    this.#excuses = this.#excuses.filter(({ toMs }) => toMs > nowMs - EXCUSE_MS)
  }

  #write({ name, token, holder }: { readonly name: string; readonly token: string; readonly holder: string }): void {
    let written = this.#written.get(name)
    if (written === undefined) {
      written = { fence: new Fence(), token: '', holder: '' }
      this.#written.set(name, written)
    }
    // A holder that was overtaken while it was paused is fenced off, which is what fences are for.
    if (!written.fence.admits(token)) return
    if (token === written.token && holder !== written.holder) {
      this.violation(`${name}: ${holder} and ${written.holder} both write with token ${token}`)
    }
    written.token = token
    written.holder = holder
  }
}

const differingKey = (
  one: Readonly<Record<string, string>>,
  other: Readonly<Record<string, string>>,
): string | undefined => Object.keys({ ...one, ...other }).find((key) => one[key] !== other[key])
