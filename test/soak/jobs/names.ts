/**
 * Global names: each member registers names of its own and gives them back, by unregistering or by the end of their
 * process, and fights with the others for a few; two never have one.
 */
import type { Pid, Self } from '../../../src/index.ts'
import { codeOf, type Work, type Workplace } from './work.ts'

const FOUGHT_FOR = ['lock-1', 'lock-2', 'lock-3'] as const
const HELD_MS_RANGE = [100, 2000] as const
/** Of the ticks. */
const CHANCE = 0.08
/** What may happen to a registration while connections come and go. */
const EXCUSED = ['ERR_SKEIN_GLOBAL_TIMEOUT', 'ERR_SKEIN_NOCONNECTION', 'ERR_SKEIN_NOPROC']

export class Names implements Work {
  readonly name = 'names'
  readonly #place: Workplace
  #open = 0
  #names = 0

  constructor(place: Workplace) {
    this.#place = place
  }

  tick(): void {
    if (!this.#place.chance(CHANCE)) return
    this.#open++
    const own = this.#place.chance(0.6)
    const name = own ? `${this.#place.node.name}/${++this.#names}` : (this.#place.pick(FOUGHT_FOR) ?? 'lock-1')
    void this.#hold(name, own).finally(() => this.#open--)
  }

  outstanding(): number {
    return this.#open
  }

  async #hold(name: string, own: boolean): Promise<void> {
    const { node } = this.#place
    const pid = node.spawn(async (self: Self<unknown>) => void (await self.receive()))
    const [short, long] = HELD_MS_RANGE
    try {
      await node.global.register(name, pid)
      this.#place.count('global names registered')
      if (own && node.global.whereis(name)?.equals(pid) !== true) this.#place.violation(`${name} is not found`)
      await new Promise((resolve) => setTimeout(resolve, short + this.#place.below(long - short)))
      // A conflict between two sides of a cut may have taken a name that others wanted too.
      if (this.#place.chance(0.5)) await node.global.unregister(name)
    } catch (error) {
      this.#refused(name, own, pid, codeOf(error))
    } finally {
      node.send(pid, 'end')
    }
  }

  #refused(name: string, own: boolean, pid: Pid, code: string): void {
    const isLost =
      code === 'ERR_SKEIN_NAME_REGISTERED' || code === 'ERR_SKEIN_NOT_REGISTERED' || code === 'ERR_SKEIN_NOT_OWNER'
    if (EXCUSED.includes(code) || (isLost && !own)) this.#place.count(`global names: ${code}`)
    else this.#place.violation(`the name ${name} for ${pid} failed with ${code}`)
  }
}
