/**
 * Members tell each other of members: a source of discovery like any other, fed by the connections themselves.
 *
 * Whom this node met or heard of stays known until it said goodbye or cannot be reached for long, so a mesh that a broken
 * network tore apart finds together again. Lists are asked for, not pushed: every tick carries a checksum of the
 * membership its sender sees, and only where the two differ a list travels, so a settled mesh of n nodes costs nothing
 * and a growing one far less than the n * n * n entries of "everybody tells everybody". What it does not do: dial.
 */
import { createHash } from 'node:crypto'
import { Sightings } from '../../discovery/sightings.ts'
import type { DiscoveryEvent, DiscoverySource, NodeRecord, SourceStatus } from '../../discovery/source.ts'
import type { PeerHint } from './control.ts'

/** Members remembered; more are left to the other sources. */
const MAX_KNOWN_MEMBERS = 4096
/** Pause between two asks, in all; it doubles while the lists bring nothing new. */
const MIN_ASK_INTERVAL_MS = 1000
const MAX_ASK_INTERVAL_MS = 60_000

const SOURCE = 'peers'

export class PeerExchange implements DiscoverySource {
  readonly source = SOURCE
  #sightings = new Sightings(SOURCE, () => {})
  readonly #known = new Map<string, PeerHint>()
  #selfId = ''
  #running = false
  #askIntervalMs = MIN_ASK_INTERVAL_MS
  #nextAskMs = 0

  async start(record: NodeRecord, emit: (event: DiscoveryEvent) => void): Promise<void> {
    this.#selfId = record.id
    this.#sightings = new Sightings(SOURCE, emit)
    this.#running = true
  }

  update(): void {}

  refresh(): void {
    this.#nextAskMs = 0
  }

  status(): SourceStatus {
    const seen = this.#known.size
    return { source: SOURCE, state: this.#running ? 'working' : 'stopped', detail: 'members told by members', seen }
  }

  async stop(): Promise<void> {
    this.#running = false
  }

  /** True if the membership that a peer sees differs from ours and it is time to ask for its list. */
  shouldAsk(ownChecksum: number, theirChecksum: number, nowMs: number): boolean {
    if (theirChecksum === NO_MESH || theirChecksum === ownChecksum || nowMs < this.#nextAskMs) return false
    this.#nextAskMs = nowMs + this.#askIntervalMs
    this.#askIntervalMs = Math.min(this.#askIntervalMs * 2, MAX_ASK_INTERVAL_MS)
    return true
  }

  /** A member told of others. What is known already, or newer, stands. */
  heard(hints: readonly PeerHint[]): void {
    for (const hint of hints) {
      const known = this.#known.get(hint.id)
      if (known !== undefined && known.incarnation >= hint.incarnation) continue
      this.#askIntervalMs = MIN_ASK_INTERVAL_MS
      this.met(hint)
    }
  }

  /** First hand: this node is connected. */
  met(hint: PeerHint): void {
    const { name, id, incarnation, addresses } = hint
    const full = this.#known.size >= MAX_KNOWN_MEMBERS && !this.#known.has(id)
    if (!this.#running || id === this.#selfId || full) return
    this.#known.set(id, hint)
    this.#sightings.put({ key: id, name, id, incarnation, addresses })
  }

  /** It said goodbye, or was not to be reached for long. */
  forget(id: string): void {
    if (this.#known.delete(id)) this.#sightings.delete(id)
  }
}

/** The checksum of a node that takes part in no mesh. */
export const NO_MESH = 0

/** The part of one member in the checksum, which is the exclusive or of all parts. */
export const checksumOf = (id: string, incarnation: string): number =>
  createHash('sha256').update(`${id}/${incarnation}`).digest().readUInt32BE(0)
