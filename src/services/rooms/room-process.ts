/**
 * A room on one node: a process that is in the room's group and writes what is broadcast to the sockets here.
 *
 * It never waits for a socket, so it takes what comes as fast as it comes. Nobody else can end it.
 */
import type { Pid } from '../../pid.ts'
import type { Traits } from '../../process/behaviour.ts'
import type { Guard } from '../../process/rights.ts'
import type { StandardSchema } from '../../process/schema.ts'
import type { Self, SpawnWithOptions } from '../../process/self.ts'
import { serve } from '../../process/serve.ts'
import type { RoomSocket } from './socket.ts'

/** What is broadcast, as it travels. */
export interface Broadcast {
  readonly type: 'broadcast'
  readonly data: string | Uint8Array
}

/** Broadcast from this node, to all sockets here but some. */
export class BroadcastHere {
  readonly data: string | Uint8Array
  readonly except: ReadonlySet<RoomSocket>

  constructor(data: string | Uint8Array, except: ReadonlySet<RoomSocket>) {
    this.data = data
    this.except = except
  }
}

/** Of other nodes only broadcasts are taken. */
const BROADCASTS: StandardSchema<unknown, Broadcast> = {
  '~standard': {
    version: 1,
    vendor: 'skein',
    validate: (value) => (isBroadcast(value) ? { value } : { issues: [{ message: 'A room takes broadcasts only.' }] }),
  },
}

const isBroadcast = (value: unknown): value is Broadcast =>
  typeof value === 'object' &&
  value !== null &&
  'type' in value &&
  value.type === 'broadcast' &&
  'data' in value &&
  isData(value.data)

export const isData = (data: unknown): data is string | Uint8Array =>
  typeof data === 'string' || data instanceof Uint8Array

type Spawn = (behaviour: ((self: Self<unknown>) => void) & { traits: Traits }, options: SpawnWithOptions) => Pid

const NOBODY: ReadonlySet<RoomSocket> = new Set<RoomSocket>()

export class RoomProcess {
  readonly pid: Pid
  #self: Self<unknown> | undefined
  #isOver = false

  constructor(room: string, spawn: Spawn, write: (data: string | Uint8Array, except: ReadonlySet<RoomSocket>) => void) {
    const run = (self: Self<unknown>): void => {
      this.#self = self
      if (this.#isOver) this.end()
      serve(self, (entry) => {
        if (entry instanceof BroadcastHere) write(entry.data, entry.except)
        else if (isBroadcast(entry)) write(entry.data, NOBODY)
      })
    }
    const schema = { info: BROADCASTS, cast: NEVER, call: NEVER }
    const guard: Guard = { subject: 'rooms', name: room }
    const traits: Traits = { serves: true, guarded: true, guard, schema, label: `room ${room}` }
    this.pid = spawn(Object.assign(run, { traits }), {})
  }

  end(): void {
    this.#isOver = true
    try {
      this.#self?.exit('normal')
    } catch {
      // That is how an exit unwinds a function; here there is nothing to unwind.
    }
  }
}

const NEVER: StandardSchema<never> = {
  '~standard': {
    version: 1,
    vendor: 'skein',
    validate: () => ({ issues: [{ message: 'A room takes broadcasts only.' }] }),
  },
}
