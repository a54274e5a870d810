/**
 * What is done to the members of a chaos in one round: to a few of them at once, never to most.
 *
 * The random numbers decide all of it before anything happens, so a seed repeats the plan of a run; how the processes take
 * it is a matter of timing.
 */
import type { Random } from '../../transport/random.ts'
import type { ChaosMember } from './chaos-member.ts'

/** kill: SIGKILL, back after a while. restart: SIGKILL, back at once. stop: goodbye, back after a while. pause: SIGSTOP. */
const KINDS = ['kill', 'restart', 'stop', 'pause'] as const
type Kind = (typeof KINDS)[number]

/** From less than the failure detector takes to well beyond. */
const FAULT_MS_RANGE: readonly [number, number] = [500, 6000]

interface ChaosFault {
  readonly kind: Kind
  readonly member: ChaosMember
  /** Until it is undone. */
  readonly lastsMs: number
}

/** Each member at most once, and less than half of them, so that the others stay a cluster. */
export const planFaults = (members: readonly ChaosMember[], random: Random): ChaosFault[] => {
  const most = Math.max(1, Math.ceil(members.length / 2) - 1)
  const free = [...members]
  return Array.from({ length: 1 + below(random, most) }, () => {
    const [member] = free.splice(below(random, free.length), 1) as [ChaosMember]
    const kind = kinds()[below(random, kinds().length)] ?? 'kill'
    const [shortMs, longMs] = FAULT_MS_RANGE
    const lastsMs = Math.round(shortMs + random.float() * (longMs - shortMs))
    return { kind, member, lastsMs: kind === 'restart' ? 0 : lastsMs }
  })
}

/** Does it, waits, and undoes it; `seeds` tells whom a member that comes back may ask. */
export const commit = async (
  { kind, member, lastsMs }: ChaosFault,
  wait: (ms: number) => Promise<void>,
  seeds: (member: ChaosMember) => readonly string[],
): Promise<void> => {
  if (kind === 'pause') {
    member.pause()
    await wait(lastsMs)
    member.resume()
    return
  }
  await (kind === 'stop' ? member.stop() : member.kill())
  await wait(lastsMs)
  await member.start(seeds(member))
}

export const inWords = ({ kind, member, lastsMs }: ChaosFault): string => {
  const seconds = `${(lastsMs / 1000).toFixed(1)} s`
  return {
    kill: `kill -9 ${member.label} for ${seconds}`,
    restart: `kill -9 ${member.label}, back at once`,
    stop: `stop ${member.label} for ${seconds}`,
    pause: `freeze ${member.label} for ${seconds}`,
  }[kind]
}

/** Windows has no signal that stops a process for a while. */
const kinds = (): readonly Kind[] => (process.platform === 'win32' ? KINDS.filter((kind) => kind !== 'pause') : KINDS)

export const below = (random: Random, end: number): number => Math.floor(random.float() * end)
