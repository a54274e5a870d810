/**
 * A process of a tool that hears one other node: the casts of its processes, and what becomes of it.
 *
 * Pids are no secrets, so whoever is connected can send to one. A cast comes with the pid of its sender, which the
 * connection proves. What is merely sent could pass for a system message, and is refused if it comes from another node.
 */
import { type Behaviour, CastEntry, type Traits } from '../process/behaviour.ts'
import type { Self } from '../process/self.ts'
import { serve } from '../process/serve.ts'
import { NOTHING } from '../services/channel.ts'
import type { SystemMessage } from '../signals.ts'

const TRAITS: Traits = { serves: true, senders: true, schema: { call: NOTHING, info: NOTHING } }

export interface Listener {
  /** What the process does meanwhile. It lives on afterwards, until somebody ends it. */
  work(): Promise<void>
  /** The node has sent this. */
  heard(message: unknown): void
  /** A monitor of the process, or its watch for nodes, has something to tell. */
  happened(message: SystemMessage): void
}

export const nodeListener = (node: string, begin: (self: Self) => Listener): Behaviour<unknown> => {
  const run = (self: Self): Promise<void> => {
    const listener = begin(self)
    serve(self, (entry) => {
      if (!(entry instanceof CastEntry)) listener.happened(entry as SystemMessage)
      else if (entry.from?.node === node) listener.heard(entry.message)
    })
    return listener.work()
  }
  return Object.assign(run, { traits: TRAITS })
}
