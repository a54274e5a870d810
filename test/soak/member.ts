/**
 * One member of a soak run, in a process of its own: a node with all kinds of work on it, which judge themselves what they
 * see. The director asks for samples. After `stop` nothing here ends the process: it has to end by itself.
 */
import { createHook } from 'node:async_hooks'
import { writeHeapSnapshot } from 'node:v8'
import { type SkeinNode, startNode } from '../../src/index.ts'
import { seededRandom } from '../../transport/random.ts'
import { projectClasses, takeCensus } from './census.ts'
import { Bonds } from './jobs/bonds.ts'
import { CallsWork } from './jobs/calls.ts'
import { Children, Snapshots, Timers } from './jobs/chores.ts'
import { Conversations } from './jobs/conversations.ts'
import { GroupsWork } from './jobs/groups.ts'
import { Names } from './jobs/names.ts'
import { StreamsWork } from './jobs/streams.ts'
import { TICKS_PER_SECOND, type Work, Workplace } from './jobs/work.ts'
import type { MemberCommand, MemberOptions, MemberReport, Settled } from './protocol.ts'
import { takeSample } from './sample.ts'

const report = (message: MemberReport): void => {
  // The director may be gone.
  if (process.connected) process.send?.(message, undefined, undefined, () => {})
}
const HELD_OPEN_MS = 4000
const violation = (text: string): void => report({ type: 'violation', text })

/** From now on, where each timer was made that still runs: what a node that stops leaves behind. */
const watchTimers = (): { readonly stacks: () => string[] } => {
  const timers = new Map<number, { readonly timer: NodeJS.Timeout; readonly stack: string }>()
  createHook({
    init: (id, type, _trigger, timer) => {
      if (type === 'Timeout') timers.set(id, { timer: timer as NodeJS.Timeout, stack: new Error().stack ?? '' })
    },
    destroy: (id) => timers.delete(id),
  }).enable()
  return { stacks: () => [...timers.values()].filter(({ timer }) => timer.hasRef()).map(({ stack }) => stack) }
}

const begin = async ({ rate, seed, seeds, compressAboveBytes, ...options }: MemberOptions) => {
  const node = await startNode({
    ...options,
    host: '127.0.0.1',
    port: 0,
    logLevel: 'silent',
    discovery: { mdns: false, seeds, dns: [], dht: { bootstrap: seeds } },
    ...(compressAboveBytes > 0 && { compression: { aboveBytes: compressAboveBytes } }),
  })
  const place = new Workplace({ node, random: seededRandom(seed), rate, report: violation })
  const conversations = new Conversations(place)
  const children = new Children(place)
  const works: readonly Work[] = [
    conversations,
    children,
    new CallsWork(place),
    new Bonds(place),
    new Names(place),
    new GroupsWork(place),
    new StreamsWork(place),
    new Timers(place),
    new Snapshots(place),
  ]
  void place.watch()
  const ticking = setInterval(() => {
    for (let i = 0; place.isOn && i < place.pace; i++) for (const work of works) work.tick()
  }, 1000 / TICKS_PER_SECOND)
  const settled = (): Settled => {
    const open = works.map((work) => [work.name, work.outstanding()] as const)
    const outstanding = [...open, ['suspicions', place.suspicions] as const].filter(([, count]) => count > 0)
    return {
      node: node.name,
      outstanding: Object.fromEntries(outstanding),
      sent: conversations.sent(),
      heard: conversations.heard(),
      connected: node.nodes(),
      children: [...children.running].sort(),
      counts: { ...place.counts },
    }
  }
  return { node, place, conversations, children, settled, ticking }
}

let member: Awaited<ReturnType<typeof begin>> | undefined
let classes: Awaited<ReturnType<typeof projectClasses>> | undefined
let hasStopped = false

/** If something holds the process open afterwards, it says what. */
const stop = async (node: SkeinNode): Promise<void> => {
  const timers = watchTimers()
  await node.stop()
  setTimeout(() => {
    console.error(`held open: ${process.getActiveResourcesInfo().join(', ')}\n${timers.stacks().join('\n')}`)
  }, HELD_OPEN_MS).unref()
}

const obey = async (command: MemberCommand): Promise<unknown> => {
  if (command.do === 'start') {
    member = await begin(command.options)
    return member.node.addresses[0]?.port
  }
  if (member === undefined) throw new Error('The node has not been started.')
  const { node, place, conversations, children, settled, ticking } = member
  switch (command.do) {
    case 'load':
      place.isOn = command.on
      place.pace = command.pace
      return undefined
    case 'farewell':
      return conversations.farewell()
    case 'sample':
      return takeSample(node, command.gc)
    case 'census':
      classes ??= await projectClasses()
      return takeCensus(classes)
    case 'settled':
      return settled()
    case 'disconnect':
      return node.disconnect(command.node)
    case 'meet':
      await Promise.all(command.nodes.filter((name) => name !== node.name).map((name) => node.connect(name)))
      return undefined
    case 'children':
      return children.run(command.run)
    case 'heapSnapshot':
      return writeHeapSnapshot(command.file)
    case 'stop':
      place.isOn = false
      place.isStopping = true
      clearInterval(ticking)
      await stop(node)
      hasStopped = true
      return undefined
  }
}

for (const kind of ['unhandledRejection', 'uncaughtException'] as const) {
  process.on(kind, (error: unknown) => {
    violation(`${kind}: ${error instanceof Error ? error.stack : String(error)}`)
  })
}
process.on('warning', (warning) => violation(`warning: ${warning.stack ?? warning.message}`))
process.on('message', ({ id, command }: { id: number; command: MemberCommand }) => {
  obey(command).then(
    (value) => process.send?.({ type: 'done', id, value }),
    (error: unknown) => process.send?.({ type: 'failed', id, text: String(error) }),
  )
})
// A director that died leaves nobody to stop for.
process.on('disconnect', () => hasStopped || process.exit(1))
process.send?.({ type: 'ready' })
