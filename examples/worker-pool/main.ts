/**
 * A pool of six workers on three nodes, each in a process of its own, kept by a distributed supervisor. This program is a
 * node too: it has no workers, gives jobs to those it finds in their group, and gives a job again when its worker goes: one
 * of the processes is killed on the way. Run it with: npx tsx examples/worker-pool/main.ts
 */
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type PidOf, startNode } from 'skein'
import { WORKERS } from './protocol.ts'
import type { Worker } from './worker.ts'

const MOST = 2_000_000
const STEP = 20_000
/** The primes below two million: https://oeis.org/A006880 has such counts. */
const PRIMES = 148_933
const PATIENCE_MS = 5000

const cookie = randomBytes(32).toString('hex')
const pause = (ms: number): Promise<void> => new Promise((go) => setTimeout(go, ms))

const children: ChildProcess[] = []
const seeds: string[] = []
for (const name of ['one', 'two', 'three']) {
  const child = fork(fileURLToPath(new URL('node.ts', import.meta.url)), [name, cookie, ...seeds])
  const [address] = (await once(child, 'message')) as [string]
  children.push(child)
  seeds.push(address)
}
const options = { name: 'main', cookie, host: '127.0.0.1', port: 0 }
const node = await startNode({ ...options, discovery: { mdns: false, dht: false, seeds } })

const workers = (): PidOf<Worker>[] => node.groups.members(WORKERS) as PidOf<Worker>[]
while (workers().length < 6) await pause(50)

const jobs = Array.from({ length: MOST / STEP }, (_, i) => ({ from: i * STEP, to: (i + 1) * STEP }))
const count = jobs.length
const busy = new Set<string>()
const done = new Map<string, number>()
let primes = 0
let again = 0

/** Takes whatever worker is free, one job at a time. */
const employ = async (worker: PidOf<Worker>): Promise<void> => {
  busy.add(worker.key)
  const job = jobs.shift()
  if (job === undefined) return
  try {
    const found = await node.call(worker, job, { timeoutMs: PATIENCE_MS })
    primes += found
    const name = worker.node.split('@')[0] ?? ''
    done.set(name, (done.get(name) ?? 0) + 1)
  } catch {
    again++
    jobs.push(job)
  }
  busy.delete(worker.key)
}

const finished = (): number => [...done.values()].reduce((sum, one) => sum + one, 0)
let killed = false
while (finished() < count) {
  for (const worker of workers()) if (!busy.has(worker.key) && jobs.length > 0) void employ(worker)
  if (!killed && finished() >= count / 4) {
    killed = true
    children.shift()?.kill('SIGKILL')
    console.log(`after ${finished()} jobs one of the processes was killed`)
  }
  await pause(5)
}
console.log(`${primes} primes below ${MOST}, in ${count} jobs; ${again === 0 ? 'none' : again} had to be given again`)
if (primes !== PRIMES) throw new Error(`It should be ${PRIMES}.`)
while (workers().length < 6) await pause(50)
const places = new Set(workers().map((pid) => pid.node.split('@')[0]))
console.log(`there are six workers again, on ${[...places].sort().join(' and ')}`)

for (const child of children) {
  const exited = once(child, 'exit')
  child.send('leave')
  await exited
}
await node.stop()
