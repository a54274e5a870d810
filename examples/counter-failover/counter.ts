/**
 * The counter, and notes of it. There is one counter in the cluster, kept by a distributed supervisor, and a note on every
 * node. The counter tells all notes before it answers, and asks them when it begins: so the next one knows what this one
 * said, wherever it runs.
 *
 * A note heeds the counter's token: one that was replaced and does not know it yet cannot overwrite its successor.
 */
import { Fence, genServer, type Pid, type Self, type SkeinNode } from 'skein'
import type { Count, Note } from './protocol.ts'

export const NOTES = 'notes'

export const note = genServer({
  init: () => ({ state: { total: 0, fence: new Fence() } }),
  handleCall(request: Note, _from, state) {
    if (request === 'last') return { reply: state.total }
    if (!state.fence.admits(request.token)) return { reply: false }
    return { reply: true, state: { ...state, total: request.total } }
  },
})

/** Asks all notes; one whose node is just going does not count. */
const askAll = async <T>(node: SkeinNode, self: Self, question: unknown): Promise<T[]> => {
  const notes = node.groups.members(NOTES) as readonly Pid<never>[]
  const asked = await Promise.allSettled(notes.map((pid) => self.call(pid, question as never, { timeoutMs: 2000 })))
  return asked.filter((answer) => answer.status === 'fulfilled').map(({ value }) => value as T)
}

export const counterOn = (node: SkeinNode) =>
  genServer({
    init: async (self) => ({ state: Math.max(0, ...(await askAll<number>(node, self, 'last'))) }),
    async handleCall(_request: Count, _from, state, self) {
      const total = state + 1
      const token = self.supervised?.token ?? ''
      const admitted = await askAll<boolean>(node, self, { total, token })
      if (admitted.includes(false)) throw new Error('there is a newer counter')
      return { reply: total, state: total }
    },
  })
