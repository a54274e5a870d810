/**
 * Two nodes, one process on each, and a ball between them. Run it with: npx tsx examples/ping-pong.ts
 *
 * Both nodes live in this program for the sake of the example; on two machines nothing would change but the addresses.
 */
import { randomBytes } from 'node:crypto'
import { type Pid, startNode } from 'skein'

const ROUNDS = 1000

interface Ball {
  readonly number: number
  readonly from: Pid<Ball>
}

// A cookie of our own, so that this example never meets other nodes of yours; on one port of the loopback each.
const options = { cookie: randomBytes(32), host: '127.0.0.1', port: 0, discovery: false }
const left = await startNode({ ...options, name: 'left' })
const right = await startNode({ ...options, name: 'right' })
await left.connect(`127.0.0.1:${right.addresses[0]?.port}`)
console.log(`${left.name} is connected to ${left.nodes()}`)

// A process is an async function with a mailbox. This one sends every ball back to where it came from.
const pong = right.spawn<Ball, []>(async (self) => {
  for await (const { number, from } of self) self.send(from, { number: number + 1, from: self.pid })
})

const finished = new Promise<void>((resolve) => {
  left.spawn<Ball, []>(async (self) => {
    const startMs = performance.now()
    self.send(pong, { number: 0, from: self.pid })
    for await (const { number, from } of self) {
      if (number >= 2 * ROUNDS) break
      self.send(from, { number: number + 1, from: self.pid })
    }
    const perRoundMs = (performance.now() - startMs) / ROUNDS
    console.log(`${ROUNDS} rounds between ${self.pid} and ${pong}: ${perRoundMs.toFixed(3)} ms each`)
    resolve()
  })
})

await finished
await Promise.all([left.stop(), right.stop()])
