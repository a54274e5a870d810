/**
 * The groups of one scope, as programs see them: `node.groups`, and `node.groups.scope(name)` for others.
 */
import type { Lagged } from '../../event-stream.ts'
import type { Pid } from '../../pid.ts'
import type { AnyPid } from '../../process/directory.ts'
import type { PublishOptions } from '../../process/multicast.ts'
import type { GroupEvent, GroupService } from './group-service.ts'
import { checkName } from './place.ts'

export class Groups {
  readonly #service: GroupService
  readonly #scope: string

  /** @internal Use node.groups. */
  constructor(service: GroupService, scope: string) {
    checkName('scope', scope)
    this.#service = service
    this.#scope = scope
  }

  /**
   * Puts processes of this node into a group, which is made by that. One that joins several times has to leave as often;
   * it is still one member. Throws ERR_SKEIN_NOPROC, ERR_SKEIN_BAD_NAME or ERR_SKEIN_LIMIT; then none of them has joined.
   */
  join(group: string, pids: AnyPid | readonly AnyPid[]): void {
    this.#service.join(this.#scope, group, listOf(pids))
  }

  /** False: none of them had joined. A process that ends leaves all its groups. */
  leave(group: string, pids: AnyPid | readonly AnyPid[]): boolean {
    return this.#service.leave(this.#scope, group, listOf(pids))
  }

  /** On all nodes that this one is connected to; the list is not changed later. */
  members(group: string): readonly Pid[] {
    return this.#service.members(this.#scope, group)
  }

  /** On this node. */
  localMembers(group: string): readonly Pid[] {
    return this.#service.localMembers(this.#scope, group)
  }

  /** All groups that have members. */
  groups(): string[] {
    return this.#service.groups(this.#scope)
  }

  /**
   * Who joins and leaves, of one group or of all, from the moment a reader begins. A reader with 1024 events waiting loses
   * the oldest and is told by `lagged`: then `members` says how things stand.
   */
  watch(group?: string): AsyncIterable<GroupEvent | Lagged> {
    return this.#service.watch(this.#scope, group)
  }

  /**
   * Sends to every member, from the node itself; a process does it by `self.publish`. False: some have much to read
   * already; await `drained`. Throws ERR_SKEIN_UNSERIALISABLE or ERR_SKEIN_MESSAGE_TOO_LARGE.
   */
  publish(group: string, message: unknown, options: Omit<PublishOptions, 'scope'> = {}): boolean {
    return this.#service.publish(undefined, group, message, { ...options, scope: this.#scope })
  }

  /** Resolves when every member takes more. */
  drained(group: string): Promise<void> {
    return this.#service.drained(undefined, { group, scope: this.#scope })
  }

  /** The groups of another scope: the same names mean other groups there. */
  scope(name: string): Groups {
    return new Groups(this.#service, name)
  }
}

const listOf = (pids: AnyPid | readonly AnyPid[]): readonly AnyPid[] => (Array.isArray(pids) ? pids : [pids as AnyPid])
