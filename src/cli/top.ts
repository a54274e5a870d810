/**
 * `skein top [NODE]`: nodes, their connections and their busiest processes, again and again.
 *
 * On a terminal a full screen with keys; in a pipe plain tables, or with --json one line of snapshots, once per interval.
 */
import type { Command } from 'commander'
import type { ProcessDetail } from '../process/process-page.ts'
import { addHelp } from './help.ts'
import { addClusterOptions, type ClusterOptions } from './options.ts'
import { palette, printJson, printLine, table } from './output.ts'
import { parseSpan } from './time-span.ts'
import { type Tool, withTool } from './tool-node.ts'
import { Samples } from './top/samples.ts'
import { type Picture, plainTables, screen, summary } from './top/screen.ts'
import { afterKey, startState, type TopState } from './top/state.ts'
import { tableOf } from './top/tables.ts'
import { type Canvas, openCanvas } from './top/terminal.ts'

const DEFAULT_EVERY_MS = 1000
const CLOSER_TIMEOUT_MS = 5000
/** With --once, until all nodes have answered. */
const AGAIN_MS = 200

interface TopCommandOptions extends ClusterOptions {
  readonly every?: number
  readonly once?: boolean
}

export const addTop = (program: Command): void => {
  const command = program
    .command('top')
    .description('watch nodes, connections and busy processes')
    .argument('[name]', 'this node alone: name, name@host or ip:port (default: all)')
    .option('--every <time>', 'between two looks, such as 5s (default: 1s)', parseSpan)
    .option('--once', 'look once, print it and end')
  addClusterOptions(command).action((target: string | undefined, options: TopCommandOptions) =>
    withTool(options, (tool) => top(tool, target, options)),
  )
  addHelp(
    command,
    [
      { command: 'skein top', does: 'all nodes, full screen; ? there explains the keys' },
      { command: 'skein top b', does: 'one node' },
      { command: 'skein top --once', does: 'one plain look, as in a pipe' },
      { command: 'skein top --every 10s --json >> log', does: 'a line of snapshots every ten seconds' },
    ],
    'In a pipe, or with --once, tables are printed instead of a screen. Rates need two looks.',
  )
}

const top = async (tool: Tool, target: string | undefined, options: TopCommandOptions): Promise<void> => {
  const { every: everyMs = DEFAULT_EVERY_MS, once = false, json = false } = options
  const only = target === undefined ? undefined : await tool.reach(target)
  const names = only === undefined ? (await tool.members()).map(({ name }) => name) : [only]
  const samples = new Samples(tool.node.observer, names, only === undefined)
  const pictureOf = (): Picture => {
    const clock = new Date().toTimeString().slice(0, 8)
    return { cluster: tool.cluster, samples: samples.all, clock, detail: undefined, more: [] }
  }
  const isScreen = process.stdin.isTTY && process.stdout.isTTY && !once && !json
  if (isScreen) await watch(tool, samples, pictureOf, everyMs, only)
  else {
    const printOne = async (): Promise<void> =>
      printPicture({ ...pictureOf(), more: only === undefined ? [] : await processesOf(tool, only) })
    await tell(samples, printOne, { everyMs, once, json })
  }
}

/** Until Ctrl-C, or once. */
const tell = async (
  samples: Samples,
  printOne: () => Promise<void>,
  { everyMs, once, json }: { readonly everyMs: number; readonly once: boolean; readonly json: boolean },
): Promise<void> => {
  const pace = new Pace()
  const stop = (): void => pace.end()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
  try {
    do {
      await samples.round()
      while (once && !samples.isComplete && (await pace.next(AGAIN_MS))) await samples.round()
      if (json)
        printJson({ at: Date.now(), nodes: samples.all.map(({ node, snapshot, code }) => ({ node, code, snapshot })) })
      else await printOne()
    } while (!once && (await pace.next(everyMs)))
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, stop)
  }
}

const printPicture = (picture: Picture): void => {
  printLine(`${picture.clock}  ${summary(picture)}`)
  for (const { title, rows } of plainTables(picture)) {
    printLine(`\n${title}`)
    for (const line of table(rows)) printLine(`  ${line}`)
  }
  printLine()
}

