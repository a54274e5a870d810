/**
 * Probes: what the services of a node tell of themselves in its snapshots, without the observer knowing them; and what
 * they have against the node being called ready.
 *
 * A probe is a name and a function, asked when somebody looks. What they give is cut to plain data of a size that is bounded
 * for all together; one that throws says so in its place.
 */
import { SkeinError } from '../../certs/errors.ts'
import { safeText } from '../safe-text.ts'
import { plain, plainRoom } from './plain.ts'

/** Probes and checks of one node; each is made by a part of the program, not by its data. */
const MAX_PROBES = 64
const PROBE_NAME = /^[a-z][a-zA-Z0-9]{0,31}$/

export class Probes {
  readonly #probes = new Map<string, () => unknown>()
  readonly #checks = new Map<string, () => string | undefined>()

  /**
   * From now on snapshots have what `read` gives under this name. Gives a function that takes it back. Throws
   * ERR_SKEIN_BAD_NAME, ERR_SKEIN_NAME_REGISTERED or ERR_SKEIN_LIMIT.
   */
  add(name: string, read: () => unknown): () => void {
    return enter(this.#probes, name, read)
  }

  /** The node is not ready while `check` gives a reason, for people. Otherwise as `add`. */
  addCheck(name: string, check: () => string | undefined): () => void {
    return enter(this.#checks, name, check)
  }

  read(): Readonly<Record<string, unknown>> {
    const values: Record<string, unknown> = {}
    const room = plainRoom()
    for (const [name, probe] of this.#probes) {
      try {
        values[name] = plain(probe(), room)
      } catch (error) {
        values[name] = { error: safeText(error) }
      }
    }
    return values
  }

  /** Why the node is not ready; empty if nobody has anything against it. */
  reasons(): { readonly what: string; readonly text: string }[] {
    const reasons: { what: string; text: string }[] = []
    for (const [what, check] of this.#checks) {
      let text: string | undefined
      try {
        text = check()
      } catch (error) {
        text = safeText(error)
      }
      if (text !== undefined) reasons.push({ what, text: safeText(text, MAX_REASON_TEXT) })
    }
    return reasons
  }
}

const MAX_REASON_TEXT = 200

const enter = <T>(entries: Map<string, T>, name: string, value: T): (() => void) => {
  if (typeof name !== 'string' || !PROBE_NAME.test(name)) {
    throw new SkeinError(
      'ERR_SKEIN_BAD_NAME',
      'A probe has a name of 1 to 32 letters and digits, a small letter first.',
    )
  }
  if (entries.has(name)) throw new SkeinError('ERR_SKEIN_NAME_REGISTERED', `There is a probe "${name}" already.`)
  if (entries.size >= MAX_PROBES) throw new SkeinError('ERR_SKEIN_LIMIT', `A node has at most ${MAX_PROBES} probes.`)
  entries.set(name, value)
  return () => {
    if (entries.get(name) === value) entries.delete(name)
  }
}
