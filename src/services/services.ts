/**
 * The services of one node, put together: each speaks with its like on the other nodes over a channel of its own.
 */
import type { ErrorCode } from '../../certs/errors.ts'
import type { Clock } from '../../transport/clock.ts'
import type { Random } from '../../transport/random.ts'
import type { ConnectedNode } from '../cluster/connected-node.ts'
import type { NodeEvent } from '../event-stream.ts'
import type { Probes } from '../observe/probes.ts'
import type { Origin } from '../pid.ts'
import type { Processes } from '../process/processes.ts'
import type { Codec } from '../wire/codec.ts'
import type { ChannelHost } from './channel.ts'
import { Drain } from './drain.ts'
import { Global } from './global/global.ts'
import { GlobalService } from './global/global-service.ts'
import { GroupService } from './groups/group-service.ts'
import { Registries } from './registry/registries.ts'
import { RoomService } from './rooms/room-service.ts'
import { addServiceProbes } from './service-probes.ts'
import type { LoopMeter } from './supervision/load.ts'
import { NodeBoard } from './supervision/node-board.ts'
import { Supervision } from './supervision/supervision.ts'

/** What services need of their node. */
export interface ServicesHost {
  readonly self: Origin
  readonly hidden: boolean
  readonly clock: Clock
  readonly random: Random
  readonly processes: Processes
  /** Where services tell of themselves, for snapshots, and what they have against being called ready. */
  readonly probes: Probes
  /** For what is kept as bytes. */
  readonly codec: Codec
  readonly loopMeter: LoopMeter
  stop(timeoutMs: number): Promise<void>
  /** Hidden ones included. */
  connected(): readonly ConnectedNode[]
  connectedAs(name: string): ConnectedNode | undefined
  emit(event: NodeEvent): void
  defect(error: unknown): void
}

/** What a channel needs of the node. */
export const channelHost = ({ hidden, processes, connectedAs, emit, defect }: ServicesHost): ChannelHost => ({
  hidden,
  spawn: (behaviour, options) => processes.spawn(behaviour, options),
  connected: connectedAs,
  refused: (refusal: { node: string; service: string; code: ErrorCode; message: string }) =>
    emit({ type: 'memberRefused', ...refusal }),
  defect,
})

/** Made before the node accepts connections, so that every service is there when the first peer comes. */
export class NodeServices {
  readonly global: GlobalService
  readonly groups: GroupService
  readonly rooms: RoomService
  readonly registries: Registries
  readonly nodes: NodeBoard
  readonly supervision: Supervision
  readonly drain: Drain

  /** @internal */
  constructor(host: ServicesHost) {
    const { processes } = host
    this.global = new GlobalService(host, channelHost(host))
    this.groups = new GroupService(host, channelHost(host))
    this.rooms = new RoomService(host, channelHost(host), this.groups)
    this.registries = new Registries({
      process: (pid) => processes.local(pid),
      send: (pid, message) => processes.sendOrReport(pid, message),
    })
    const { global } = this
    this.nodes = new NodeBoard(host)
    const claimants = (name: string): string[] => global.table.claims(name).map(({ pid }) => pid.origin.key)
    this.supervision = new Supervision(host, this.nodes, new Global(global), claimants)
    global.onChange = (name) => this.supervision.nameChanged(name)
    this.drain = new Drain({
      clock: host.clock,
      supervision: this.supervision,
      begin: () => {
        processes.catalogue.isClosed = true
        this.nodes.drain()
      },
      stop: (timeoutMs) => host.stop(timeoutMs),
    })
    addServiceProbes(host.probes, this)
  }

  /** The node is about to stop: from now on it decides nothing for others. */
  rest(): void {
    this.supervision.rest()
  }

  /** The node stops; its connections are gone already. */
  stop(): void {
    this.global.stop()
    this.groups.stop()
    this.rooms.stop()
    this.nodes.stop()
  }
}