/** The full screen, until the user quits. */
const watch = async (
  tool: Tool,
  samples: Samples,
  pictureOf: () => Picture,
  everyMs: number,
  only: string | undefined,
): Promise<void> => {
  const paint = palette()
  const pace = new Pace()
  let state: TopState = startState(only)
  let picture = pictureOf()
  let closer: Closer = NOTHING_CLOSER
  const draw = (canvas: Canvas): void => canvas.draw(screen({ ...picture, ...closer }, state, canvas.size, paint))
  /** Of what is looked at nothing has been found yet: that is shown in a held picture too. */
  let isNew = true
  let isLooking = false
  const look = async (): Promise<void> => {
    if (isLooking) return
    isLooking = true
    let seen: TopState
    do {
      seen = state
      const found = await lookCloser(tool, seen)
      if (isOther(seen, state) || (state.isPaused && !isNew)) continue
      closer = found
      isNew = false
      // Something else may be looked at by now.
    } while (isOther(seen, state))
    isLooking = false
  }
  const canvas = openCanvas(
    (key) => {
      const next = afterKey(state, key, tableOf(state.view, picture.samples, state.node, closer.more))
      if (next === undefined) {
        pace.end()
        return
      }
      const leads = isOther(state, next)
      state = next
      if (leads) {
        isNew = true
        closer = next.node === undefined ? NOTHING_CLOSER : { ...closer, detail: undefined }
        void look().then(() => draw(canvas))
      }
      draw(canvas)
    },
    () => draw(canvas),
  )
  const stop = (): void => pace.end()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, stop)
  try {
    draw(canvas)
    do {
      // A node that is slow to tell more keeps the picture waiting no longer than a round.
      void look().then(() => draw(canvas))
      await pace.orOver(samples.round())
      if (!state.isPaused) picture = pictureOf()
      draw(canvas)
    } while (await pace.next(everyMs))
  } finally {
    canvas.close()
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.removeListener(signal, stop)
  }
}

/** Another node or process is looked at. */
const isOther = (one: TopState, other: TopState): boolean => one.process !== other.process || one.node !== other.node

/** What is asked of the node or process that is looked at. */
type Closer = Pick<Picture, 'detail' | 'more'>

const NOTHING_CLOSER: Closer = { detail: undefined, more: [] }

const lookCloser = async (tool: Tool, { node, process: seen }: TopState): Promise<Closer> => {
  const [detail, more] = await Promise.all([
    seen === undefined ? undefined : detailOf(tool, seen),
    node === undefined ? [] : processesOf(tool, node),
  ])
  return { detail, more }
}

/** Undefined where there is no answer: the screen says so. */
const detailOf = async (
  tool: Tool,
  { node, pid }: NonNullable<TopState['process']>,
): Promise<ProcessDetail | undefined> => {
  try {
    return await tool.node.observer.process(node, pid.number, { timeoutMs: CLOSER_TIMEOUT_MS })
  } catch {
    return undefined
  }
}

/** The oldest hundred; none where there is no answer. */
const processesOf = async (tool: Tool, node: string): Promise<Picture['more']> => {
  try {
    return (await tool.node.observer.processes(node, { timeoutMs: CLOSER_TIMEOUT_MS })).processes
  } catch {
    return []
  }
}

/** The time between two looks, which the end cuts short. One waits for it at a time. */
class Pace {
  #isOver = false
  #end: () => void = () => {}

  end(): void {
    this.#isOver = true
    this.#end()
  }

  /** Waits for the work, or until it is over. A race would keep something of each look until then. */
  orOver(work: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#end = resolve
      if (this.#isOver) resolve()
      work.then(resolve, reject)
    })
  }

  /** False: it is over. */
  async next(ms: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined
    await this.orOver(
      new Promise((resolve) => {
        timer = setTimeout(resolve, ms)
      }),
    )
    clearTimeout(timer)
    return !this.#isOver
  }
}
