/**
 * A replica: a GenServer with a copy of all values, in a group with the others. What is written to one is published to all.
 * Of two writes of a key the later one counts, in whatever order they come, so replicas that have heard the same agree.
 */
import { genServer } from 'skein'
import type { Entry, Get, News, Put, Stamp } from './protocol.ts'

export const REPLICAS = 'replicas'

interface State {
  readonly entries: Map<string, Entry>
  /** At least that of every stamp seen here, so that a write is later than all this replica knows (Lamport's clock). */
  counter: number
}

const isLater = (one: Stamp, other: Stamp): boolean =>
  one.counter > other.counter || (one.counter === other.counter && one.replica > other.replica)

const merge = (state: State, entries: readonly Entry[]): void => {
  for (const entry of entries) {
    const known = state.entries.get(entry.key)
    if (known === undefined || isLater(entry.stamp, known.stamp)) state.entries.set(entry.key, entry)
    state.counter = Math.max(state.counter, entry.stamp.counter)
  }
}

export const replica = genServer({
  init: () => ({ state: { entries: new Map(), counter: 0 } as State }),
  handleCall(request: Put | Get, _from, state, self) {
    if ('get' in request) return { reply: state.entries.get(request.get)?.value }
    const stamp = { counter: state.counter + 1, replica: self.pid.key }
    const entries: readonly Entry[] = [{ key: request.put, value: request.value, stamp }]
    merge(state, entries)
    self.publish(REPLICAS, { type: 'entries', entries }, { exclude: self.pid })
    return { reply: request.value }
  },
  handleInfo(news: News, state, self) {
    if (news.type === 'entries') merge(state, news.entries)
    // What was written before the two met; what is written from now on is published to both.
    else self.send(news.replica, { type: 'entries', entries: [...state.entries.values()] })
  },
})
