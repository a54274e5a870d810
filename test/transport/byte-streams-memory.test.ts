/** Streams of bytes on the memory network: the suite of all carriers, on clean links and on bad ones. */
import { suite } from '../support/suite.ts'
import { byteStreamCompliance } from './byte-streams-compliance.ts'
import { memoryPair } from './lanes-memory.ts'

const SEED = 20261121

const clean = suite('streams of bytes on the memory network, clean links')
byteStreamCompliance(clean, async () => memoryPair(SEED))
clean.run()

const bad = suite('streams of bytes on the memory network, bad links')
byteStreamCompliance(bad, async () => memoryPair(SEED, { delayMs: 10, jitterMs: 5, reorder: 0.05, duplicate: 0.05 }))
bad.run()

const lossy = suite('streams of bytes on the memory network, lossy links')
byteStreamCompliance(lossy, async () => memoryPair(SEED, { delayMs: 10, loss: 0.02 }))
lossy.run()
