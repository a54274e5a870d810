/**
 * The specification of a child of a distributed supervisor: a behaviour by name, for nodes that have it, and its arguments.
 *
 * Arguments are kept as bytes, so that a standby can keep what it does not understand, and what cannot cross to another
 * node is refused where it is given.
 */
import { SkeinError } from '../../../certs/errors.ts'
import type { Restart, Shutdown } from '../../behaviours/supervisor/spec.ts'
import { isShortName } from '../../cluster/node-name.ts'
import { isVersion } from '../../process/catalogue.ts'
import type { Codec } from '../../wire/codec.ts'
import { isGlobalName } from '../global/claim.ts'

/** A whole chunk of a board has to fit into a message. */
const MAX_ARGS_BYTES = 16_384
const MAX_ID_LENGTH = 128
const DEFAULT_SHUTDOWN_MS = 5000
/** Who wants a child to end can wait so long at most. */
const MAX_SHUTDOWN_MS = 3_600_000

/** A child of a distributed supervisor: which behaviour runs once in the cluster, and how it is restarted and ended. */
export interface DistributedChildSpec {
  /** Unique in this supervisor: 1 to 128 characters, none of them a control character. */
  readonly id: string
  /** As nodes have it by `node.behaviour`. */
  readonly behaviour: string
  /** Kept with the child; they have to cross the wire, in at most 16 KiB. */
  readonly args?: readonly unknown[]
  /** Only where the behaviour has exactly this version. */
  readonly version?: string
  /** Started again: always, unless it ended with normal or shutdown, or never. Default: permanent. */
  readonly restart?: Restart
  /** How it is ended: shutdown, and kill after so many milliseconds; or kill at once. Default: 5000. */
  readonly shutdown?: Exclude<Shutdown, 'infinity'>
}

/** With nothing left open, as it travels. */
export interface KeptSpec {
  readonly behaviour: string
  /** '' for any. */
  readonly version: string
  readonly args: Uint8Array
  readonly restart: Restart
  /** 0: kill at once. */
  readonly shutdownMs: number
}

/** Throws ERR_SKEIN_BAD_ARGUMENT, or why the arguments cannot be kept. */
export const keepSpec = (given: unknown, codec: Codec): { readonly id: string; readonly spec: KeptSpec } => {
  must(typeof given === 'object' && given !== null, 'A child specification is an object.')
  const {
    id,
    behaviour,
    args = [],
    version,
    restart = 'permanent',
    shutdown = DEFAULT_SHUTDOWN_MS,
  } = given as Record<string, unknown>
  must(isId(id), `The "id" of a child has 1 to ${MAX_ID_LENGTH} characters, without control characters.`)
  must(typeof behaviour === 'string' && isShortName(behaviour), `"behaviour" of "${id}" is the name of one.`)
  must(version === undefined || isVersion(version), `"version" of "${id}" is no version.`)
  must(Array.isArray(args), `"args" of "${id}" is a list.`)
  must(isRestart(restart), `"restart" of "${id}" is permanent, transient or temporary.`)
  must(shutdown === 'brutalKill' || isDuration(shutdown), `"shutdown" of "${id}" is milliseconds, or "brutalKill".`)
  const bytes = Uint8Array.from(codec.encode(args))
  must(bytes.length <= MAX_ARGS_BYTES, `"args" of "${id}" take more than ${MAX_ARGS_BYTES} bytes.`)
  const shutdownMs = shutdown === 'brutalKill' ? 0 : shutdown
  return { id, spec: { behaviour, version: (version as string | undefined) ?? '', args: bytes, restart, shutdownMs } }
}

/** What another node sent; undefined if it is none. */
export const readSpec = (given: unknown): KeptSpec | undefined => {
  if (typeof given !== 'object' || given === null) return undefined
  const { behaviour, version, args, restart, shutdownMs } = given as Record<string, unknown>
  const isSound =
    typeof behaviour === 'string' &&
    isShortName(behaviour) &&
    (version === '' || isVersion(version)) &&
    args instanceof Uint8Array &&
    args.length <= MAX_ARGS_BYTES &&
    isRestart(restart) &&
    isDuration(shutdownMs)
  return isSound ? { behaviour, version: version as string, args, restart, shutdownMs } : undefined
}

/** It is to be a part of a global name. */
export const isId = (id: unknown): id is string =>
  typeof id === 'string' && id.length <= MAX_ID_LENGTH && isGlobalName(id)

const isRestart = (value: unknown): value is Restart =>
  value === 'permanent' || value === 'transient' || value === 'temporary'

const isDuration = (value: unknown): value is number =>
  typeof value === 'number' && value >= 0 && value <= MAX_SHUTDOWN_MS

function must(condition: boolean, message: string): asserts condition {
  if (!condition) throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', message)
}
