/**
 * Runs children on this node for the leaders of supervisors, here or elsewhere.
 *
 * A child's process is there before its function runs: it waits at a gate until its global name is registered. So a child
 * that somebody else runs already never runs a line here, and one that runs can be found and has its token. What became of
 * each child stands on the board for whoever leads, now or later; nothing is decided here. A child that lost its name in a
 * conflict is no failure: its entry goes, because the other one runs.
 */
import { type ErrorCode, isSkeinError, SkeinError } from '../../../certs/errors.ts'
import type { Clock, Timer } from '../../../transport/clock.ts'
import type { Pid, Ref } from '../../pid.ts'
import type { Behaviour, Traits } from '../../process/behaviour.ts'
import type { NamedBehaviour } from '../../process/catalogue.ts'
import type { Process } from '../../process/process.ts'
import type { Processes } from '../../process/processes.ts'
import { INSIDE, type Self } from '../../process/self.ts'
import { serve } from '../../process/serve.ts'
import { onceStarted } from '../../process/starts.ts'
import { isOrderly } from '../../signals.ts'
import type { Codec } from '../../wire/codec.ts'
import { type ChannelPeer, NOTHING } from '../channel.ts'
import { type Answer, MAX_STATE_BYTES, type Order } from './messages.ts'
import type { Names } from './names.ts'
import { nameOfChild, type SlotFacts, type SlotStatus, shorten } from './slot.ts'

const PROCESS = 'skein.children'
/** Children on one node. */
const MAX_SLOTS = 65_536
/** Its init has to be through by then. */
const START_TIMEOUT_MS = 30_000
/** A name is asked for again while somebody who ends still has it. */
const NAME_PATIENCE_MS = 2000
const NAME_RETRY_MS = 50
/** Between the loss of a name and the end of a child that did not take it for one. */
const CONFLICT_GRACE_MS = 500
/** How long a child may take to give its state. */
const STATE_TIMEOUT_MS = 5000

/** Who gives orders; undefined: this node. */
export type Member = ChannelPeer | undefined

/** What the agent needs of its node. */
export interface AgentHost {
  readonly clock: Clock
  readonly processes: Processes
  readonly codec: Codec
  readonly names: Names
  isDraining(): boolean
  /** Writes it on the board; undefined takes it off. */
  tell(supervisor: string, id: string, facts: SlotFacts | undefined): void
  answer(to: Member, answer: Answer): void
  defect(error: unknown): void
}

interface Slot {
  /** Without the state it was started with. */
  readonly order: Omit<StartOrder, 'state'>
  /** Who gave the order. */
  readonly asker: Member
  readonly process: Process
  readonly ref: Ref
  /** What the process waits for: false, and it ends. */
  readonly gate: (open: boolean) => void
  readonly handOver: unknown
  status: SlotStatus
  end: { readonly orderly: boolean; readonly reason: string }
  /** handed over. */
  state: Uint8Array | undefined
  keepsState: boolean
  /** Its state was asked for, and the answer is not here. */
  isAsked: boolean
  unmovable: boolean
  /** In the background: when the node stops nobody may be left here to cancel it. */
  timer: Timer | undefined
}

type StartOrder = Extract<Order, { type: 'start' }>

export class Agent {
  readonly #host: AgentHost
  readonly #slots = new Map<string, Slot>()
  readonly #byRef = new Map<string, Slot>()
  #self: Self<unknown> | undefined

