/**
 * A small HTTP server for whoever looks after the node: /live, /ready and /metrics.
 *
 * It is not meant for the world: it listens on this machine alone unless told otherwise, and has no secrets to ask for. It
 * closes with the node. Its bounds are those of small-server.ts.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SkeinError } from '../../certs/errors.ts'
import { isPort } from '../../transport/address.ts'
import type { Clock } from '../../transport/clock.ts'
import { safeMessage } from '../safe-text.ts'
import { SYSTEM_PROCESS } from '../system-process.ts'
import type { Observer } from './observer.ts'
import { PROMETHEUS_CONTENT_TYPE, prometheusText } from './prometheus.ts'
import { carriesBody, closeServer, listen, smallServer } from './small-server.ts'

const DEFAULT_HOST = '127.0.0.1'
/** Longer than any answer takes. */
const IDLE_TIMEOUT_MS = 10_000
/** The program's own answer, and that of the process `skein`. */
const READY_TIMEOUT_MS = 1000
const MAX_REASON_TEXT = 200

/** Gives true, or why the program is not ready; false where there is nothing to say. */
export type ReadyCheck = () => boolean | string | Promise<boolean | string>

/** What `startHealthServer` takes. */
export interface HealthServerOptions {
  /** 0 takes any free one. */
  readonly port: number
  /** Default: 127.0.0.1. */
  readonly host?: string
  /** What the program has to say about its being ready; it has a second. */
  readonly ready?: ReadyCheck
}

/** A server of /live, /ready and /metrics. */
export interface HealthServer {
  readonly host: string
  readonly port: number
  /** Ends all connections too. Idempotent. */
  close(): Promise<void>
}

/** What the server looks at; a SkeinNode is one. */
export interface HealthyNode {
  readonly name: string
  readonly isAlive: boolean
  readonly observer: Observer
  readonly discovery: {
    status(): readonly { readonly source: string; readonly state: string; readonly detail: string }[]
  }
  call(target: string, request: unknown, options: { readonly timeoutMs: number }): Promise<unknown>
}

/** Why a node is not ready. */
interface NotReady {
  readonly what: string
  readonly text: string
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
  readonly allow?: string
}

/** Rejects with ERR_SKEIN_BAD_OPTION, ERR_SKEIN_PORT_BUSY, ERR_SKEIN_BIND, ERR_SKEIN_STOPPED or ERR_SKEIN_LIMIT. */
export const startHealthServer = async (
  node: HealthyNode,
  { port, host = DEFAULT_HOST, ready }: HealthServerOptions,
): Promise<HealthServer> => {
  if (!isPort(port)) throw new SkeinError('ERR_SKEIN_BAD_OPTION', 'port must be 0 to 65535.')
  // Of an empty one Node.js makes all addresses of the machine.
  if (typeof host !== 'string' || host === '') {
    throw new SkeinError('ERR_SKEIN_BAD_OPTION', 'host must be the name or address to listen on.')
  }
  if (ready !== undefined && typeof ready !== 'function') {
    throw new SkeinError('ERR_SKEIN_BAD_OPTION', 'ready must be a function.')
  }
  if (!node.isAlive) throw stopped()
  const { clock } = node.observer
  const server = smallServer(IDLE_TIMEOUT_MS)
  server.on(
    'request',
    (request, response) => void serve(request, response, () => answerTo(node, clock, request, ready)),
  )
  await listen(server, host, port, 'The health server')
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => {
    closing ??= closeServer(server)
    return closing
  }
  const { port: bound } = server.address() as AddressInfo
  let takeBack: () => void
  try {
    if (!node.isAlive) throw stopped()
    takeBack = node.observer.onStop(() => void close())
  } catch (error) {
    await close()
    throw error
  }
  const end = (): Promise<void> => {
    takeBack()
    return close()
  }
  return { host, port: bound, close: end }
}

const stopped = (): SkeinError => new SkeinError('ERR_SKEIN_STOPPED', 'The node has been stopped.')

