/**
 * Several fast senders at one slow process and at one that never reads, on the same member. Senders that heed backpressure
 * lose nothing; those that do not are refused, with an error each; memory stays bounded, and calls of others do not suffer.
 */
import type { Consumed } from './fixtures/consumers.ts'
import type { Sent } from './fixtures/senders.ts'
import { quantile } from './stage.ts'
import type { Storm } from './storm.ts'

/** A mailbox holds its senders back at 65 536 messages or 16 MiB; queues towards it have their own bounds. */
const PEAK_LIMIT_MIB = 600
const CATCH_UP_LIMIT_MS = 60_000
const LOOK_MS = 250
const P99_LIMIT_MS = 2000

export const messages: Storm = {
  name: 'messages',
  what: 'Fast senders at one slow process and at one that never reads; some heed backpressure, some do not.',
  proof: [
    'messages refused, ERR_SKEIN_QUEUE_FULL',
    'messages the slow process took',
    'times a well-behaved sender was held back',
  ],
  run: async (stage) => {
    await stage.open()
    const [consumer, ...senders] = stage.members
    const look = (what: string): Promise<Consumed> => stage.role<Consumed>(consumer!, 'consumers', what)
    await look('start')
    const all = (): Promise<Sent[]> =>
      Promise.all(senders.map((one) => stage.role<Sent>(one, 'senders', consumer!.name, true)))
    await all()
    let isOver = false
    const over = stage.sleep(stage.seconds * 1000).then(() => {
      isOver = true
    })
    const watch = async (): Promise<void> => {
      while (!isOver) {
        const { waiting, deaf } = await look('look')
        stage.tallyMost('messages waiting for the slow process, at most', waiting)
        stage.tallyMost('messages waiting for the deaf process, at most', deaf)
        await stage.sleep(LOOK_MS)
      }
    }
    const [took] = await Promise.all([stage.calls(over), watch()])
    stage.tally('calls of others answered', took.length)
    stage.tally('calls of others, ms, p99', Math.round(quantile(took, 0.99)))
    if (quantile(took, 0.99) > P99_LIMIT_MS) stage.violation(`calls of others took ${quantile(took, 0.99)} ms (p99)`)
    await look('hurry')
    const results = await all()
    const sent = Object.assign({}, ...results.map((result) => result.sent)) as Record<string, number>
    const total = (numbers: Readonly<Record<string, number>>): number =>
      Object.values(numbers).reduce((sum, one) => sum + one, 0)
    stage.tally('messages of well-behaved senders', total(sent))
    for (const { held, heedless, refused } of results) {
      stage.tally('times a well-behaved sender was held back', held)
      stage.tally('messages of heedless senders taken', heedless)
      for (const [code, count] of Object.entries(refused)) stage.tally(`messages refused, ${code}`, count)
    }
    const beganMs = performance.now()
    let consumed = await look('look')
    while (total(consumed.received) < total(sent) && performance.now() - beganMs < CATCH_UP_LIMIT_MS) {
      await stage.sleep(LOOK_MS)
      consumed = await look('look')
    }
    stage.tally('messages the slow process took', total(consumed.received))
    if (consumed.wrong > 0) stage.violation(`${consumed.wrong} messages were lost, doubled or out of order`)
    for (const [from, count] of Object.entries(sent)) {
      const came = consumed.received[from] ?? 0
      if (came !== count) stage.violation(`${from} sent ${count} messages, and ${came} came`)
    }
    stage.tally('messages dropped with the deaf process', (await look('end')).deaf)
    const report = await stage.close()
    const violations = report.memory
      .filter(({ before, peak }) => peak - before > PEAK_LIMIT_MIB)
      .map(({ member, before, peak }) => `${member} grew from ${before} to ${peak} MiB`)
    return { ...report, violations: [...report.violations, ...violations] }
  },
}
