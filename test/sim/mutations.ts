/**
 * Does the fuzzer see what it is there to see? A mutation breaks one promise on purpose: in a copy of the sources, by one
 * exact replacement of text, so that no switch for it exists in the product. A replacement that does not match exactly
 * once is an error: the sources have moved on, and this table has to follow.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

interface Mutation {
  /** Whose program is to find it. Default: the guarantees. */
  readonly subject?: string
  /** What is broken. */
  readonly breaks: string
  readonly file: string
  readonly from: string
  readonly to: string
}

export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'order-mark': {
    breaks: 'G1: a dedicated lane is read before the mark on the shared one is met',
    file: 'transport/lanes-in.ts',
    from: `if (mark === 0 || this.#marks.delete(mark)) return 'next'`,
    to: `if (mark === 0 || this.#marks.delete(mark) || kind === 'dedicated') return 'next'`,
  },
  'double-down': {
    breaks: 'G10: a DOWN is delivered twice',
    file: 'src/process/monitors.ts',
    from: `this.#post.put(monitor.watcher, { type: 'DOWN', ref: monitor.ref, pid: monitor.watched, reason })`,
    to: `for (let i = 0; i < 2; i++)
      this.#post.put(monitor.watcher, { type: 'DOWN', ref: monitor.ref, pid: monitor.watched, reason })`,
  },
  'unlink-no-ack': {
    breaks: 'G18: an unlinked entry is dropped at once and does not wait for the acknowledgement',
    file: 'src/process/links.ts',
    from: `bridge.sendSurely(process, { type: 'unlink', from: process.pid.number, to: pid.number, id })`,
    to: `bridge.sendSurely(process, { type: 'unlink', from: process.pid.number, to: pid.number, id })
      this.#remove(link)`,
  },
  'nodes-impatient': {
    subject: 'nodes',
    breaks: 'no nodedown without a cause: whoever is silent for a moment is down',
    file: 'src/cluster/liveness.ts',
    from: `if (this.#silenceMs < adaptedMs || nowMs - this.#confirmedMs < adaptedMs) return 'silent'`,
    to: '',
  },
  'global-refusal': {
    subject: 'global',
    breaks: 'one owner: whoever has a name agrees when another asks for it',
    file: 'src/services/global/acquisition.ts',
    from: `if (isTaken) throw taken(name)`,
    to: '',
  },
  'global-fence': {
    subject: 'global',
    breaks: 'no two holders by turns: a fence admits lesser tokens too',
    file: 'src/services/global/fence.ts',
    from: `if (this.#greatest !== undefined && token < this.#greatest) return false`,
    to: '',
  },
  'global-renewal': {
    subject: 'global',
    breaks: 'a greater token for the winner: it keeps the one it had',
    file: 'src/services/global/holdings.ts',
    from: `holding.token = this.#parts.stamps.tick()`,
    to: '',
  },
  'global-dead': {
    subject: 'global',
    breaks: 'no name of a dead process: its node does not take it back',
    file: 'src/services/global/global-service.ts',
    from: `if (holding !== undefined) this.#holdings.remove(holding)`,
    to: '',
  },
  'global-clock': {
    subject: 'global',
    breaks: 'growing tokens: the stamps of others are not heeded',
    file: 'src/services/global/stamp.ts',
    from: `this.#timeMs = timeMs`,
    to: '',
  },
  'plan-not-kept': {
    subject: 'supervision',
    breaks: 'a plan is known to the leader alone, so that children started by request go with it',
    file: 'src/services/supervision/supervision.ts',
    from: `this.#learn(owner, member, id, entry as PlanEntry)
    member?.consider()`,
    to: 'member.consider()',
  },
  'child-not-gated': {
    subject: 'supervision',
    breaks: 'a child runs whether or not its name could be registered',
    file: 'src/services/supervision/agent.ts',
    from: `if (await admitted) await behaviour(self, ...args)`,
    to: 'if (args.length >= 0 || (await admitted)) await behaviour(self, ...args)',
  },
  'conflict-unheeded': {
    subject: 'supervision',
    breaks: 'a process that has lost its global name goes on',
    file: 'src/services/global/global-service.ts',
    from: `tellLoser: (pid, error) => processes.exit(pid, error),`,
    to: 'tellLoser: () => {},',
  },
  'groups-dead': {
    subject: 'groups',
    breaks: 'no dead members: other nodes are not told of the end of a process',
    file: 'src/services/groups/group-service.ts',
    from: `for (const key of this.#joins.get(process)?.keys() ?? []) {
      this.#board.delete(key)`,
    to: 'for (const key of this.#joins.get(process)?.keys() ?? []) {',
  },
  'groups-order': {
    subject: 'groups',
    breaks: 'G1: what is published rides another lane than what is sent',
    file: 'src/process/multicast.ts',
    from: `const from = sender?.pid.number ?? 0`,
    to: 'const from = 0',
  },
  'groups-lost-node': {
    subject: 'groups',
    breaks: 'no members of lost nodes: they stay when the connection goes',
    file: 'src/services/groups/group-service.ts',
    from: `this.#board.peerDown(peer)`,
    to: '',
  },
}

const ROOMS = ['certs', 'transport', 'discovery', 'src', 'test/sim', 'package.json', 'tsconfig.json'] as const
const root = fileURLToPath(new URL('../../', import.meta.url))

/** A copy of the sources, broken; `remove` it in the end. Throws for an unknown name. */
export const mutant = (name: string): { readonly folder: string; remove(): void } => {
  const mutation = MUTATIONS[name]
  if (mutation === undefined) {
    throw new Error(`There is no mutation "${name}", but ${Object.keys(MUTATIONS).join(', ')}.`)
  }
  const folder = mkdtempSync(join(tmpdir(), `skein-${name}-`))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  try {
    for (const room of ROOMS) cpSync(join(root, room), join(folder, room), { recursive: true })
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    const file = join(folder, mutation.file)
    const parts = readFileSync(file, 'utf8').split(mutation.from)
    if (parts.length !== 2) {
      throw new Error(`The text of "${name}" is ${parts.length - 1} times in ${mutation.file}, not once.`)
    }
    writeFileSync(file, parts.join(mutation.to))
  } catch (error) {
    remove()
    throw error
  }
  return { folder, remove }
}
