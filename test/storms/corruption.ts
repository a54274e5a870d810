/**
 * The wires between members corrupt 1 %, then 5 % of the datagrams, double and reorder others, and lose some.
 *
 * Half of the corrupted ones pass the kernel, since their checksum is gone: it is for the gate and for QUIC to drop them.
 * Nothing may come to an actor that nobody sent: the background load checks every number, the calls every answer.
 */
import type { WireCounts, WireSetting } from '../nat/wire.ts'
import { quantile } from './stage.ts'
import type { Storm } from './storm.ts'
import { wiredLan } from './wired-lan.ts'

const WELL: WireSetting = { delayMs: 2, jitterMs: 0, lossPercent: 0 }
const BAD: readonly WireSetting[] = [
  { ...WELL, corruptPercent: 1, doublePercent: 2, earlyPercent: 5 },
  { ...WELL, corruptPercent: 5, doublePercent: 5, earlyPercent: 10, lossPercent: 1 },
]

export const corruption: Storm = {
  name: 'corruption',
  what: 'Wires flip bits in 1 % and 5 % of the datagrams, double and reorder others, and lose some.',
  proof: ['frames corrupted', 'frames doubled', 'frames early', 'node: invalid'],
  run: async (stage) => {
    const hosts = await wiredLan(stage.options.context, stage.options.members, WELL)
    await stage.open({ hosts })
    for (const setting of BAD) {
      await Promise.all(hosts.map(({ wire }) => wire.set(setting)))
      const took = await stage.calls(stage.sleep((stage.seconds * 1000) / BAD.length))
      stage.tally(`calls answered, ${setting.corruptPercent} % corrupted`, took.length)
      stage.tally(`calls, ms, p99, ${setting.corruptPercent} % corrupted`, Math.round(quantile(took, 0.99)))
    }
    const counts = await Promise.all(hosts.map(({ wire }) => wire.set(WELL)))
    const total = (kind: keyof WireCounts): number => counts.reduce((sum, one) => sum + one[kind], 0)
    for (const kind of ['lost', 'corrupted', 'doubled', 'early'] as const) stage.tally(`frames ${kind}`, total(kind))
    if (total('corrupted') === 0) stage.violation('the wires corrupted nothing')
    return stage.close()
  },
}
