/**
 * The chaos run: `npm run chaos -- [--minutes 5] [--seed N] [--members 12] [--load]`.
 *
 * Members in processes of their own, each in a network namespace, over real QUIC. Round after round up to three faults
 * happen at once: kill -9, quick restarts, graceful stops, drains, SIGSTOP, partitions, one-way and single broken links,
 * loss. Then all is undone, everybody has to agree again, and the time that takes is kept. What is watched is in judge.ts.
 * Ends with `N rounds, V violations`; exit code 1 if there was one. `--load`: no faults; every member and the machine are
 * busy all the time, and nobody may go down for anybody.
 *
 * The seed repeats the plan of the run, not its timing. Needs Linux, root, iproute2 and nftables.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { seededRandom } from '../../transport/random.ts'
import { CommandContext } from '../support/command-context.ts'
import { type Fault, makeFaults } from './faults.ts'
import { canMakeHosts, Hosts } from './hosts.ts'
import { Judge } from './judge.ts'
import { MemberProcess } from './process.ts'
import { NAMES } from './protocol.ts'

const PORT = 4433
const COOKIE = 'a cookie of the chaos run'
/** Everybody agrees within this after all faults are undone, or it is a violation. */
const AGREEMENT_LIMIT_MS = 45_000
/** Nothing may happen in this time after agreement. */
const QUIET_MS = 2000
const FAULT_MS_RANGE = [2000, 12_000] as const
/** With --load each member burns so much of the time, more than the machine has. */
const BURNT_SHARE = 0.6

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
    members: { type: 'string', default: '12' },
    load: { type: 'boolean', default: false },
  },
})
const [minutes, seed, count] = [Number(values.minutes), Number(values.seed), Number(values.members)]
if (!(minutes > 0) || !Number.isSafeInteger(seed) || !(count >= 3 && count <= 40)) {
  console.error('--minutes is above 0, --seed a whole number, --members 3 to 40.')
  process.exit(2)
}
if (!canMakeHosts()) {
  console.error('The chaos run needs Linux, root, iproute2 and nftables.')
  process.exit(2)
}

const context = new CommandContext()

const startMs = performance.now()
const now = (): number => performance.now() - startMs
const say = (text: string): void => console.log(`${(now() / 1000).toFixed(1).padStart(7)} s  ${text}`)

const random = seededRandom(seed)
const folder = await mkdtemp(join(tmpdir(), 'skein-chaos-'))
context.defer(() => rm(folder, { recursive: true, force: true }))
const judge = new Judge({ say })
const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())

const makeMembers = (hosts: Hosts): MemberProcess[] => {
  const seeds = hosts.all.slice(0, 3).map(({ ipv4 }) => `${ipv4}:${PORT}`)
  return hosts.all.map((host, i) => {
    const name = `m${i + 1}@${host.ipv4}`
    const identity = join(folder, `m${i + 1}.pem`)
    const options = { name, host: host.ipv4, port: PORT, cookie: COOKIE, identity, seeds }
    const member = new MemberProcess(host, options, (report) => judge.heard(i, report))
    context.defer(() => member.kill())
    return member
  })
}

/** Waits until everybody agrees; gives how long that took, or undefined. */
const agreement = async (members: readonly MemberProcess[]): Promise<number | undefined> => {
  const beganMs = now()
  let why = ''
  while (now() - beganMs < AGREEMENT_LIMIT_MS && !interrupted.signal.aborted) {
    why = judge.disagreement(members, await Promise.all(members.map((member) => member.look())))
    if (why === '') return now() - beganMs
    await sleep(100)
  }
  judge.violation(`no agreement after ${((now() - beganMs) / 1000).toFixed(0)} s: ${why}`)
  return undefined
}

const live = async (faults: readonly Fault[], ms: number): Promise<void> => {
  for (const { text } of faults) say(text)
  await Promise.all(faults.map((fault) => fault.begin()))
  const endMs = now() + ms
  while (now() < endMs && !interrupted.signal.aborted) {
    // Meanwhile some fight for names.
    const running = members.filter(({ state }) => state === 'running')
    const member = running[Math.floor(random.float() * running.length)]
    const name = NAMES[Math.floor(random.float() * NAMES.length)]!
    // A member may be killed or stop between the question and the answer.
    await member?.tell({ do: random.float() < 0.7 ? 'grab' : 'drop', name }).catch(() => {})
    await sleep(300)
  }
}

const rounds = async (endMs: number): Promise<void> => {
  let [slowest, sum] = [0, 0]
  while (now() < endMs && !interrupted.signal.aborted) {
    const faults = makeFaults({
      hosts,
      members,
      random,
      free: () => members.flatMap(({ state }, i) => (state === 'running' ? [i] : [])),
      sleep,
    })
    judge.faultsBegin(faults)
    const [shortMs, longMs] = FAULT_MS_RANGE
    await live(faults, shortMs + random.float() * (longMs - shortMs))
    await Promise.all(faults.map((fault) => fault.end()))
    say('all undone')
    const tookMs = await agreement(members)
    if (tookMs === undefined) break
    judge.faultsOver()
    slowest = Math.max(slowest, tookMs)
    sum += tookMs
    done++
    say(`agreed after ${(tookMs / 1000).toFixed(1)} s`)
    await sleep(QUIET_MS)
  }
  say(`agreement: mean ${(sum / Math.max(1, done) / 1000).toFixed(1)} s, slowest ${(slowest / 1000).toFixed(1)} s`)
}

const loaded = async (endMs: number): Promise<void> => {
  judge.faultsOver()
  await Promise.all(members.map((member) => member.tell({ do: 'burn', share: BURNT_SHARE })))
  say(`every member burns ${BURNT_SHARE * 100} % of its time`)
  while (now() < endMs && !interrupted.signal.aborted) await sleep(200)
  await Promise.all(members.map((member) => member.tell({ do: 'burn', share: 0 })))
  done++
}

const hosts = new Hosts(context, count)
const members = makeMembers(hosts)
let done = 0
try {
  say(`${count} members, seed ${seed}, ${minutes} minutes`)
  judge.faultsBegin([])
  await Promise.all(members.map((member) => member.start()))
  const tookMs = await agreement(members)
  say(tookMs === undefined ? 'they do not agree' : `they agree after ${(tookMs / 1000).toFixed(1)} s`)
  if (tookMs !== undefined) {
    judge.faultsOver()
    const endMs = now() + minutes * 60_000
    await (values.load ? loaded(endMs) : rounds(endMs))
  }
} catch (error) {
  judge.violation(`the run itself failed: ${error instanceof Error ? error.stack : String(error)}`)
} finally {
  await context.cleanUp()
}
for (const line of judge.summary()) console.log(line)
console.log(`${done} rounds, ${judge.violations} violations`)
process.exitCode = judge.violations > 0 || done === 0 ? 1 : 0
