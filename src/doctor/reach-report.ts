/**
 * What a node tells of its way to another: `skein doctor A B` asks both ends, since each sees its own side only.
 *
 * The node connects to the other one if it is not connected, as it would for a message, and changes nothing else. It takes
 * names alone, no addresses: nobody shall make it knock at places of his choice.
 */
import { isIP } from 'node:net'
import { type Attempt, isSkeinError } from '../../certs/errors.ts'
import { NAT_CLASSES, type NatClass } from '../../discovery/source.ts'
import { type Address, isPort } from '../../transport/address.ts'
import type { WayKind } from '../../transport/way.ts'
import type { ConnectedNode } from '../cluster/connected-node.ts'
import { isNodeName } from '../cluster/node-name.ts'
import { safeMessage, safeText } from '../safe-text.ts'

export type WayName = WayKind | 'tcp'

const WAY_KINDS: readonly WayName[] = ['port', 'socket', 'relay', 'tcp']

/** Of one error. */
const MAX_ATTEMPTS = 32

export interface ReachReport {
  /** Where its packets come from, and by which way; undefined: there is no connection. */
  readonly connection: { readonly address: Address; readonly way: WayName } | undefined
  /** Why there is none. */
  readonly code: string | undefined
  readonly message: string | undefined
  readonly attempts: readonly Attempt[]
  /** What stands before the node that tells, by its own account. */
  readonly nat: NatClass
}

/** What the report needs of its node. */
export interface ReachHost {
  connectedNodes(): readonly ConnectedNode[]
  connect(name: string): Promise<string>
  nat(): NatClass
}

/** Tries to reach a node. Never rejects; takes as long as a connect does. */
export const reportReach = async (host: ReachHost, name: unknown): Promise<ReachReport> => {
  const nat = host.nat()
  if (typeof name !== 'string' || !isNodeName(name)) {
    const message = 'The name of a node, name@host, is needed.'
    return { connection: undefined, code: 'ERR_SKEIN_BAD_NAME', message, attempts: [], nat }
  }
  try {
    await host.connect(name)
  } catch (error) {
    const message = safeMessage(error)
    const { code, attempts } = isSkeinError(error) ? error : { code: 'ERROR', attempts: [] }
    return { connection: undefined, code, message, attempts: attempts.slice(0, MAX_ATTEMPTS), nat }
  }
  const found = host.connectedNodes().find((one) => one.name === name)
  if (found === undefined) {
    const message = 'The connection was lost as soon as it was there.'
    return { connection: undefined, code: 'ERR_SKEIN_CONNECTION_LOST', message, attempts: [], nat }
  }
  const connection = { address: found.address, way: found.way }
  return { connection, code: undefined, message: undefined, attempts: [], nat }
}

/** A report that came from another node: anything may stand there. Undefined for what is none. */
export const readReport = (value: unknown): ReachReport | undefined => {
  if (typeof value !== 'object' || value === null) return undefined
  const said = value as { readonly [K in keyof ReachReport]?: unknown }
  const attempts = Array.isArray(said.attempts) ? said.attempts.slice(0, MAX_ATTEMPTS).flatMap(readAttempt) : []
  const { address: at, way } = recordOf(said.connection)
  const address = readAddress(at)
  return {
    connection: address && { address, way: wayOf(way) },
    code: textOf(said.code),
    message: textOf(said.message),
    attempts,
    nat: NAT_CLASSES.find((one) => one === said.nat) ?? 'unknown',
  }
}

/** Nodes of earlier versions know no ways but their port. */
export const wayOf = (value: unknown): WayName => WAY_KINDS.find((kind) => kind === value) ?? 'port'

/** A literal address that somebody told; undefined for what is none. */
export const readAddress = (value: unknown): Address | undefined => {
  const { host, port } = recordOf(value)
  const isSound = typeof host === 'string' && isIP(host) !== 0 && isPort(port) && port > 0
  return isSound ? { host, port } : undefined
}

const recordOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

const readAttempt = (value: unknown): Attempt[] => {
  if (typeof value !== 'object' || value === null) return []
  const { what, code, message } = value as { readonly [K in keyof Attempt]?: unknown }
  return [{ what: safeText(what), code: safeText(code), message: safeText(message) }]
}
