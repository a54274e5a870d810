/**
 * Node names: `name@host`, for people. A name without a host gets this machine's.
 */
import { SkeinError } from '../../certs/errors.ts'

/** Its length is one byte on the wire. */
export const MAX_NODE_NAME_BYTES = 255

const LOCAL_PART = /^[A-Za-z0-9_.-]{1,64}$/
const HOST_PART = /^[A-Za-z0-9_.:%-]{1,253}$/

export const isNodeName = (text: string): boolean => {
  const at = text.indexOf('@')
  return (
    text.length <= MAX_NODE_NAME_BYTES &&
    at > 0 &&
    LOCAL_PART.test(text.slice(0, at)) &&
    HOST_PART.test(text.slice(at + 1))
  )
}

/** True for what may stand before the @, and for a cluster name. */
export const isShortName = (text: string): boolean => LOCAL_PART.test(text)

/** `name@host` as it is, `name` with `@host` added. Throws ERR_SKEIN_BAD_NAME. */
export const fullNodeName = (text: string, host: string): string => {
  const full = text.includes('@') ? text : `${text}@${host}`
  if (isNodeName(full)) return full
  throw new SkeinError('ERR_SKEIN_BAD_NAME', `"${text.slice(0, 100)}" is not a node name.`)
}

export const hostOfNodeName = (name: string): string => name.slice(name.indexOf('@') + 1)
