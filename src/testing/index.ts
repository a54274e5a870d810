/** `skein/testing`: whole clusters in one process, in virtual time, reproducible by a seed. */
export type { Clock, Timer } from '../../transport/clock.ts'
export type { ClockSkew } from '../../transport/memory-host.ts'
export type { LinkConditions } from '../../transport/memory-link.ts'
export { MemoryNetwork, type MemoryNetworkOptions, type MemoryPortOptions } from '../../transport/memory-network.ts'
export { type Random, seededRandom } from '../../transport/random.ts'
export { type RunOptions, type RunOutcome, VirtualClock } from '../../transport/virtual-clock.ts'
export {
  SimulatedCluster,
  type SimulatedNodeOptions,
  type SimulationOptions,
  simulatedHost,
  simulatedNodes,
} from './cluster.ts'
export type { SimulatedHost } from './host.ts'
export { ScenarioFailure, type ScenarioOptions, type Simulation, simulate } from './simulation.ts'
