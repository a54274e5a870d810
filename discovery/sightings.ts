/**
 * What one source sees at the moment, and the events that tell of it: found, changed, lost.
 *
 * Every source keeps its sightings here, so that all of them mean the same by these words: `changed` only when something
 * did change, `lost` only after `found`.
 */
import { type Address, sameAddress } from '../transport/address.ts'
import type { DiscoveryEvent, Registration, Sighting } from './source.ts'

export class Sightings {
  readonly #source: string
  readonly #emit: (event: DiscoveryEvent) => void
  readonly #byKey = new Map<string, Sighting>()

  constructor(source: string, emit: (event: DiscoveryEvent) => void) {
    this.#source = source
    this.#emit = emit
  }

  get size(): number {
    return this.#byKey.size
  }

  /** This is seen now. */
  put(sighting: Sighting): void {
    const known = this.#byKey.get(sighting.key)
    if (known !== undefined && sameSighting(known, sighting)) return
    this.#byKey.set(sighting.key, sighting)
    this.#emit({ type: known === undefined ? 'found' : 'changed', source: this.#source, sighting })
  }

  /** This is seen no more. */
  delete(key: string): void {
    const sighting = this.#byKey.get(key)
    if (sighting === undefined) return
    this.#byKey.delete(key)
    this.#emit({ type: 'lost', source: this.#source, sighting })
  }
}

/** True if both say the same of a node; the order of addresses counts. */
export const sameSighting = (a: Sighting, b: Sighting): boolean =>
  a.key === b.key &&
  a.name === b.name &&
  a.id === b.id &&
  a.incarnation === b.incarnation &&
  a.nat === b.nat &&
  sameAddresses(a.addresses, b.addresses) &&
  sameAddresses(a.introducers, b.introducers) &&
  sameRegistrations(a.registrations, b.registrations)

/** The order counts. */
const sameAddresses = (a: readonly Address[] = [], b: readonly Address[] = []): boolean =>
  a.length === b.length && a.every((address, index) => sameAddress(address, b[index]!))

export const sameRegistrations = (a: readonly Registration[] = [], b: readonly Registration[] = []): boolean =>
  a.length === b.length && JSON.stringify(a) === JSON.stringify(b)
