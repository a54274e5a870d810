/** Lanes on the memory network: the suite of all carriers, on clean links and on bad ones. */
import type { LinkConditions } from '../../transport/memory-link.ts'
import { suite } from '../support/suite.ts'
import { laneCompliance } from './lanes-compliance.ts'
import { memoryPair } from './lanes-memory.ts'

const SEED = 20261121

const clean = suite('lanes on the memory network, clean links')
laneCompliance(clean, async () => memoryPair(SEED))
clean.run()

/** Loss only shows as delay; a goodbye that was lost shows when the other side speaks. */
const BAD_LINK: Partial<LinkConditions> = { delayMs: 10, jitterMs: 5, reorder: 0.05, duplicate: 0.05 }

const bad = suite('lanes on the memory network, bad links')
laneCompliance(bad, async () => memoryPair(SEED, BAD_LINK))
bad.run()
