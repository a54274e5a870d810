/**
 * A thousand dials a second at one member, first from one address, then from many: first flights that nobody follows up
 * (slow handshakes), of another cookie, dials that are closed at once, and whole handshakes that are closed at once.
 *
 * The target must keep its members and answer their calls, hold no more half-open connections than admission.ts allows, and
 * be rid of all of them soon after.
 */
import { fileURLToPath } from 'node:url'
import { ADMISSION_LIMITS } from '../../transport/admission.ts'
import type { MemberProcess } from '../chaos/process.ts'
import { HostChild } from '../nat/child.ts'
import type { Dial, Dialled, DiallerCommand } from './fixtures/dialler.ts'
import { quantile, type Stage } from './stage.ts'
import type { Storm } from './storm.ts'

const PROGRAM = fileURLToPath(new URL('./fixtures/dialler.ts', import.meta.url))
const DIALS_PER_SECOND = 1000
const ADDRESSES = 60
const LOOK_MS = 250
/** Half-open ones end after 3 s, and a goodbye stays for some round trips. */
const GONE_LIMIT_MS = 15_000
const KEPT_LIMIT_MIB = 64
/** Of ten. Whole handshakes are few, since they cost the dialler as much as the target. */
const MIX: readonly Dial[] = ['half', 'gone', 'half', 'wrong', 'half', 'gone', 'half', 'wrong', 'half', 'visit']
/** Connections on their way out, which count no more: of dials and visits that were closed at once. */
const CLOSING = 128

const connectionsOf = async (stage: Stage, target: MemberProcess): Promise<number> =>
  (await stage.role<Record<string, number>>(target, 'counters')).connections ?? 0

interface Phase {
  readonly name: string
  readonly hosts: readonly string[]
  /** Most connections that this may add to the target. */
  readonly most: number
}

const storm = async (stage: Stage, target: MemberProcess, phase: Phase): Promise<void> => {
  const { name, hosts, most } = phase
  const dialler = await HostChild.start<DiallerCommand, never>(stage.options.context, stage.host(0), PROGRAM, () => {})
  await dialler.tell({ do: 'open', cookie: stage.cookie, hosts })
  const base = await connectionsOf(stage, target)
  const seconds = stage.seconds / 2
  const dialled = dialler.tell({
    do: 'storm',
    target: stage.addressOf(target),
    perSecond: DIALS_PER_SECOND,
    seconds,
    dials: MIX,
  }) as Promise<Dialled>
  let isOver = false
  const over = dialled.finally(() => {
    isOver = true
  })
  const watch = async (): Promise<void> => {
    let peak = 0
    while (!isOver) {
      peak = Math.max(peak, (await connectionsOf(stage, target)) - base)
      await stage.sleep(LOOK_MS)
    }
    stage.tally(`${name}: most connections beside the members'`, peak)
    if (peak > most) stage.violation(`${name}: ${peak} connections beside the members', not at most ${most}`)
  }
  const [result, took] = await Promise.all([over, stage.calls(over), watch()])
  for (const [dial, count] of Object.entries(result.dials)) stage.tally(`${name}: dials, ${dial}`, count)
  stage.tally(`${name}: dials a second`, Math.round(total(result) / result.seconds))
  stage.tally(`${name}: handshakes that the dialler finished`, result.opened)
  stage.tally(`${name}: members' calls answered`, took.length)
  stage.tallyMost(`${name}: members' calls, ms, p99`, Math.round(quantile(took, 0.99)))
  await dialler.end()
  await gone(stage, target, base)
}

const total = ({ dials }: Dialled): number => Object.values(dials).reduce((sum, count) => sum + count, 0)

/** Waits until the target holds no more connections than before. */
const gone = async (stage: Stage, target: MemberProcess, base: number): Promise<void> => {
  const beganMs = performance.now()
  let left = 0
  while (performance.now() - beganMs < GONE_LIMIT_MS) {
    left = (await connectionsOf(stage, target)) - base
    if (left <= 0) {
      stage.tallyMost('s until all of it was gone, at most', Math.round((performance.now() - beganMs) / 1000))
      return
    }
    await stage.sleep(LOOK_MS)
  }
  stage.violation(`${left} connections are left ${GONE_LIMIT_MS / 1000} s after the storm`)
}

export const connections: Storm = {
  name: 'connections',
  what: '1000 dials a second at one member: half-open, with another cookie, gone at once; from one address and from many.',
  proof: ['node: gated', 'node: retries', 'one address: dials, half', 'many addresses: dials, visit'],
  run: async (stage) => {
    await stage.open()
    const target = stage.members[0]!
    const hosts = stage.freeAddresses(ADDRESSES)
    const one = { name: 'one address', hosts: hosts.slice(0, 1), most: ADMISSION_LIMITS.halfOpenPerAddress }
    const many = { name: 'many addresses', hosts, most: ADMISSION_LIMITS.halfOpen }
    for (const phase of [one, many]) await storm(stage, target, { ...phase, most: phase.most + CLOSING })
    const report = await stage.close()
    const memory = report.memory[0]
    const violations = [...report.violations]
    if (memory !== undefined && memory.after - memory.before > KEPT_LIMIT_MIB) {
      violations.push(`the target kept ${memory.after - memory.before} MiB`)
    }
    return { ...report, violations }
  },
}
