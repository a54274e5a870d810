/**
 * The web server of the observer in the process of the test, beside a node that it watches, and a client that says what it
 * likes.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { ClusterWatch } from '../../../src/cli/observer/cluster-watch.ts'
import { EventLog } from '../../../src/cli/observer/event-log.ts'
import type { Messages } from '../../../src/cli/observer/messages.ts'
import { PageServer } from '../../../src/cli/observer/page-server.ts'
import { type SkeinNode, startNode } from '../../../src/index.ts'
import { formatAddress } from '../../../transport/address.ts'
import type { TestContext } from '../../support/suite.ts'

const COMMON = { cookie: 'a cookie for tests', host: '127.0.0.1', port: 0, logLevel: 'silent' } as const

export interface Observed {
  /** The node that is watched. */
  readonly node: SkeinNode
  readonly port: number
  readonly watch: ClusterWatch
  readonly log: EventLog
  /** Ends the observer's node, and with it the watch. */
  stop(): Promise<void>
}

export const startObserved = async (t: TestContext, token?: string): Promise<Observed> => {
  const node = await startNode({ ...COMMON, name: 'seen@test', discovery: false })
  t.defer(() => node.stop())
  const [address] = node.addresses.map(formatAddress)
  const seeds = { mdns: false, dht: false, seeds: [String(address)] } as const
  const eye = await startNode({ ...COMMON, name: 'eye@test', hidden: true, discovery: seeds })
  t.defer(() => eye.stop())
  await eye.connect(String(address))
  let server: PageServer | undefined
  const log = new EventLog(() => server?.logged())
  const watch = new ClusterWatch({
    node: eye,
    cluster: 'test',
    log: (entry) => log.add(entry),
    changed: () => server?.changed(),
  })
  server = await PageServer.start({ watch, log, host: '127.0.0.1', port: 0, token })
  const { port, close } = { port: server.port, close: () => server?.close() }
  t.defer(close)
  void watch.run()
  return { node, port, watch, log, stop: () => eye.stop() }
}

export interface Got {
  readonly status: number | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface Asking {
  readonly method?: string
  readonly headers?: Record<string, string>
}

export const get = (port: number, path: string, { method = 'GET', headers = {} }: Asking = {}): Promise<Got> =>
  new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }))
    })
    request.on('error', reject)
    request.end()
  })

/** A stream of server-sent events, as it comes. */
export class EventReader {
  readonly #response: IncomingMessage
  #text = ''
  #wake = (): void => {}

  private constructor(response: IncomingMessage) {
    this.#response = response
    response.setEncoding('utf8')
    response.on('data', (chunk: string) => {
      this.#text += chunk
      this.#wake()
    })
  }

  static open(t: TestContext, port: number, query: string, headers: Record<string, string> = {}): Promise<EventReader> {
    return new Promise((resolve, reject) => {
      const request = httpRequest({ host: '127.0.0.1', port, path: `/stream?${query}`, headers, agent: false })
      t.defer(() => request.destroy())
      request.on('error', reject)
      request.on('response', (response) => resolve(new EventReader(response)))
      request.end()
    })
  }

  get status(): number | undefined {
    return this.#response.statusCode
  }

  close(): void {
    this.#response.destroy()
  }

  /** The first message of that type that fits; those before it are gone. */
  async next<K extends keyof Messages>(type: K, fits: (message: Messages[K]) => boolean = () => true) {
    for (;;) {
      const end = this.#text.indexOf('\n\n')
      if (end < 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        continue
      }
      const [head = '', data = ''] = this.#text.slice(0, end).split('\n')
      this.#text = this.#text.slice(end + 2)
      if (head !== `event: ${type}`) continue
      const message = JSON.parse(data.replace(/^data: /, '')) as Messages[K]
      if (fits(message)) return message
    }
  }
}
