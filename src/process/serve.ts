/**
 * What genServer and its like are built on: a process that takes its messages one at a time through a consumer, and says
 * when it has started. Their traits must say `serves` and `announces`.
 */
import { type Consumer, Notice } from './behaviour.ts'
import type { AnyPid } from './directory.ts'
import { INSIDE, type Self } from './self.ts'

/** From now on every message goes to `consumer`. The function may return; the process lives on. */
export const serve = (self: Self<unknown>, consumer: Consumer): void => {
  const { process, services } = self[INSIDE]
  const { tracing } = services
  // Timers bring the context of whoever set them with them.
  const take: Consumer = (entry) =>
    tracing.isOn && entry instanceof Notice ? tracing.apart(consumer, entry) : consumer(entry)
  process.mailbox.serve(take, (error) => services.failed(process, error))
}

/** Whoever waits in `start` goes on. */
export const announceStarted = (self: Self<unknown>): void => {
  const { process, services } = self[INSIDE]
  services.started(process)
}

/**
 * True if an exit signal from `pid` is the order to end: its parent's, or that of the node itself (OTP, gen_server: with
 * trapped exits too, the end of the parent ends the process).
 */
export const isParent = (self: Self<unknown>, pid: AnyPid): boolean => {
  const { process, services } = self[INSIDE]
  if (pid.number === 0) return services.directory.isOwn(pid.origin)
  return process.parent?.equals(pid) === true
}
