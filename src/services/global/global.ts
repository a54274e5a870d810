/**
 * `node.global`: names of processes that mean the same on every node.
 */
import type { Lagged } from '../../event-stream.ts'
import type { Pid } from '../../pid.ts'
import type { AnyPid } from '../../process/directory.ts'
import { tokenOf } from './fence.ts'
import type { GlobalEvent, GlobalService } from './global-service.ts'
import type { Resolve } from './holdings.ts'
import { timeOf } from './stamp.ts'

/** What `node.global.register` takes. */
export interface RegisterOptions {
  /**
   * Decides which of two processes keeps the name when nodes find that both have it, within 5 seconds; only if every one of
   * them was registered with a callback. Otherwise, and when it throws, the older registration wins.
   */
  readonly resolve?: Resolve
}

/** A global name as this node knows it. */
export interface GlobalInfo {
  readonly name: string
  readonly pid: Pid
  readonly token: string
  /** Milliseconds since 1970, by the clock of the process's node. */
  readonly registeredAt: number
  /** More than 1: there is a conflict that is not resolved yet, or the name is being handed over. */
  readonly claims: number
}

export class Global {
  readonly #service: GlobalService

  /** @internal Use node.global. */
  constructor(service: GlobalService) {
    this.#service = service
  }

  /**
   * Gives a process of this node, or of another, a name of its own in the cluster. Rejects with ERR_SKEIN_NAME_REGISTERED,
   * ERR_SKEIN_NOPROC, ERR_SKEIN_BAD_NAME, ERR_SKEIN_LIMIT, ERR_SKEIN_NOCONNECTION or ERR_SKEIN_GLOBAL_TIMEOUT.
   */
  async register(name: string, pid: AnyPid, { resolve }: RegisterOptions = {}): Promise<{ readonly token: string }> {
    return { token: await this.#service.register(name, pid, resolve) }
  }

  /** On the node of the process. Rejects with ERR_SKEIN_NOT_REGISTERED or ERR_SKEIN_NOT_OWNER. */
  async unregister(name: string): Promise<void> {
    this.#service.unregister(name)
  }

  /**
   * Hands a name of this node to another process, here or elsewhere; at no moment does a node find nobody. The process
   * that had it is not told. Rejects as `register` and `unregister`; then it keeps the name, if it lives.
   */
  async transfer(name: string, pid: AnyPid): Promise<{ readonly token: string }> {
    return { token: await this.#service.transfer(name, pid) }
  }

  /** As this node knows it; costs no message. */
  whereis(name: string): Pid | undefined {
    return this.#service.table.best(name)?.pid
  }

  /** What the holder shows to a Fence. */
  token(name: string): string | undefined {
    const claim = this.#service.table.best(name)
    return claim && tokenOf(claim.token, claim.pid.origin)
  }

  info(name: string): GlobalInfo | undefined {
    const claims = this.#service.table.claims(name)
    const [claim] = claims
    if (claim === undefined) return undefined
    const { pid, token, registeredAt } = claim
    const facts = { name, pid, token: tokenOf(token, pid.origin), registeredAt: timeOf(registeredAt) }
    return { ...facts, claims: claims.length }
  }

  /** Of all names that this node knows. */
  get count(): number {
    return this.#service.table.size
  }

  /** All names that this node knows; `own`: of its own processes only. */
  names({ own = false }: { readonly own?: boolean } = {}): string[] {
    return own ? this.#service.ownNames() : this.#service.table.names()
  }

  /**
   * What becomes of names as this node sees it, from the moment a reader begins. A reader with 1024 events waiting loses
   * the oldest and is told by `lagged`.
   */
  watch(): AsyncIterable<GlobalEvent | Lagged> {
    return this.#service.events
  }
}
