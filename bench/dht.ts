/** The DHT: against its targets in the simulator, lookups on loopback beside those of others, and what junk costs. */
import { loopback } from './dht-loopback.ts'
import { simulatedDht } from './dht-simulated.ts'
import { junk } from './junk.ts'
import type { Measurement } from './report.ts'

export async function* dht(): AsyncGenerator<Measurement> {
  yield* simulatedDht()
  yield* loopback()
  yield* junk()
}
