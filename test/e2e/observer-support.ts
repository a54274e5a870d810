/**
 * A cluster of separate processes, `skein observer` beside it, and Debian's Chromium that opens its page: for the tests of
 * the page, and for its pictures.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { Cli } from '../src/cli/cli-support.ts'
import type { TestContext } from '../support/suite.ts'
import type { Order, Ready } from './fixtures/shop-node.ts'

const FIXTURE = fileURLToPath(new URL('fixtures/shop-node.ts', import.meta.url))
const CHROMIUM = '/usr/bin/chromium'
const CHROMIUM_ARGS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** What is done when it is over, and what is said where the browser is missing. */
export type Deferring = Pick<TestContext, 'defer' | 'missing'>

export class ShopNode {
  readonly name: string
  readonly address: string
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, { name, address }: Ready) {
    this.#child = child
    this.name = name
    this.address = address
  }

  static async start(t: Deferring, cluster: ObservedCluster, name: string, more: object = {}): Promise<ShopNode> {
    const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('SKEIN_')))
    const options = {
      name,
      cluster: cluster.settings.SKEIN_CLUSTER,
      cookie: cluster.settings.SKEIN_COOKIE,
      host: '127.0.0.1',
      port: 0,
      logLevel: 'silent',
      discovery: { mdns: false, dht: cluster.dht, seeds: cluster.seeds },
      ...more,
    }
    const child = fork(FIXTURE, [JSON.stringify(options)], { execArgv: ['--import', 'tsx'], env })
    t.defer(async () => {
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    })
    const [ready] = (await once(child, 'message')) as [Ready]
    return new ShopNode(child, ready)
  }

  tell(order: Order): void {
    this.#child.send(order)
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }
}

/** Some nodes that know the first one. */
export class ObservedCluster {
  readonly nodes: ShopNode[] = []
  readonly settings: Record<string, string>
  readonly dht: boolean
  readonly #t: Deferring

  constructor(t: Deferring, name = `test-${randomBytes(4).toString('hex')}`, dht = false) {
    this.#t = t
    this.dht = dht
    this.settings = {
      SKEIN_CLUSTER: name,
      SKEIN_COOKIE: randomBytes(16).toString('hex'),
      SKEIN_HOST: '127.0.0.1',
      SKEIN_DISCOVERY: 'none',
    }
  }

  get seeds(): string[] {
    return this.nodes.slice(0, 1).map(({ address }) => address)
  }

  async add(name: string, more?: object): Promise<ShopNode> {
    const node = await ShopNode.start(this.#t, this, name, more)
    this.nodes.push(node)
    return node
  }

  /** `skein observer` as a user runs it. */
  async observe(...args: string[]): Promise<{ readonly url: string; readonly cli: Cli }> {
    const seeds = this.seeds.flatMap((seed) => ['--seed', seed])
    const all = ['observer', '--json', '--page-port', '0', ...seeds, ...args]
    const cli = new Cli(this.#t as TestContext, all, this.settings)
    const { url } = await cli.printed({ type: 'started' })
    return { url: String(url), cli }
  }
}

export const openBrowser = async (t: Deferring): Promise<Browser> => {
  if (!existsSync(CHROMIUM)) t.missing("Debian's package chromium")
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGS })
  t.defer(() => browser.close())
  return browser
}

/** A page, and what it complained of. */
export const openPage = async (
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<{ readonly page: Page; readonly complaints: string[] }> => {
  const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, ...options })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  await page.goto(url)
  return { page, complaints }
}