  constructor(host: AgentHost) {
    this.#host = host
    const run = (self: Self<unknown>): void => {
      this.#self = self
      serve(self, (entry) => this.#take(entry))
    }
    const label = 'runs the children of distributed supervisors'
    const traits: Traits = { serves: true, guarded: true, schema: { info: NOTHING, cast: NOTHING }, label }
    host.processes.spawn(Object.assign(run, { traits }), { name: PROCESS })
  }

  /** Children here that have not moved, by their global names. */
  remaining(): { readonly name: string; readonly unmovable: boolean }[] {
    return Array.from(this.#slots, ([name, { unmovable }]) => ({ name, unmovable }))
  }

  /** An order of the leader on that node. */
  take(asker: Member, order: Order): void {
    if (order.type === 'start') {
      this.#start(asker, order)
      return
    }
    const slot = this.#slots.get(nameOfChild(order.supervisor, order.id))
    if (slot === undefined || slot.order.run !== order.run) {
      const { supervisor, id, run } = order
      // So that nobody waits for what is not here.
      if (order.type === 'fetch') this.#host.answer(asker, { type: 'state', supervisor, id, run })
      return
    }
    switch (order.type) {
      case 'stop':
        if (slot.status === 'starting' || slot.status === 'running') void this.#stop(slot, order.handOver)
        return
      case 'fetch': {
        const { supervisor, id, run } = slot.order
        const { state } = slot
        this.#host.answer(asker, { type: 'state', supervisor, id, run, ...(state === undefined ? {} : { state }) })
        return
      }
      case 'noted':
        if (slot.status === 'ended' || slot.status === 'handed') this.#remove(slot)
        return
      case 'unmovable':
        slot.unmovable = true
    }
  }

  /** A child that heeds exits ends when it loses its name; one that does not is ended here. */
  nameChanged(name: string): void {
    const slot = this.#slots.get(name)
    if (slot === undefined || !this.#hasLost(slot, name)) return
    this.#host.clock.after(
      CONFLICT_GRACE_MS,
      () => {
        if (this.#hasLost(slot, name)) void this.#stop(slot, false)
      },
      true,
    )
  }

  #hasLost({ process, status }: Slot, name: string): boolean {
    const holder = this.#host.names.whereis(name)
    return status === 'running' && holder !== undefined && !holder.equals(process.pid)
  }

  #start(asker: Member, order: StartOrder): void {
    const { supervisor, id, run } = order
    const name = nameOfChild(supervisor, id)
    const known = this.#slots.get(name)
    try {
      // Said twice.
      if (known?.order.run === run) return
      if (known !== undefined && known.status !== 'ended' && known.status !== 'handed') {
        throw new SkeinError('ERR_SKEIN_CHILD_RUNNING', `"${name}" is ${known.status} here.`)
      }
      if (this.#host.isDraining()) throw draining()
      if (this.#slots.size >= MAX_SLOTS) {
        throw new SkeinError('ERR_SKEIN_LIMIT', `This node runs ${MAX_SLOTS} children of distributed supervisors.`)
      }
      const slot = this.#spawn(asker, order)
      if (known !== undefined) this.#remove(known)
      this.#slots.set(name, slot)
      this.#byRef.set(slot.ref.key, slot)
      this.#tell(slot)
      void this.#admit(slot, name)
    } catch (error) {
      if (!isSkeinError(error)) this.#host.defect(error)
      this.#failed(asker, order, error)
    }
  }

  /** The process, before the gate. Throws why there is none. */
  #spawn(asker: Member, order: StartOrder): Slot {
    const { processes, codec, clock } = this.#host
    const { state, ...kept } = order
    const { supervisor, id, spec } = kept
    if (this.#self === undefined) throw new SkeinError('ERR_SKEIN_STOPPED', 'This node has not begun.')
    if (asker !== undefined) processes.rights.checkSpawn(asker.pid.origin, spec.behaviour, '')
    const behaviour = processes.catalogue.get(spec.behaviour, spec.version)
    if (behaviour.traits?.guarded === true) {
      throw new SkeinError('ERR_SKEIN_FORBIDDEN', `"${spec.behaviour}" is guarded: nobody could end it.`)
    }
    const args = codec.decode(spec.args, 0, spec.args.length)
    if (!Array.isArray(args)) throw new SkeinError('ERR_SKEIN_BAD_MESSAGE', `The arguments of "${id}" are no list.`)
    if (state !== undefined) args.push(codec.decode(state, 0, state.length))
    let gate = (_open: boolean): void => {}
    const admitted = new Promise<boolean>((resolve) => {
      gate = resolve
    })
    const { process: own, services } = this.#self[INSIDE]
    const { process, ref } = services.spawnMonitor(own, gated(behaviour, admitted), args)
    const { names } = this.#host
    const name = nameOfChild(supervisor, id)
    let token = ''
    process.supervised = {
      supervisor,
      id,
      name,
      get token() {
        // A child that has lost its name keeps the token that resources refuse.
        if (names.whereis(name)?.equals(process.pid) === true) token = names.token(name) ?? token
        return token
      },
    }
    const slot: Slot = {
      order: kept,
      asker,
      process,
      ref,
      gate,
      handOver: processes.catalogue.handOverOf(spec.behaviour),
      status: 'starting',
      end: { orderly: true, reason: '' },
      state: undefined,
      keepsState: false,
      isAsked: false,
      unmovable: false,
      timer: undefined,
    }
    slot.timer = clock.after(START_TIMEOUT_MS, () => this.#end(slot, 'kill'), true)
    onceStarted(process, (outcome) => {
      if (outcome === 'started' && process.traits.announces === true) this.#running(slot)
    })
    return slot
  }

  /** Registers the name and lets the function run. */
  async #admit(slot: Slot, name: string): Promise<void> {
    const { names, clock } = this.#host
    const untilMs = clock.now() + NAME_PATIENCE_MS
    for (;;) {
      if (slot.process.ended !== undefined || slot.status !== 'starting') break
      try {
        await names.register(name, slot.process.pid)
        // It was told to end meanwhile.
        if (slot.status !== 'starting') break
        slot.gate(true)
        if (slot.process.traits.announces !== true) this.#running(slot)
        return
      } catch (error) {
        if (slot.process.ended !== undefined || slot.status !== 'starting') break
        if (!isSkeinError(error, 'ERR_SKEIN_NAME_REGISTERED') || clock.now() >= untilMs) {
          this.#failed(slot.asker, slot.order, error)
          slot.status = 'stopping'
          this.#end(slot, 'shutdown')
          break
        }
      }
      await new Promise<void>((go) => clock.after(NAME_RETRY_MS, go, true))
    }
    slot.gate(false)
  }

  #running(slot: Slot): void {
    if (slot.status !== 'starting' || slot.process.ended !== undefined) return
    slot.timer?.cancel()
    slot.status = 'running'
    this.#tell(slot)
  }

  async #stop(slot: Slot, handOver: boolean): Promise<void> {
    const { clock } = this.#host
    const { shutdownMs } = slot.order.spec
    const hasState = handOver && slot.handOver !== undefined && slot.status === 'running'
    slot.timer?.cancel()
    slot.status = 'stopping'
    slot.keepsState = handOver
    this.#tell(slot)
    if (hasState) {
      slot.isAsked = true
      slot.state = await this.#stateOf(slot)
      slot.isAsked = false
      // Its end was heard of before its answer was read.
      if (!this.#byRef.has(slot.ref.key)) this.#handed(slot)
    }
    if (slot.process.ended !== undefined) return
    this.#end(slot, shutdownMs === 0 ? 'kill' : 'shutdown')
    if (slot.process.ended === undefined) slot.timer = clock.after(shutdownMs, () => this.#end(slot, 'kill'), true)
  }

  async #stateOf({ process, handOver }: Slot): Promise<Uint8Array | undefined> {
    const { processes, codec, defect } = this.#host
    try {
      const state = await processes.call(process.pid as Pid<never>, handOver as never, { timeoutMs: STATE_TIMEOUT_MS })
      const bytes = Uint8Array.from(codec.encode(state))
      if (bytes.length <= MAX_STATE_BYTES) return bytes
      throw new SkeinError('ERR_SKEIN_LIMIT', `A state of ${bytes.length} bytes cannot be handed over.`)
    } catch (error) {
      defect(error)
      return undefined
    }
  }

  #take(entry: unknown): void {
    if (!isDown(entry)) return
    const slot = this.#byRef.get(entry.ref.key)
    if (slot === undefined || slot.process.ended === undefined) return
    this.#byRef.delete(entry.ref.key)
    this.#ended(slot, slot.process.ended.reason)
  }