const serve = async (
  request: IncomingMessage,
  response: ServerResponse,
  answer: () => Promise<Answer>,
): Promise<void> => {
  let found: Answer
  try {
    found = await answer()
  } catch {
    found = text(500, 'an error of the node')
  }
  const { status, type, body, allow } = found
  const hasBody = carriesBody(request)
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...(allow === undefined ? {} : { allow }),
    // Nobody reads what is left of the request.
    ...(hasBody ? { connection: 'close' } : {}),
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

const answerTo = async (
  node: HealthyNode,
  clock: Clock,
  request: IncomingMessage,
  ready: ReadyCheck | undefined,
): Promise<Answer> => {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { ...text(405, 'GET and HEAD only'), allow: 'GET, HEAD' }
  }
  if (carriesBody(request)) return text(413, 'no bodies')
  switch (request.url?.split('?', 1)[0]) {
    case '/live':
      return node.isAlive ? json(200, { status: 'live', node: node.name }) : json(503, { status: 'stopped' })
    case '/ready': {
      const reasons = await reasonsAgainst(node, clock, ready)
      if (reasons.length === 0) return json(200, { status: 'ready', node: node.name })
      return json(503, { status: 'notReady', node: node.name, reasons })
    }
    case '/metrics':
      return { status: 200, type: PROMETHEUS_CONTENT_TYPE, body: prometheusText(node) }
    default:
      return text(404, 'there are /live, /ready and /metrics')
  }
}

/** Empty for a node that is ready. */
const reasonsAgainst = async (
  node: HealthyNode,
  clock: Clock,
  ready: ReadyCheck | undefined,
): Promise<readonly NotReady[]> => {
  if (!node.isAlive) return [{ what: 'node', text: 'it has been stopped' }]
  const reasons: NotReady[] = [...node.observer.probes.reasons()]
  // What members tell each other counts for nothing here: it cannot fail.
  const sources = node.discovery.status().filter(({ source }) => source !== 'peers')
  const isOut = ({ state }: { readonly state: string }): boolean => state === 'failed' || state === 'starting'
  if (sources.length > 0 && sources.every(isOut)) {
    const details = sources.map(({ source, detail }) => `${source}: ${detail}`).join('; ')
    reasons.push({ what: 'discovery', text: details.slice(0, MAX_REASON_TEXT) })
  }
  const [system, program] = await Promise.all([systemReason(node), programReason(clock, ready)])
  if (system !== undefined) reasons.push({ what: 'system', text: system })
  if (program !== undefined) reasons.push({ what: 'program', text: program })
  return reasons
}

/** Whether messages find their way through mailboxes at all, and in time. */
const systemReason = async (node: HealthyNode): Promise<string | undefined> => {
  try {
    await node.call(SYSTEM_PROCESS, { type: 'ping' }, { timeoutMs: READY_TIMEOUT_MS })
    return undefined
  } catch (error) {
    return textOf(error)
  }
}

const programReason = (clock: Clock, ready: ReadyCheck | undefined): Promise<string | undefined> =>
  new Promise((resolve) => {
    if (ready === undefined) return resolve(undefined)
    const timer = clock.after(READY_TIMEOUT_MS, () => resolve('it did not say in time'))
    const said = async (): Promise<boolean | string> => ready()
    said()
      .then(
        (answer) => (answer === true ? undefined : answer === false ? 'it says so' : textOf(answer)),
        (error: unknown) => textOf(error),
      )
      .then((reason) => {
        timer.cancel()
        resolve(reason)
      })
  })

const textOf = (value: unknown): string => safeMessage(value, MAX_REASON_TEXT)

const text = (status: number, body: string): Answer => ({
  status,
  type: 'text/plain; charset=utf-8',
  body: `${body}\n`,
})

const json = (status: number, body: object): Answer => ({
  status,
  type: 'application/json',
  body: `${JSON.stringify(body)}\n`,
})
