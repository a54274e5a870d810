/**
 * A router on the way silently drops what is longer than 1300, then 1250 bytes, in the middle of traffic, and later passes it
 * again. Datagrams have to become small by themselves, nothing may be lost, and they grow again.
 *
 * A hole is shorter than the first pause before large datagrams are tried again (transport/path-size.ts): after a second
 * failure the next try is ten minutes later, as RFC 8899 has it.
 */
import { execFileSync } from 'node:child_process'
import { type LanHost, lan } from '../support/lan.ts'
import type { Consumed } from './fixtures/consumers.ts'
import type { Sent } from './fixtures/senders.ts'
import type { Stage } from './stage.ts'
import type { Storm } from './storm.ts'

/** Bytes of the IP packet. */
const HOLES = [1300, 1250] as const
const TABLE = `table inet storm {
  chain input {
    type filter hook input priority 0;
  }
}`
/** Long enough for a large packet of every member. */
const SHORTEST_HOLE_MS = 4000
const LONGEST_HOLE_MS = 8000
/** What the path of a LAN carries: 1472 bytes of UDP; the smallest is 1200. */
const FULL_BYTES = 1472
const LOOK_MS = 200
const GROWTH_LIMIT_MS = 40_000
const CATCH_UP_LIMIT_MS = 30_000

const setHole = (stage: Stage, hosts: readonly LanHost[], longest: number | undefined): void => {
  const rule = longest === undefined ? '' : `\nadd rule inet storm input meta length > ${longest} counter drop`
  for (const host of hosts) host.filter(stage.options.context, `flush chain inet storm input${rule}`)
}

const droppedBy = ({ namespace }: LanHost): number => {
  const rules = execFileSync('ip', ['netns', 'exec', namespace, 'nft', 'list', 'table', 'inet', 'storm']).toString()
  return Number(/counter packets (\d+)/.exec(rules)?.[1] ?? 0)
}

/** The smallest and the largest size in use between any two members. */
const sizesOf = async (stage: Stage): Promise<readonly [number, number]> => {
  const all = await Promise.all(stage.members.map((one) => stage.role<Record<string, number>>(one, 'path-sizes')))
  const sizes = all.flatMap((one) => Object.values(one))
  return [Math.min(...sizes), Math.max(...sizes)]
}

/** Seconds until every size is as wanted, or undefined. */
const until = async (
  stage: Stage,
  limitMs: number,
  isSo: (smallest: number, largest: number) => boolean,
): Promise<number | undefined> => {
  const beganMs = performance.now()
  while (performance.now() - beganMs < limitMs) {
    if (isSo(...(await sizesOf(stage)))) return (performance.now() - beganMs) / 1000
    await stage.sleep(LOOK_MS)
  }
  return undefined
}

export const mtu: Storm = {
  name: 'mtu',
  what: 'A black hole on the way drops packets above 1300, then 1250 bytes in the middle of traffic, then passes them again.',
  proof: ['hole of 1300: packets dropped', 'hole of 1250: packets dropped', 'messages of the storm that came'],
  run: async (stage) => {
    const hosts = lan(stage.options.context, stage.options.members)
    for (const host of hosts) host.filter(stage.options.context, TABLE)
    await stage.open({ hosts })
    const [consumer, ...senders] = stage.members
    const look = (what: string): Promise<Consumed> => stage.role<Consumed>(consumer!, 'consumers', what)
    const send = (): Promise<Sent[]> =>
      Promise.all(senders.map((one) => stage.role<Sent>(one, 'senders', consumer!.name, false)))
    const grow = async (when: string): Promise<void> => {
      const seconds = await until(stage, GROWTH_LIMIT_MS, (smallest) => smallest >= FULL_BYTES)
      if (seconds === undefined) stage.violation(`${when}: sizes are ${(await sizesOf(stage)).join(' to ')} bytes`)
      else stage.tally(`s until all sizes were ${FULL_BYTES} bytes ${when}`, seconds)
    }
    await grow('before')
    await look('start')
    // One that takes its time would hold back its senders for longer than a hole, and nothing long would be under way.
    await look('hurry')
    await send()
    const holeMs = Math.min(LONGEST_HOLE_MS, Math.max(SHORTEST_HOLE_MS, (stage.seconds * 1000) / HOLES.length))
    for (const longest of HOLES) {
      setHole(stage, hosts, longest)
      const took = await stage.calls(stage.sleep(holeMs))
      const [smallest, largest] = await sizesOf(stage)
      stage.tally(
        `hole of ${longest}: packets dropped`,
        hosts.reduce((sum, host) => sum + droppedBy(host), 0),
      )
      stage.tally(`hole of ${longest}: smallest size in use, bytes`, smallest)
      stage.tally(`hole of ${longest}: largest size in use, bytes`, largest)
      stage.tally(`hole of ${longest}: calls answered`, took.length)
      setHole(stage, hosts, undefined)
      await grow(`after the hole of ${longest}`)
    }
    const sent = Object.assign({}, ...(await send()).map((one) => one.sent)) as Record<string, number>
    const isAll = ({ received }: Consumed): boolean => Object.entries(sent).every(([from, n]) => received[from] === n)
    const beganMs = performance.now()
    let consumed = await look('look')
    while (!isAll(consumed) && performance.now() - beganMs < CATCH_UP_LIMIT_MS) {
      await stage.sleep(LOOK_MS)
      consumed = await look('look')
    }
    stage.tally(
      'messages of the storm sent',
      Object.values(sent).reduce((sum, one) => sum + one, 0),
    )
    stage.tally(
      'messages of the storm that came',
      Object.values(consumed.received).reduce((sum, one) => sum + one, 0),
    )
    if (consumed.wrong > 0 || !isAll(consumed)) stage.violation('messages were lost, doubled or out of order')
    return stage.close()
  },
}
