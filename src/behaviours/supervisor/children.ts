/**
 * The children of a supervisor in the order of their start, found by id or by process.
 *
 * Children on demand have no id of their own: they bear that of their pattern and are found by process only.
 */
import { SkeinError } from '../../../certs/errors.ts'
import type { AnyPid } from '../../process/directory.ts'
import { type Child, type ChildStatus, STOPPED } from './child.ts'
import { MAX_CHILDREN } from './spec.ts'

export class Children implements Iterable<Child> {
  readonly #onDemand: boolean
  readonly #all = new Set<Child>()
  readonly #byId = new Map<string, Child>()
  /** Those that run, by the number of their process. */
  readonly #byNumber = new Map<number, Child>()

  constructor(onDemand: boolean) {
    this.#onDemand = onDemand
  }

  [Symbol.iterator](): Iterator<Child> {
    return this.#all.values()
  }

  /** Throws ERR_SKEIN_LIMIT. */
  checkRoom(): void {
    if (this.#all.size < MAX_CHILDREN) return
    throw new SkeinError('ERR_SKEIN_LIMIT', `A supervisor has at most ${MAX_CHILDREN} children.`)
  }

  /** As the last one. */
  add(child: Child): void {
    this.#all.add(child)
    if (!this.#onDemand) this.#byId.set(child.spec.id, child)
  }

  remove(child: Child): void {
    this.set(child, STOPPED)
    this.#all.delete(child)
    if (!this.#onDemand) this.#byId.delete(child.spec.id)
  }

  has(child: Child): boolean {
    return this.#all.has(child)
  }

  set(child: Child, status: ChildStatus): void {
    if (child.process !== undefined) this.#byNumber.delete(child.process.pid.number)
    child.status = status
    if (child.process !== undefined) this.#byNumber.set(child.process.pid.number, child)
  }

  withId(id: string): Child | undefined {
    return this.#byId.get(id)
  }

  withPid(pid: AnyPid): Child | undefined {
    const child = this.#byNumber.get(pid.number)
    return child?.process?.pid.equals(pid) === true ? child : undefined
  }

  /** `child` and all that were started after it. */
  from(child: Child): Child[] {
    const all = [...this.#all]
    return all.slice(all.indexOf(child))
  }
}
