/**
 * Members tell each other of members: a source of discovery like any other, fed by the connections themselves.
 *
 * Whom this node met or heard of stays known until it said goodbye or cannot be reached for long, so a mesh that a broken
 * network tore apart finds together again. What is told here is a hint for dialling: who counts as a member, and how news
 * travel, is the business of membership/. What it does not do: ask, or dial.
 */
import { Sightings } from '../../discovery/sightings.ts'
import type { DiscoveryEvent, DiscoverySource, NodeRecord, SourceStatus } from '../../discovery/source.ts'
import type { PeerHint } from './control.ts'

/** Members remembered; more are left to the other sources. */
const MAX_KNOWN_MEMBERS = 4096

const SOURCE = 'peers'

export class PeerExchange implements DiscoverySource {
  readonly source = SOURCE
  #sightings = new Sightings(SOURCE, () => {})
  readonly #known = new Map<string, PeerHint>()
  #selfId = ''
  #running = false

  async start(record: NodeRecord, emit: (event: DiscoveryEvent) => void): Promise<void> {
    this.#selfId = record.id
    this.#sightings = new Sightings(SOURCE, emit)
    this.#running = true
  }

  update(): void {}

  refresh(): void {}

  status(): SourceStatus {
    const seen = this.#known.size
    return { source: SOURCE, state: this.#running ? 'working' : 'stopped', detail: 'members told by members', seen }
  }

  async stop(): Promise<void> {
    this.#running = false
  }

  /** A member told of others: true if there was news. What is known already, or newer, stands. */
  heard(hints: readonly PeerHint[]): boolean {
    let hasNews = false
    for (const hint of hints) {
      const known = this.#known.get(hint.id)
      if (known !== undefined && known.incarnation >= hint.incarnation) continue
      if (this.met(hint)) hasNews = true
    }
    return hasNews
  }

  /** First hand: this node is connected. False: there is no room for it. */
  met(hint: PeerHint): boolean {
    const { name, id, incarnation, addresses } = hint
    const full = this.#known.size >= MAX_KNOWN_MEMBERS && !this.#known.has(id)
    if (!this.#running || id === this.#selfId || full) return false
    this.#known.set(id, hint)
    this.#sightings.put({ key: id, name, id, incarnation, addresses })
    return true
  }

  /** Of all who are known. */
  ids(): Iterable<string> {
    return this.#known.keys()
  }

  /** It said goodbye, or was not to be reached for long. */
  forget(id: string): void {
    if (this.#known.delete(id)) this.#sightings.delete(id)
  }
}
