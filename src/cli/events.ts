/**
 * `skein events [NAME]`: what happens to a node, or to all nodes of the cluster, until Ctrl-C.
 *
 * A process here asks the process `skein` of each node for its events and is sent each of them. A node that comes up later
 * is followed too. What nodes tell is theirs: it is shown, and nothing is concluded from it but whom to follow.
 */
import { type Command, Option } from 'commander'
import { SkeinError } from '../../certs/errors.ts'
import { isNodeName } from '../cluster/node-name.ts'
import type { Self } from '../process/self.ts'
import { safeMessage, safeText } from '../safe-text.ts'
import { SYSTEM_PROCESS, type SystemReply } from '../system-process.ts'
import { timeOfDay, toldText } from './event-text.ts'
import { EVENT_TYPES } from './event-types.ts'
import { addHelp } from './help.ts'
import { type Listener, nodeListener } from './node-listener.ts'
import { addClusterOptions, appended, type ClusterOptions, parseChoice } from './options.ts'
import { palette, printJson, printLine, visible } from './output.ts'
import { interrupted, type Tool, withTool } from './tool-node.ts'

/** A large cluster tells more than anybody reads: beyond it nodes are named instead. */
const MAX_FOLLOWED = 256
const FOLLOW_TIMEOUT_MS = 5000

interface EventsOptions extends ClusterOptions {
  readonly type?: readonly string[]
}

export const addEvents = (program: Command): void => {
  const command = program
    .command('events')
    .description('follow what happens to a node, or to all nodes, until Ctrl-C')
    .argument('[name]', 'name, name@host or ip:port (default: all nodes of the cluster)')
    .addOption(
      new Option('--type <type>', 'only events of this type; may be repeated')
        .choices(EVENT_TYPES)
        .argParser(parseType),
    )
  addClusterOptions(command).action((target: string | undefined, options: EventsOptions) =>
    withTool(options, (tool) => events(tool, target, options)),
  )
  addHelp(
    command,
    [
      { command: 'skein events', does: 'of all nodes, also of those that come later' },
      { command: 'skein events b', does: 'of b alone; ends with exit code 1 if b goes' },
      { command: 'skein events --type nodeup --type nodedown', does: 'who comes and goes' },
      { command: 'skein events --json | jq -c .event', does: 'for programs' },
    ],
    'A node tells its events to whoever its option "allow" lets observe everything.',
  )
}

const parseType = (text: string, before: readonly string[] | undefined): readonly string[] =>
  appended(parseChoice(text, EVENT_TYPES), before)

const events = async (tool: Tool, target: string | undefined, options: EventsOptions): Promise<void> => {
  const names = target === undefined ? (await tool.members()).map(({ name }) => name) : [await tool.reach(target)]
  const over = interrupted()
  const lost = new Promise<never>((_, reject) => {
    const follower = new Follower(tool, options, target === undefined, reject)
    for (const name of names) follower.follow(name)
  })
  await Promise.race([over, lost])
}

class Follower {
  readonly #tool: Tool
  readonly #json: boolean
  readonly #types: readonly string[] | undefined
  readonly #grows: boolean
  readonly #fail: (error: unknown) => void
  readonly #followed = new Set<string>()
  readonly #paint = palette()

  /** `grows`: nodes that come up are followed too. `fail` is told when nobody is left to follow. */
  constructor(tool: Tool, { json = false, type }: EventsOptions, grows: boolean, fail: (error: unknown) => void) {
    this.#tool = tool
    this.#json = json
    this.#types = type
    this.#grows = grows
    this.#fail = fail
  }

  follow(name: string): void {
    if (this.#followed.has(name)) return
    if (this.#followed.size >= MAX_FOLLOWED) {
      this.#tell(name, { type: 'unfollowed', reason: `${MAX_FOLLOWED} nodes are followed already` })
      return
    }
    this.#followed.add(name)
    const { node } = this.#tool
    const begin = (self: Self): Listener => {
      let isOver = false
      const left = (error: unknown): void => {
        if (!isOver) this.#left(name, error)
        isOver = true
        node.exit(self.pid, 'shutdown')
      }
      return {
        work: () => this.#ask(self, name).catch(left),
        heard: (message) => this.#take(name, message),
        happened: ({ type }) => {
          if (type === 'DOWN') left(new SkeinError('ERR_SKEIN_CONNECTION_LOST', `${name} is gone.`))
        },
      }
    }
    node.spawn(nodeListener(name, begin))
  }

  async #ask(self: Self, name: string): Promise<void> {
    // Whoever came up a moment ago knows us, and may not yet be connected from here.
    await this.#tool.node.connect(name)
    const target = { name: SYSTEM_PROCESS, node: name }
    const reply: unknown = await self.call(target, { type: 'follow' }, { timeoutMs: FOLLOW_TIMEOUT_MS })
    const { type } = Object(reply) as Partial<SystemReply>
    if (type === 'busy') throw new SkeinError('ERR_SKEIN_LIMIT', `Too many follow ${name} already.`)
    if (type !== 'following') {
      throw new SkeinError('ERR_SKEIN_UNSUPPORTED', `${name} is too old: it does not tell its events.`)
    }
    self.monitor(target)
    this.#tell(name, { type: 'followed' })
  }

  #take(source: string, message: unknown): void {
    const { type: kind, event } = Object(message) as Readonly<Record<string, unknown>>
    if (kind !== 'event') return
    this.#tell(source, event)
    const { type, node, hidden } = Object(event) as Readonly<Record<string, unknown>>
    // A name: an address could be anybody's.
    if (!this.#grows || type !== 'nodeup' || hidden !== false || typeof node !== 'string') return
    if (isNodeName(node)) this.follow(node)
  }

  /** Of several, one that goes is an event; the last one is the end. */
  #left(name: string, error: unknown): void {
    this.#followed.delete(name)
    if (this.#followed.size === 0) this.#fail(error)
    else this.#tell(name, { type: 'unfollowed', reason: safeMessage(error) })
  }

  #tell(source: string, event: unknown): void {
    const type = typeof event === 'object' && event !== null && 'type' in event ? event.type : undefined
    if (this.#types?.includes(safeText(type)) === false) return
    if (this.#json) {
      printJson({ at: new Date().toISOString(), source, event })
      return
    }
    // Names of nodes that a member told of, too, until they are connected.
    const name = this.#paint.bold(visible(source))
    printLine(`${this.#paint.dim(timeOfDay())}  ${name}  ${toldText(event, this.#paint)}`)
  }
}
