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
  /** What is broken. */
  readonly breaks: string
  readonly file: string
  readonly from: string
  readonly to: string
}

export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'order-mark': {
    breaks: 'G1: a dedicated lane is read before the mark on the shared one is met',
    file: 'transport/lanes.ts',
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
