/**
 * The process `skein.attach`: evaluates code for those who attached (`skein attach`), each in a session of their own.
 *
 * It is there only where the option `attach` says so, and then rules (`allow`) may still forbid it. A session belongs to
 * the calling process, whose pid the connection proves, and ends with it. Every opening, evaluation and end is an event
 * and a line of the log. Guarded: no member can end it. Requests are judged here, whoever sent them; of other nodes it takes
 * calls alone, so that nobody can pass off a DOWN.
 */
import { isSkeinError } from '../../certs/errors.ts'
import { genServer } from '../behaviours/gen-server.ts'
import type { Logger } from '../config.ts'
import type { NodeEvent } from '../event-stream.ts'
import type { Pid, Ref } from '../pid.ts'
import type { From } from '../process/calls.ts'
import type { Grants } from '../process/rights.ts'
import type { Self } from '../process/self.ts'
import { safeMessage } from '../safe-text.ts'
import { NOTHING } from '../services/channel.ts'
import type { SystemMessage } from '../signals.ts'
import { type AttachOutput, type AttachReply, type AttachRequest, MAX_CODE_LENGTH, MAX_COLUMNS } from './protocol.ts'
import { Session } from './session.ts'

/** At once, of all nodes. */
const MAX_SESSIONS = 16
/** Characters of code in an event and a line of the log. */
const MAX_TOLD_CODE = 1000
/** A line to complete, characters. */
const MAX_LINE_LENGTH = 4096

/** Somebody attached to this node, had code evaluated, or left. */
export interface AttachEvent {
  readonly type: 'attach'
  readonly action: 'opened' | 'evaluated' | 'closed'
  /** name@host, and id. */
  readonly node: string
  readonly id: string
  /** What was evaluated, the first thousand characters. */
  readonly code?: string
}

export interface AttachHost {
  /** What the code finds as `node`. */
  readonly node: object & { readonly name: string }
  readonly logger: Logger
  emit(event: NodeEvent): void
}

interface Attached {
  readonly session: Session
  readonly pid: Pid
  readonly monitor: Ref
}

export const attachProcess = (host: AttachHost) => {
  const attached = new Map<string, Attached>()
  const tell = (action: AttachEvent['action'], pid: Pid, code?: string): void => {
    const { name: node, id } = pid.origin
    const told = code === undefined ? {} : { code: code.slice(0, MAX_TOLD_CODE) }
    host.logger.warn({ peer: node, id, process: pid.toString(), ...told }, `attach: ${action}`)
    host.emit({ type: 'attach', action, node, id, ...told })
  }
  const open = (pid: Pid, self: Self): AttachReply => {
    if (!attached.has(pid.key)) {
      if (attached.size >= MAX_SESSIONS) return refused(`${MAX_SESSIONS} are attached already.`)
      let session: Session
      try {
        session = new Session(host.node, printerTo(self, pid))
      } catch (error) {
        // Its folder may have been deleted since the program was started.
        return refused(`No session can be made: ${safeMessage(error)}`)
      }
      attached.set(pid.key, { session, pid, monitor: self.monitor(pid) })
      tell('opened', pid)
    }
    return { type: 'opened', node: host.node.name, engine: process.version }
  }
  const evaluate = (request: Evaluation, { session, pid }: Attached, from: From, self: Self): void => {
    tell('evaluated', pid, request.code)
    void session.evaluate(request).then((reply) => answer(self, from, pid, reply))
  }
  const behaviour = genServer({
    init: () => ({ state: undefined }),
    handleCall: (request: unknown, from, _state, self) => {
      const { pid } = from
      if (pid === undefined) return { reply: refused('Only a process can attach.') }
      const checked = check(request)
      if (typeof checked === 'string') return { reply: refused(checked) }
      if (checked.type === 'open') return { reply: open(pid, self) }
      const one = attached.get(pid.key)
      if (one === undefined) return { reply: refused('There is no session: open one first.') }
      if (checked.type === 'giveUp') one.session.giveUp()
      if (checked.type === 'giveUp') return { reply: { type: 'givenUp' } satisfies AttachReply }
      if (checked.type === 'complete') return { reply: one.session.complete(checked.line) }
      if (one.session.isBusy) return { reply: refused('The evaluation before is not through.') }
      evaluate(checked, one, from, self)
      return undefined
    },
    handleInfo: (message: SystemMessage) => {
      if (message.type !== 'DOWN') return
      for (const [key, { session, pid, monitor }] of attached) {
        if (!monitor.equals(message.ref)) continue
        attached.delete(key)
        session.close()
        tell('closed', pid)
      }
    },
    label: 'who attached',
  })
  const mayCall = (grants: Grants): boolean => grants.mayAttach
  return Object.assign(behaviour, {
    traits: { ...behaviour.traits, guarded: true, mayCall, schema: { info: NOTHING, cast: NOTHING } },
  })
}

