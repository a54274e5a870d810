/**
 * Erlang's own distribution between two nodes of it, with the default flags of `erl` (bench_work.erl does the work).
 *
 * Small messages are sent once as a map of three fields, as ours are, and once as a binary of the same length on the
 * wire, and the faster of the two counts.
 */
import { LARGE_BYTES, PINGS, WARM_UP } from '../baselines.ts'
import { type Carrier, type ErlangGroup, ErlangNode, prepareErlang } from './erlang-node.ts'
import { isSmall, type PeerSystem, type Result, SENDERS, type Work } from './system.ts'

/** Of each kind. */
const SMALL_MESSAGES = 150_000
const LARGE_MESSAGES: Readonly<Record<Carrier, number>> = { tcp: 30_000, tls: 1500 }
const KINDS = ['map', 'binary'] as const

export const startErlang = async (carrier: Carrier): Promise<PeerSystem> => {
  const group = await prepareErlang(carrier, [new URL('bench_work.erl', import.meta.url)])
  try {
    return await startNodes(group)
  } catch (error) {
    await group.remove()
    throw error
  }
}

const startNodes = async (group: ErlangGroup): Promise<PeerSystem> => {
  const near = await ErlangNode.start({ group, name: 'sender', address: '127.0.0.1' })
  const far = await ErlangNode.start({ group, name: 'receiver', address: '127.0.0.2' })
  const work = (name: string, ...args: readonly (string | number)[]): Promise<unknown> =>
    near.ask('bench_work', name, far.atom, ...args)
  const roundTrips = async (name: string, part: number): Promise<Result> => {
    const times = (await work(name, Math.ceil(WARM_UP * part), Math.ceil(PINGS * part))) as number[]
    return { roundTripsUs: times.map((nanoseconds) => nanoseconds / 1000) }
  }
  const perSecond = async (amount: number, elapsed: Promise<unknown>): Promise<number> =>
    (amount * 1e9) / ((await elapsed) as number)
  await far.ask('bench_work', 'serve')
  if ((await near.ask('net_kernel', 'connect_node', far.atom)) !== true) throw new Error(`no connection to ${far.atom}`)

  const measure = async (wanted: Work, part: number): Promise<Result> => {
    if (wanted === 'ping-pong') return roundTrips('ping_pong', part)
    if (wanted === 'call') return roundTrips('call', part)
    if (!isSmall(wanted)) {
      const count = Math.ceil(LARGE_MESSAGES[group.carrier] * part)
      return { perSecond: await perSecond(count * LARGE_BYTES, work('large', LARGE_BYTES, 1, count)) }
    }
    const senders = SENDERS[wanted]
    const share = Math.ceil((SMALL_MESSAGES * part) / senders)
    const rates: number[] = []
    for (const kind of KINDS) rates.push(await perSecond(senders * share, work('small', kind, senders, share)))
    return { perSecond: Math.max(...rates) }
  }
  return {
    measure,
    stop: async () => {
      await near.stop()
      await far.stop()
      await group.remove()
    },
  }
}
