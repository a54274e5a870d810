/**
 * Processes of a node page by page, and one of them in detail: what a person asks for who follows a trail from process to
 * process. Both of bounded size, whatever runs here.
 */
import { Pid, type RemoteName } from '../pid.ts'
import type { WhenFull } from './behaviour.ts'
import { glanceAt, type ProcessGlance } from './census.ts'
import { firstOf } from './first-of.ts'
import type { Monitor, Watch } from './monitors.ts'
import type { NumberTable } from './number-table.ts'
import type { Process } from './process.ts'

/** Processes on one page. */
export const PAGE_PROCESSES = 100
/** Links, monitors and watchers told, of each. */
export const MAX_BONDS_TOLD = 64

/** Up to 100 processes of a node: `node.observer.processes`. The last number goes into `after` of the next page. */
export interface ProcessPage {
  /** In the order of their numbers, which is that of their birth. */
  readonly processes: readonly ProcessGlance[]
  /** There are some with a greater number. */
  readonly more: boolean
}

/** Who is at the other end of a link or monitor. */
export interface Bond {
  /** name@host */
  readonly node: string
  /** Undefined where it goes by a name, or only its node is known. */
  readonly pid: Pid | undefined
  readonly name: string | undefined
}

/** Links, monitors or watchers of a process. */
export interface Bonds {
  readonly count: number
  /** The first 64. */
  readonly list: readonly Bond[]
}

/** One process with its bonds: `node.observer.process`. */
export interface ProcessDetail extends ProcessGlance {
  /** What its behaviour calls itself. */
  readonly behaviour: string | undefined
  /** Whom it was linked to from the start; undefined for one that its node started. */
  readonly parent: Pid | undefined
  readonly trapExit: boolean
  /** The mailbox holds its senders back. */
  readonly pressed: boolean
  /** Messages above which it does, or at which others are dropped or the process ends, as `onFull` says. */
  readonly limit: number
  readonly onFull: WhenFull
  readonly links: Bonds
  /** That it holds on others. */
  readonly monitors: Bonds
  /** That others hold on it. */
  readonly watchers: Bonds
}

/** One pass; what is kept meanwhile is one page. */
export const takePage = (processes: NumberTable<Process>, after: number): ProcessPage => {
  const page: Process[] = []
  let more = false
  processes.each((process) => {
    const { number } = process.pid
    if (number <= after) return
    if (page.length === PAGE_PROCESSES) {
      more = true
      if (number > (page[page.length - 1] as Process).pid.number) return
      page.pop()
    }
    const before = page.findLastIndex((one) => one.pid.number < number)
    page.splice(before + 1, 0, process)
  })
  return { processes: page.map(glanceAt), more }
}

export const detailOf = (process: Process): ProcessDetail => {
  const { links, remoteLinks, monitors, watchers, mailbox, traits, parent, trapExit } = process
  return {
    ...glanceAt(process),
    behaviour: traits.label,
    parent,
    trapExit,
    pressed: mailbox.pressed,
    limit: mailbox.limits.highWater,
    onFull: mailbox.limits.onFull,
    links: bonds((links?.size ?? 0) + (remoteLinks?.size ?? 0), linkedTo(process)),
    monitors: bonds(
      monitors?.size ?? 0,
      map(monitors?.values() ?? [], ({ watched }) => bondOf(watched)),
    ),
    watchers: bonds(watchers?.size ?? 0, map(watchers ?? [], watcherOf)),
  }
}

const bonds = (count: number, list: Iterable<Bond>): Bonds => ({ count, list: firstOf(list, MAX_BONDS_TOLD) })

const bondOf = (target: Pid | RemoteName): Bond =>
  target instanceof Pid
    ? { node: target.node, pid: target, name: undefined }
    : { node: target.node, pid: undefined, name: target.name }

const watcherOf = (watcher: Monitor | Watch): Bond =>
  watcher.kind === 'monitor'
    ? bondOf(watcher.watcher.pid)
    : { node: watcher.bridge.route.node, pid: undefined, name: undefined }

const linkedTo = function* ({ links, remoteLinks }: Process): Iterable<Bond> {
  for (const { pid } of links ?? []) yield bondOf(pid)
  for (const { pid } of remoteLinks?.values() ?? []) yield bondOf(pid)
}

const map = function* <T>(values: Iterable<T>, make: (value: T) => Bond): Iterable<Bond> {
  for (const value of values) yield make(value)
}
