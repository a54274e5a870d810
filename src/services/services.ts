/**
 * The services of one node, put together: each speaks with its like on the other nodes over a channel of its own.
 */
import type { ErrorCode } from '../../certs/errors.ts'
import type { Clock } from '../../transport/clock.ts'
import type { Random } from '../../transport/random.ts'
import type { ConnectedNode } from '../cluster/peers.ts'
import type { NodeEvent } from '../event-stream.ts'
import type { Origin } from '../pid.ts'
import type { Processes } from '../process/processes.ts'
import type { ChannelHost } from './channel.ts'

/** What services need of their node. */
export interface ServicesHost {
  readonly self: Origin
  readonly hidden: boolean
  readonly clock: Clock
  readonly random: Random
  readonly processes: Processes
  /** Hidden ones included. */
  connected(): readonly ConnectedNode[]
  emit(event: NodeEvent): void
  defect(error: unknown): void
}

/** What a channel needs of the node. */
export const channelHost = ({ hidden, processes, connected, emit, defect }: ServicesHost): ChannelHost => ({
  hidden,
  spawn: (behaviour, options) => processes.spawn(behaviour, options),
  connected: (node) => connected().find(({ name }) => name === node),
  refused: (refusal: { node: string; service: string; code: ErrorCode; message: string }) =>
    emit({ type: 'memberRefused', ...refusal }),
  defect,
})

/** Made before the node accepts connections, so that every service is there when the first peer comes. */
export class NodeServices {
  /** @internal */
  constructor(_host: ServicesHost) {}

  /** The node stops; its connections are gone already. */
  stop(): void {}
}
