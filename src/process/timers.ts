/**
 * Delayed messages, once or again and again. They go wherever a message can go; the timer runs here.
 *
 * A single one outlives the process that set it, as in Erlang. An interval ends with that process: nobody else could
 * end it. Its times are multiples of the interval from the start, so it does not drift; those that were missed because the
 * event loop was held up are left out. All end with the node.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Clock, Timer } from '../../transport/clock.ts'
import type { Ref } from '../pid.ts'
import type { AnyTarget } from './directory.ts'
import type { Post } from './post.ts'
import type { Process } from './process.ts'

/** What the timers of the machine count in. A shorter interval would be none. */
const MIN_INTERVAL_MS = 1

/** One that is set; the timer of the clock behind it may change. */
interface Alarm {
  readonly ref: Ref
  timer: Timer | undefined
}

export interface TimersOptions {
  readonly clock: Clock
  readonly post: Post
  readonly nextRef: () => Ref
  readonly limit: number
}

export class Timers {
  readonly #clock: Clock
  readonly #post: Post
  readonly #nextRef: () => Ref
  readonly #limit: number
  /** By the number of their reference. */
  readonly #alarms = new Map<number, Alarm>()
  #stopped = false

  constructor({ clock, post, nextRef, limit }: TimersOptions) {
    this.#clock = clock
    this.#post = post
    this.#nextRef = nextRef
    this.#limit = limit
  }

  /** Throws ERR_SKEIN_BAD_ARGUMENT, ERR_SKEIN_LIMIT or ERR_SKEIN_STOPPED. */
  sendAfter(sender: Process | undefined, ms: number, target: AnyTarget, message: unknown): Ref {
    if (!isDelay(ms)) throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'A delay is a number of milliseconds, 0 or more.')
    const alarm = this.#newAlarm()
    this.#ring(alarm, this.#clock.now() + ms, () => {
      this.#alarms.delete(alarm.ref.number)
      this.#post.sendLate(sender, target, message)
    })
    return alarm.ref
  }

  /** The same message every `ms` milliseconds, first after that time. Throws as `sendAfter`. */
  sendInterval(sender: Process | undefined, ms: number, target: AnyTarget, message: unknown): Ref {
    if (!isDelay(ms) || ms < MIN_INTERVAL_MS) {
      const text = `An interval is a number of milliseconds, ${MIN_INTERVAL_MS} or more.`
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', text)
    }
    const alarm = this.#newAlarm()
    const startMs = this.#clock.now()
    const next = (count: number): void => {
      this.#ring(alarm, startMs + count * ms, () => {
        if (sender?.ended !== undefined) {
          this.#alarms.delete(alarm.ref.number)
          return
        }
        // Armed before: the message may lead to a cancel.
        next(Math.max(count, Math.floor((this.#clock.now() - startMs) / ms)) + 1)
        this.#post.sendLate(sender, target, message)
      })
    }
    next(1)
    return alarm.ref
  }

  /** False: it fired already, was cancelled, or never was. */
  cancel(ref: Ref): boolean {
    const alarm = this.#alarms.get(ref.number)
    if (alarm === undefined || !alarm.ref.equals(ref)) return false
    alarm.timer?.cancel()
    return this.#alarms.delete(ref.number)
  }

  stop(): void {
    this.#stopped = true
    for (const { timer } of this.#alarms.values()) timer?.cancel()
    this.#alarms.clear()
  }

  /** The machine's timers may fire up to a millisecond early, a promise may not: the rest is waited for. */
  #ring(alarm: Alarm, dueMs: number, fire: () => void): void {
    alarm.timer = this.#clock.after(dueMs - this.#clock.now(), () => {
      if (this.#clock.now() >= dueMs) fire()
      else this.#ring(alarm, dueMs, fire)
    })
  }

  #newAlarm(): Alarm {
    if (this.#stopped) throw new SkeinError('ERR_SKEIN_STOPPED', 'The node has been stopped.')
    if (this.#alarms.size >= this.#limit) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `This node runs ${this.#limit} timers, the limit "timers".`)
    }
    const alarm: Alarm = { ref: this.#nextRef(), timer: undefined }
    this.#alarms.set(alarm.ref.number, alarm)
    return alarm
  }
}

const isDelay = (ms: unknown): boolean => typeof ms === 'number' && ms >= 0 && ms < Number.POSITIVE_INFINITY
