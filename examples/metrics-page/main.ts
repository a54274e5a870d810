/**
 * A node that shows how it fares: metrics of its own and of the program, scraped over HTTP as Prometheus would.
 * Run it with: npx tsx examples/metrics-page/main.ts
 */
import { randomBytes } from 'node:crypto'
import { genServer, startHealthServer, startNode } from 'skein'

const options = { cookie: randomBytes(32), host: '127.0.0.1', port: 0, discovery: false }
const shop = await startNode({ ...options, name: 'shop' })
const customer = await startNode({ ...options, name: 'customer' })
await customer.connect(`127.0.0.1:${shop.addresses[0]?.port}`)

// The program's own metrics stand beside those of the node.
const orders = shop.observer.metrics.counter('shop_orders_total', 'Orders taken, by kind.')
const stock = new Map([
  ['book', 100],
  ['lamp', 20],
])
shop.observer.metrics.gauge('shop_stock', 'Pieces in stock, by kind.', () =>
  [...stock].map(([kind, value]) => ({ labels: { kind }, value })),
)

const counter = genServer({
  init: () => ({ state: undefined }),
  handleCall: (kind: string) => {
    const left = (stock.get(kind) ?? 0) - 1
    if (left < 0) return { reply: 'sold out' }
    stock.set(kind, left)
    orders.add(1, { kind })
    return { reply: left }
  },
})
shop.register('counter', await shop.start(counter))

const health = await startHealthServer(shop, {
  port: 0,
  ready: () => stock.get('book') !== 0 || 'there are no books left',
})
const page = async (path: string): Promise<string> => {
  const response = await fetch(`http://${health.host}:${health.port}${path}`)
  return `${response.status} ${await response.text()}`
}
console.log('before the sale  /ready:', (await page('/ready')).trim())

const target = { name: 'counter', node: shop.name }
await Promise.all(Array.from({ length: 130 }, (_, i) => customer.call(target, i < 105 ? 'book' : 'lamp')))

const shown = /^(# HELP )?(shop_|skein_(processes|connections|signals_received_total|call_timeouts_total)\b)/
const metrics = await page('/metrics')
console.log(
  metrics
    .split('\n')
    .filter((line) => shown.test(line))
    .join('\n'),
)
console.log('after the sale   /ready:', (await page('/ready')).trim())

// The customer sees both nodes at once.
for (const one of (await customer.observer.snapshot()).nodes) {
  if (one.status === 'ok') console.log(one.node, 'runs', one.snapshot.processes.count, 'processes')
  else console.log(one.node, 'gave no snapshot:', one.code)
}
await Promise.all([customer.stop(), shop.stop()])