  #ended(slot: Slot, reason: unknown): void {
    slot.timer?.cancel()
    slot.gate(false)
    slot.end = { orderly: isOrderly(reason), reason: inWords(reason) }
    if (isSkeinError(reason, 'ERR_SKEIN_NAME_CONFLICT')) return this.#remove(slot)
    switch (slot.status) {
      case 'starting':
        // Whatever the reason's code is, it is the child's: it says nothing about this node.
        this.#failed(slot.asker, slot.order, reason, 'ERR_SKEIN_START_FAILED')
        return this.#remove(slot)
      case 'running':
        slot.status = 'ended'
        return this.#tell(slot)
      case 'stopping':
        if (!slot.keepsState) return this.#remove(slot)
        if (!slot.isAsked) this.#handed(slot)
    }
  }

  #handed(slot: Slot): void {
    slot.status = 'handed'
    this.#tell(slot)
  }

  #failed(asker: Member, { supervisor, id, run }: Slot['order'], error: unknown, code = codeOf(error)): void {
    this.#host.answer(asker, { type: 'failed', supervisor, id, run, code, text: inWords(error) })
  }

  #end({ process }: Slot, reason: 'shutdown' | 'kill'): void {
    this.#host.processes.exit(process.pid, reason)
  }

  #remove(slot: Slot): void {
    const { supervisor, id } = slot.order
    const name = nameOfChild(supervisor, id)
    if (this.#slots.get(name) !== slot) return
    this.#slots.delete(name)
    this.#host.tell(supervisor, id, undefined)
  }

  #tell(slot: Slot): void {
    const { order, process, status, end } = slot
    const { supervisor, id, run } = order
    if (this.#slots.get(nameOfChild(supervisor, id)) !== slot) return
    this.#host.tell(supervisor, id, { run, pid: process.pid, status, ...end })
  }
}

/** The behaviour behind a gate. */
const gated = (behaviour: NamedBehaviour, admitted: Promise<boolean>): Behaviour<unknown, unknown[]> => {
  const run = async (self: Self<unknown>, ...args: unknown[]): Promise<void> => {
    if (await admitted) await behaviour(self, ...args)
  }
  return Object.assign(run, behaviour.traits === undefined ? {} : { traits: behaviour.traits })
}

const draining = (): SkeinError =>
  new SkeinError('ERR_SKEIN_DRAINING', 'This node is about to leave and starts nothing more.')

const codeOf = (error: unknown): ErrorCode => (isSkeinError(error) ? error.code : 'ERR_SKEIN_START_FAILED')

const inWords = (reason: unknown): string => shorten(reason instanceof Error ? reason.message : String(reason))

const isDown = (entry: unknown): entry is { readonly ref: Ref } =>
  typeof entry === 'object' && entry !== null && 'type' in entry && entry.type === 'DOWN'
