/** `skein/testing`: whole clusters in one process, in virtual time, reproducible by a seed. */
export { MemoryNetwork, type MemoryNetworkOptions, type MemoryPortOptions } from '../../transport/memory-network.ts'
export { seededRandom } from '../../transport/random.ts'
export { type RunOptions, type RunOutcome, VirtualClock } from '../../transport/virtual-clock.ts'
export {
  SimulatedCluster,
  type SimulatedNodeOptions,
  type SimulationOptions,
  simulatedHost,
  simulatedNodes,
} from './cluster.ts'
