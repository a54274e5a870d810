/**
 * Prometheus scrapes a node and is asked what it saw: the node's own metrics and the program's. Run it with:
 * npx tsx examples/prometheus/main.ts
 *
 * Where there is no `prometheus` (Debian: apt install prometheus) the program fetches the page itself and says so.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type HealthServer, startHealthServer, startNode } from 'skein'

const ORDERS = 25
const PATIENCE_MS = 60_000

const node = await startNode({ name: 'shop', cookie: randomBytes(32), host: '127.0.0.1', port: 0, discovery: false })
node.observer.metrics.counter('shop_orders_total', 'Orders taken.').add(ORDERS)
const health = await startHealthServer(node, { port: 0 })

/** What a `scrape_configs` entry for nodes has to say; each node serves its metrics on its health port. */
const configFor = ({ host, port }: HealthServer): string => `
global: { scrape_interval: 1s }
scrape_configs:
  - job_name: skein
    static_configs:
      - targets: ['${host}:${port}']
`

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

interface Answer {
  readonly data?: { readonly result?: readonly { readonly value: readonly [number, string] }[] }
}

/** Asks Prometheus until it has scraped a value. */
const ask = async (url: string, query: string): Promise<string> => {
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(query)}`).catch(() => undefined)
    const answer = response?.ok ? ((await response.json()) as Answer) : undefined
    const value = answer?.data?.result?.[0]?.value[1]
    if (value !== undefined) return value
    if (performance.now() > deadline) throw new Error(`Prometheus has no ${query} after ${PATIENCE_MS} ms.`)
    await pause(200)
  }
}

const scrape = async (): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'skein-prometheus-'))
  const config = join(folder, 'prometheus.yml')
  writeFileSync(config, configFor(health))
  const address = `127.0.0.1:${await freePort()}`
  const args = [`--config.file=${config}`, `--storage.tsdb.path=${folder}/data`, `--web.listen-address=${address}`]
  const prometheus: ChildProcess = spawn('prometheus', args, { stdio: 'ignore' })
  const exited = once(prometheus, 'exit')
  try {
    for (const query of ['up{job="skein"}', 'shop_orders_total', 'skein_processes'])
      console.log(`Prometheus says  ${query} = ${await ask(`http://${address}`, query)}`)
  } finally {
    prometheus.kill()
    await exited
    rmSync(folder, { recursive: true, force: true })
  }
}

if (spawnSync('prometheus', ['--version'], { stdio: 'ignore' }).status === 0) await scrape()
else {
  console.log('there is no prometheus on this machine; this is what it would scrape:')
  const page = await (await fetch(`http://${health.host}:${health.port}/metrics`)).text()
  for (const line of page.split('\n')) if (/^(shop_orders_total|skein_processes)\b/.test(line)) console.log(line)
}
await node.stop()
