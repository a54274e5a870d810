/**
 * The near end of `skein attach`: asks the process `skein.attach` of a node, and checks what it says.
 *
 * All of it happens in one process of the tool's node, since a session belongs to the process that opened it. What the
 * other node says reaches a terminal only as text, new lines, and the few colours that util.inspect uses.
 */
import { inspect } from 'node:util'
import { isSkeinError, SkeinError } from '../../certs/errors.ts'
import {
  ATTACH_PROCESS,
  type AttachReply,
  type AttachRequest,
  MAX_CODE_LENGTH,
  MAX_COLUMNS,
  MAX_COMPLETIONS,
  MAX_TEXT_LENGTH,
} from '../attach/protocol.ts'
import type { SkeinNode } from '../node.ts'
import type { RemoteName } from '../pid.ts'
import type { Self } from '../process/self.ts'
import { safeText } from '../safe-text.ts'
import type { SystemMessage } from '../signals.ts'
import { type Listener, nodeListener } from './node-listener.ts'

const ASK_TIMEOUT_MS = 5000
/** What a node may say at once, with the note that something was left out, and colours. */
const MAX_SHOWN = MAX_TEXT_LENGTH + 1000
/** Of a version, or of a word that is completed. */
const MAX_NAME = 200

type ReplyTo<T extends AttachReply['type']> = Extract<AttachReply, { type: T }>
export type Evaluated = ReplyTo<'text' | 'data' | 'threw' | 'incomplete' | 'givenUp' | 'refused'>
type Format = Omit<Extract<AttachRequest, { type: 'evaluate' }>, 'type' | 'code'>

/** Attaches to the node, lets `use` work with it, and leaves. `print` is given what code writes to its console. */
export const attachTo = (
  node: SkeinNode,
  name: string,
  print: (text: string) => void,
  use: (remote: Remote) => Promise<void>,
): Promise<void> =>
  new Promise((resolve, reject) => {
    const begin = (self: Self): Listener => {
      const remote = new Remote(self, name)
      const work = async (): Promise<void> => {
        try {
          self.monitorNodes(true)
          await remote.open()
          await use(remote)
          resolve()
        } catch (error) {
          reject(error)
        } finally {
          // The session over there ends with it.
          node.exit(self.pid, 'shutdown')
        }
      }
      return {
        work,
        heard: (message) => remote.heard(message, print),
        happened: (message) => remote.happened(message),
      }
    }
    node.spawn(nodeListener(name, begin))
  })

export class Remote {
  /** name@host */
  readonly node: string
  /** Resolves with the reason when the connection is gone. */
  readonly gone: Promise<string>
  readonly #self: Self
  readonly #target: RemoteName
  #engine = ''
  #isGone: (reason: string) => void = () => {}

  constructor(self: Self, node: string) {
    this.node = node
    this.#self = self
    this.#target = { name: ATTACH_PROCESS, node }
    this.gone = new Promise((resolve) => {
      this.#isGone = resolve
    })
  }

  /** Version of Node.js over there. */
  get engine(): string {
    return this.#engine
  }

  async open(): Promise<void> {
    const reply = await this.#ask({ type: 'open' })
    if (reply.type !== 'opened') throw this.#unexpected(reply)
    this.#engine = shown(reply.engine).slice(0, MAX_NAME)
  }

  /** Waits for as long as it takes; `giveUp` ends that. */
  async evaluate(code: string, format: Format): Promise<Evaluated> {
    if (code.length > MAX_CODE_LENGTH) {
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', `Code has ${MAX_CODE_LENGTH} characters at most.`)
    }
    const { columns } = format
    const bounded = columns === undefined ? format : { ...format, columns: Math.min(columns, MAX_COLUMNS) }
    const reply = await this.#ask({ type: 'evaluate', code, ...bounded }, Number.POSITIVE_INFINITY)
    switch (reply.type) {
      case 'text':
      case 'threw':
      case 'incomplete':
      case 'refused':
        return { type: reply.type, text: shown(reply.text) }
      case 'data':
      case 'givenUp':
        return reply
      default:
        throw this.#unexpected(reply)
    }
  }

  /** The evaluation that runs is waited for no longer. */
  async giveUp(): Promise<void> {
    await this.#ask({ type: 'giveUp' })
  }

  async complete(line: string): Promise<ReplyTo<'completions'>> {
    const reply = await this.#ask({ type: 'complete', line })
    if (reply.type !== 'completions' || !Array.isArray(reply.names)) return { type: 'completions', word: '', names: [] }
    const names: readonly string[] = reply.names.slice(0, MAX_COMPLETIONS)
    return { type: 'completions', word: safeText(reply.word, MAX_NAME), names: names.map((name) => shown(name)) }
  }

  /** What code prints. */
  heard(message: unknown, print: (text: string) => void): void {
    const { type, text } = Object(message) as Readonly<Record<string, unknown>>
    if (type === 'output') print(shown(text))
  }

  /** The end of the connection. */
  happened(message: SystemMessage): void {
    if (message.type === 'nodedown' && message.node === this.node) this.#isGone(safeText(message.reason))
  }

  async #ask(request: AttachRequest, timeoutMs = ASK_TIMEOUT_MS): Promise<AttachReply> {
    try {
      const reply: unknown = await this.#self.call(this.#target, request, { timeoutMs })
      return Object(reply) as AttachReply
    } catch (error) {
      if (isSkeinError(error, 'ERR_SKEIN_NOPROC')) {
        throw new SkeinError('ERR_SKEIN_FORBIDDEN', `${this.node} lets nobody attach.`, {
          hint: 'Start it with the option attach: skein start --attach, SKEIN_ATTACH=true, or attach: true in code.',
          cause: error,
        })
      }
      if (isSkeinError(error, 'ERR_SKEIN_FORBIDDEN')) {
        throw new SkeinError('ERR_SKEIN_FORBIDDEN', `${this.node} does not let this node attach.`, {
          hint: 'Its option allow needs a rule with attach: "all" for the id of the identity given with --identity.',
          cause: error,
        })
      }
      throw error
    }
  }

  #unexpected(reply: AttachReply): SkeinError {
    const said = reply.type === 'refused' ? shown(reply.text) : `It answered with ${shown(inspect(reply.type))}.`
    return new SkeinError('ERR_SKEIN_BAD_REPLY', `${this.node} did not do as it was asked. ${said}`)
  }
}

/** SGR codes that util.inspect uses (its `inspect.colors`), and what stands between them. */
const COLOUR = new RegExp(`(${'\u001b'}\\[(?:1|3|4|7|9|22|23|24|27|29|3[0-79]|90)m)`)

/** Whatever else a terminal would obey becomes a question mark. */
const shown = (said: unknown): string => {
  const parts = safeText(said, MAX_SHOWN).split(COLOUR)
  const safe = parts.map((part, index) => (index % 2 === 1 ? part : part.replaceAll(/[^\P{C}\n\t]/gu, '?'))).join('')
  return parts.length > 1 ? `${safe}\u001b[0m` : safe
}
