/**
 * What the supervision services of two nodes say to each other, beside their boards: orders of a leader to the node that
 * is to run a child, and what becomes of them where the board does not say it.
 */
import { ERRORS, type ErrorCode } from '../../../certs/errors.ts'
import { isShortName } from '../../cluster/node-name.ts'
import { nonsense } from '../channel.ts'
import { isId, type KeptSpec, readSpec } from './child-spec.ts'
import { isRun, shorten } from './slot.ts'

/** Of a state that is handed over. */
export const MAX_STATE_BYTES = 1_048_576

interface About {
  readonly supervisor: string
  readonly id: string
  /** Which start of the child; no two are called alike. */
  readonly run: string
}

export type Order =
  | (About & { readonly type: 'start'; readonly spec: KeptSpec; readonly state?: Uint8Array })
  /** handOver: its state is to be kept for the next one. */
  | (About & { readonly type: 'stop'; readonly handOver: boolean })
  /** Wants the state that was kept. */
  | (About & { readonly type: 'fetch' })
  /** The leader knows what became of it: its entry may go. */
  | (About & { readonly type: 'noted' })
  /** It cannot be moved: no other node could run it. */
  | (About & { readonly type: 'unmovable' })

export type Answer =
  /** Nothing was started, or it ended before it had started. */
  | (About & { readonly type: 'failed'; readonly code: ErrorCode; readonly text: string })
  | (About & { readonly type: 'state'; readonly state?: Uint8Array })

/** Throws ERR_SKEIN_PROTOCOL. */
export const readMessage = (message: unknown): Order | Answer => {
  const fields = (typeof message === 'object' && message !== null ? message : {}) as Record<string, unknown>
  const { type, supervisor, id, run } = fields
  const isSound = typeof supervisor === 'string' && isShortName(supervisor) && isId(id) && isRun(run)
  if (!isSound) throw nonsense('what is no order')
  const about = { supervisor, id, run }
  switch (type) {
    case 'fetch':
    case 'noted':
    case 'unmovable':
      return { type, ...about }
    case 'stop':
      return { type, ...about, handOver: fields.handOver === true }
    case 'start': {
      const spec = readSpec(fields.spec)
      if (spec !== undefined) return { type, ...about, spec, ...readState(fields.state) }
      break
    }
    case 'state':
      return { type, ...about, ...readState(fields.state) }
    case 'failed': {
      const { code, text } = fields
      if (isCode(code) && typeof text === 'string') return { type, ...about, code, text: shorten(text) }
    }
  }
  throw nonsense('what is no order')
}

const readState = (state: unknown): { readonly state?: Uint8Array } => {
  if (state === undefined) return {}
  if (state instanceof Uint8Array && state.length <= MAX_STATE_BYTES) return { state }
  throw nonsense('a state that is none')
}

const isCode = (code: unknown): code is ErrorCode => typeof code === 'string' && Object.hasOwn(ERRORS, code)
