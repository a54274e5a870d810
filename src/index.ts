/** `skein`: nodes and the processes on them. */
export { type Attempt, type ErrorCode, isSkeinError, SkeinError, type SkeinErrorOptions } from '../certs/errors.ts'
export type { SourceStatus } from '../discovery/source.ts'
export type { Address } from '../transport/address.ts'
export { genServer } from './behaviours/gen-server.ts'
export type {
  CallResult,
  GenServerSpec,
  Initial,
  Persistence,
  Result,
  TimeoutMessage,
} from './behaviours/gen-server-spec.ts'
export type { Machine, MachineResult } from './behaviours/state-machine/machine.ts'
export { type StateMachine, stateMachine } from './behaviours/state-machine.ts'
export { fileStore } from './behaviours/store/file.ts'
export { memoryStore } from './behaviours/store/memory.ts'
export { sqliteStore } from './behaviours/store/sqlite.ts'
export type { StateStore } from './behaviours/store/store.ts'
export type { ChildCount, ChildInfo } from './behaviours/supervisor/request.ts'
export type { ChildSpec, SupervisorOptions } from './behaviours/supervisor/spec.ts'
export { supervisor } from './behaviours/supervisor/supervisor.ts'
export { type SupervisorClient, supervisorOf } from './behaviours/supervisor/supervisor-of.ts'
export { startTask, type Task, taskMap } from './behaviours/task.ts'
export { withSchema } from './behaviours/with-schema.ts'
export type { ConnectedNode } from './cluster/peers.ts'
export type { DiscoveryOptions, Logger, LogLevel, StartOptions } from './config.ts'
export type { NodeEvent } from './event-stream.ts'
export type { SkeinNode } from './node.ts'
export { Pid, Ref, type RemoteName, type Target } from './pid.ts'
export type { Behaviour } from './process/behaviour.ts'
export type { CallMessage, CallOptions, From } from './process/calls.ts'
export type { ProcessInfo } from './process/inspection.ts'
export type { CastMessage, InfoMessage, PidOf, Request } from './process/protocol.ts'
export type { Issue, StandardSchema } from './process/schema.ts'
export type { ReceiveOptions, Self, SpawnWithOptions } from './process/self.ts'
export type { SpawnOnOptions } from './process/spawns.ts'
export type { Reason, SystemMessage } from './signals.ts'
export { startNode } from './start.ts'
export type { NodeInfo, SystemReply, SystemRequest } from './system-process.ts'
export type { WireType } from './wire/codec-types.ts'
