/**
 * Puts this node's record into the DHT: under its id, its name and every name it registered, and takes back what is no
 * longer said.
 *
 * A record is taken back by one without addresses that has expired: an item cannot be deleted (BEP 44). What this does not
 * do: decide when to publish, or find contacts.
 */
import type { RingView } from '../../certs/keyring.ts'
import type { SigningKey } from '../../certs/signing-key.ts'
import { type Address, sameAddress } from '../../transport/address.ts'
import type { Random } from '../../transport/random.ts'
import type { NatClass, NodeRecord } from '../source.ts'
import { familyOf } from './compact-address.ts'
import type { Dht } from './dht.ts'
import { daysAt, type ItemKind, itemKey } from './places.ts'
import { MAX_INTRODUCERS, NONCE_SIZE_BYTES, RECORD_LIFETIME_MS, sealRecord, signRecord } from './record.ts'

export interface PublisherOptions {
  readonly dht: Pick<Dht, 'publicAddress' | 'putMutable'>
  readonly random: Random
  readonly keys: RingView
  /** The node's own key. */
  readonly signer: SigningKey
}

/** By what a record is found. */
interface Handle {
  readonly kind: ItemKind
  readonly text: string
}

export class RecordPublisher {
  readonly #options: PublisherOptions
  /** What the record is found by now, by kind and text. */
  #published = new Map<string, Handle>()
  #sequence = 0

  constructor(options: PublisherOptions) {
    this.#options = options
  }

  get hasPublished(): boolean {
    return this.#published.size > 0
  }

  /** Puts the record wherever it is to be found; gives on how many nodes the item that fared worst was stored. */
  async publish(record: NodeRecord, wallNowMs: number): Promise<number> {
    const handles = handlesOf(record)
    const gone = [...this.#published].filter(([key]) => !handles.has(key)).map(([, handle]) => handle)
    this.#published = handles
    const envelope = this.#sign(record, wallNowMs, RECORD_LIFETIME_MS)
    const [stored] = await Promise.all([
      this.#put([...handles.values()], envelope, wallNowMs),
      gone.length === 0 ? 0 : this.#put(gone, this.#sign(record, wallNowMs, 0), wallNowMs),
    ])
    return stored
  }

  /** Takes the record back. */
  async withdraw(record: NodeRecord, wallNowMs: number): Promise<void> {
    const handles = [...this.#published.values()]
    this.#published.clear()
    if (handles.length > 0) await this.#put(handles, this.#sign(record, wallNowMs, 0), wallNowMs)
  }

  #sign(record: NodeRecord, wallNowMs: number, lifetimeMs: number): Uint8Array {
    const { dht, signer } = this.#options
    const { clusterTag } = this.#options.keys.primary
    this.#sequence = Math.max(this.#sequence + 1, Math.floor(wallNowMs))
    const { name, incarnation, registrations = [], introducers = [] } = record
    const { nat, addresses } = whereabouts(record, dht.publicAddress)
    const said = {
      name,
      incarnation,
      registrations,
      addresses: lifetimeMs === 0 ? [] : addresses,
      nat,
      introducers: introducers.slice(0, MAX_INTRODUCERS),
      sequence: this.#sequence,
      // One that is taken back has expired wherever the clock is not far behind.
      expiresAtMs: lifetimeMs === 0 ? 0 : Math.floor(wallNowMs) + lifetimeMs,
    } as const
    return signRecord(said, signer, clusterTag)
  }

  async #put(handles: readonly Handle[], envelope: Uint8Array, wallNowMs: number): Promise<number> {
    const { dht, random } = this.#options
    const keys = this.#options.keys.primary
    const sequence = this.#sequence
    const puts = daysAt(wallNowMs).flatMap((day) =>
      handles.map(async ({ kind, text }) => {
        const { publicKey, sign } = itemKey(keys.rendezvous, day, kind, text)
        const value = sealRecord(envelope, keys.sealing, publicKey, random.bytes(NONCE_SIZE_BYTES))
        return (await dht.putMutable({ publicKey, sign, sequence, value })).stored
      }),
    )
    return Math.min(...(await Promise.all(puts)))
  }
}

const handlesOf = ({ id, name, registrations = [] }: NodeRecord): Map<string, Handle> => {
  // Also by the name without its host: of two nodes that share one, the last to publish is found.
  const names = [name, name.split('@', 1)[0] ?? name, ...registrations.map((one) => one.name)]
  const handles: Handle[] = [{ kind: 'id', text: id }, ...names.map(byName)]
  return new Map(handles.map((handle) => [`${handle.kind}\n${handle.text}`, handle]))
}

const byName = (text: string): Handle => ({ kind: 'name', text })

/**
 * What a record says of where the node is. `seen` is where the DHT sees it: enough of its nodes agree on host and port, so
 * it is a node's own address, or that of a NAT which maps every destination alike. The latter goes in only under the
 * class `cone`, so that nobody dials it blindly.
 */
export const whereabouts = (
  record: Pick<NodeRecord, 'addresses' | 'nat'>,
  seen: Address | undefined,
): { nat: NatClass; addresses: Address[] } => {
  // Loopback addresses are of use to others only where a node has no other ones.
  const reachable = record.addresses.filter(({ host }) => !isLoopback(host))
  const own = reachable.length > 0 ? reachable : [...record.addresses]
  const nat = record.nat ?? 'unknown'
  if (seen === undefined || own.some((one) => sameAddress(one, seen))) return { nat, addresses: own }
  const isSeenToo = nat === 'cone' || (nat === 'unknown' && own.some(({ host }) => host === seen.host))
  if (isSeenToo || familyOf(seen.host) === 'ip6') return { nat, addresses: [seen, ...own] }
  return nat === 'unknown' ? { nat: 'cone', addresses: [seen, ...own] } : { nat, addresses: own }
}

const isLoopback = (host: string): boolean => host === '::1' || host.startsWith('127.')