type Evaluation = Extract<AttachRequest, { type: 'evaluate' }>

const refused = (text: string): AttachReply => ({ type: 'refused', text })

/** What is wrong with the request, or the request. */
const check = (request: unknown): AttachRequest | string => {
  const said: Readonly<Record<string, unknown>> = Object(request)
  switch (said.type) {
    case 'open':
    case 'giveUp':
      return { type: said.type }
    case 'complete': {
      const { line } = said
      const fits = typeof line === 'string' && line.length <= MAX_LINE_LENGTH
      return fits ? { type: 'complete', line } : 'There is no line to complete, or it is too long.'
    }
    case 'evaluate': {
      const { code, format, columns, colours } = said
      if (typeof code !== 'string') return 'There is no code.'
      if (code.length > MAX_CODE_LENGTH) return `Code has ${MAX_CODE_LENGTH} characters at most.`
      return {
        type: 'evaluate',
        code,
        format: format === 'data' ? 'data' : 'text',
        ...(isColumns(columns) ? { columns } : {}),
        colours: colours === true,
      }
    }
    default:
      return 'It is no request that this node knows.'
  }
}

const isColumns = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= MAX_COLUMNS

/**
 * What the code prints, to the attached process. Whoever reads slower than it prints misses some, and is told how much: what
 * waits to be sent stays small, and the reply finds room behind it.
 */
const printerTo = (self: Self, pid: Pid): ((text: string) => void) => {
  let [isFull, missed] = [false, 0]
  const print = (text: string): void => {
    if (isFull) {
      missed += text.length
      return
    }
    isFull = !castSafely(self, pid, text)
    if (!isFull) return
    self.drained(pid).then(
      () => {
        isFull = false
        const note = `... ${missed} characters are left out\n`
        if (missed > 0) print(note)
        missed = 0
      },
      () => {},
    )
  }
  return print
}

/** False: it takes no more for now. A cast, so that the other end can see who says it. */
const castSafely = (self: Self, pid: Pid, text: string): boolean => {
  try {
    return self.cast(pid, { type: 'output', text } satisfies AttachOutput)
  } catch (error) {
    if (!isSkeinError(error)) throw error
    return false
  }
}

/** The other end waits for it without a limit, so a reply that finds no room is sent later. */
const answer = async (self: Self, from: From, pid: Pid, reply: AttachReply): Promise<void> => {
  if (replySafely(self, from, reply)) return
  await self.drained(pid).catch(() => {})
  replySafely(self, from, reply)
}

/** False: there is no room. What cannot be sent at all is told instead. */
const replySafely = (self: Self, from: From, reply: AttachReply): boolean => {
  try {
    self.reply(from, reply)
    return true
  } catch (error) {
    if (!isSkeinError(error)) throw error
    if (error.code === 'ERR_SKEIN_QUEUE_FULL' || reply.type === 'threw') return false
    return replySafely(self, from, { type: 'threw', text: error.message })
  }
}
