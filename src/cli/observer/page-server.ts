/**
 * The web server of the observer: the files of the page, and streams of what goes on. It changes nothing, and beyond the
 * bounds of small-server.ts has some for requests and open pages.
 *
 * Beyond this machine nobody sees anything without the token. The page may load nothing from elsewhere, be framed by
 * nobody, and turn no text into markup (Content-Security-Policy with Trusted Types).
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import { carriesBody, closeServer, listen, smallServer } from '../../observe/small-server.ts'
import type { ClusterWatch } from './cluster-watch.ts'
import type { EventLog } from './event-log.ts'
import { cookieNamed, isOwnHost, isToken, RequestBudget } from './guard.ts'
import { type PageFile, readPageFiles } from './page-files.ts'
import { lookOf, Viewer } from './viewer.ts'

/** Pages open at once. */
export const MAX_VIEWERS = 16
/** A stream has something to say every second. */
const IDLE_TIMEOUT_MS = 20_000

const HEADERS = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
} as const

export interface PageServerOptions {
  readonly watch: ClusterWatch
  readonly log: EventLog
  readonly host: string
  /** 0 takes any free one. */
  readonly port: number
  /** Undefined: whoever reaches it sees the page. */
  readonly token: string | undefined
}

export class PageServer {
  readonly port: number
  readonly #server: Server
  readonly #options: PageServerOptions
  readonly #files: ReadonlyMap<string, PageFile>
  readonly #names: readonly string[]
  readonly #budget = new RequestBudget()
  readonly #viewers = new Set<Viewer>()

  /** Rejects with ERR_SKEIN_PORT_BUSY or ERR_SKEIN_BIND. */
  static async start(options: PageServerOptions): Promise<PageServer> {
    const files = await readPageFiles()
    const server = smallServer(IDLE_TIMEOUT_MS)
    await listen(server, options.host, options.port, 'The server of the page')
    return new PageServer(server, files, options)
  }

  private constructor(server: Server, files: ReadonlyMap<string, PageFile>, options: PageServerOptions) {
    this.#server = server
    this.#files = files
    this.#options = options
    this.port = (server.address() as AddressInfo).port
    this.#names = ['localhost', hostname().toLowerCase()]
    server.on('request', (request, response) => this.#serve(request, response))
  }

  /** The state of a node has changed: all pages shall know. */
  changed(): void {
    for (const viewer of this.#viewers) viewer.changed()
  }

  /** There is something new in the log. */
  logged(): void {
    for (const viewer of this.#viewers) viewer.logged()
  }

  close(): Promise<void> {
    for (const viewer of this.#viewers) viewer.end()
    return closeServer(this.#server)
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value)
    response.on('error', () => {})
    const { method, headers } = request
    if (!this.#budget.take(performance.now())) return refuse(response, 429, 'too many requests', { 'retry-after': '1' })
    if (method !== 'GET' && method !== 'HEAD') return refuse(response, 405, 'GET and HEAD only', { allow: 'GET, HEAD' })
    if (carriesBody(request)) return refuse(response, 413, 'no bodies')
    if (!isOwnHost(headers.host, this.port, this.#names)) {
      return refuse(response, 421, 'ask by the address or the name of this machine')
    }
    const url = urlOf(request.url)
    if (url === undefined) return refuse(response, 400, 'that is no address')
    if (!this.#mayPass(url, request, response)) return
    if (url.pathname === '/stream') return this.#stream(url, method, response)
    this.#file(url.pathname, request, response)
  }

  /** Answers those who may not. */
  #mayPass(url: URL, { headers }: IncomingMessage, response: ServerResponse): boolean {
    const { token } = this.#options
    if (token === undefined) return true
    const cookie = `skein-observer-${this.port}`
    if (isToken(cookieNamed(headers.cookie, cookie), token)) return true
    if (url.pathname === '/' && isToken(url.searchParams.get('token') ?? undefined, token)) {
      // Lax: whoever follows the address from another page, such as a chat, comes in too. Nothing here can be changed.
      const value = `${cookie}=${token}; Path=/; HttpOnly; SameSite=Lax`
      // Without the token, which shall stay in no history.
      refuse(response, 303, 'this way', { 'set-cookie': value, location: '/' })
    } else refuse(response, 401, 'Open the address that "skein observer" printed: it has a token.')
    return false
  }

  #stream(url: URL, method: string, response: ServerResponse): void {
    if (this.#viewers.size >= MAX_VIEWERS) {
      return refuse(response, 503, 'too many pages are open', { 'retry-after': '3' })
    }
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    if (method === 'HEAD') {
      response.end()
      return
    }
    const { watch, log } = this.#options
    const viewer = new Viewer({ watch, log, response, look: lookOf(url.searchParams) })
    this.#viewers.add(viewer)
    response.on('close', () => {
      this.#viewers.delete(viewer)
      viewer.end()
    })
  }

  #file(path: string, { method, headers }: IncomingMessage, response: ServerResponse): void {
    const file = this.#files.get(path)
    if (file === undefined) return refuse(response, 404, 'there is no such page')
    const { type, etag, body } = file
    if (headers['if-none-match'] === etag) {
      response.writeHead(304, { etag })
      response.end()
      return
    }
    response.writeHead(200, { 'content-type': type, 'content-length': body.length, etag, 'cache-control': 'no-cache' })
    response.end(method === 'HEAD' ? undefined : body)
  }
}

const urlOf = (path: string | undefined): URL | undefined => {
  try {
    return new URL(path ?? '', 'http://observer')
  } catch {
    return undefined
  }
}

const refuse = (response: ServerResponse, status: number, text: string, headers: Record<string, string> = {}): void => {
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    // Nobody reads what is left of the request.
    connection: 'close',
    ...headers,
  })
  response.end(`${text}\n`)
}
