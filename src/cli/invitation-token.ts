/**
 * The token of an invitation: one line that somebody pastes on another machine.
 *
 * It holds a secret made for this one invitation, the time until which it is good, and addresses to try. Cluster and cookie
 * of the meeting follow from the secret: who does not have it meets the silence that every stranger meets, and who has it
 * can reach nothing but the process that hands over the real cookie once. The checksum finds mistyped characters; it is
 * no protection, the secret is.
 *
 * Layout: version (1 byte), end in seconds since 1970 (4, big endian), secret (32), addresses (text, separated by
 * commas), the first 4 bytes of the SHA-256 of all before. As base64url without padding (RFC 4648 section 5); the version
 * makes it begin with "A", so that no token looks like an option.
 */
import { createHash } from 'node:crypto'
import { SkeinError } from '../../certs/errors.ts'
import { hkdfSha256 } from '../../certs/keys.ts'
import { type Address, formatAddress, parseHostPort } from '../../transport/address.ts'
import { DEFAULT_PORT } from '../discovery-config.ts'

export const SECRET_BYTES = 32
/** Addresses in a token: enough for every interface that matters, and the line stays one that can be pasted. */
export const MAX_TOKEN_ADDRESSES = 8

const VERSION = 1
const SALT = 'skein invitation v1'
const HEAD_BYTES = 1 + 4 + SECRET_BYTES
const CHECKSUM_BYTES = 4
/** Host names have up to 253 characters, ports 5. */
const MAX_ADDRESSES_BYTES = MAX_TOKEN_ADDRESSES * 260
/** Four characters stand for three bytes. */
const MAX_TOKEN_CHARACTERS = Math.ceil(((HEAD_BYTES + MAX_ADDRESSES_BYTES + CHECKSUM_BYTES) * 4) / 3)
/** What hosts and ports are written with, and nothing that means more to a shell or a terminal: they are printed. */
const ADDRESS = /^[\w.:%[\]-]{1,300}$/
const CLUSTER_TAG_BYTES = 8
const COOKIE_BYTES = 32

export interface Invitation {
  readonly secret: Uint8Array
  /** Milliseconds since 1970, whole seconds. */
  readonly endMs: number
  /** Where to try, in this order; a host may be a name. */
  readonly addresses: readonly Address[]
}

/** Where inviter and invited meet: a cluster that nobody else is in. */
export interface MeetingPlace {
  readonly cluster: string
  readonly cookie: Uint8Array
}

/** There may be at most MAX_TOKEN_ADDRESSES addresses. */
export const encodeToken = ({ secret, endMs, addresses }: Invitation): string => {
  const end = Buffer.alloc(4)
  end.writeUInt32BE(Math.floor(endMs / 1000))
  const text = addresses.map(formatAddress).join(',')
  const body = Buffer.concat([Buffer.of(VERSION), end, secret, Buffer.from(text)])
  return Buffer.concat([body, checksumOf(body)]).toString('base64url')
}

/** Throws ERR_SKEIN_BAD_INVITATION, which says what is wrong with the token. */
export const decodeToken = (token: string): Invitation => {
  if (token.length > MAX_TOKEN_CHARACTERS) throw bad('it is too long to be one')
  if (!/^[A-Za-z0-9_-]+$/.test(token)) throw bad('it holds characters that no token has')
  const bytes = Buffer.from(token, 'base64url')
  if (bytes.length < HEAD_BYTES + CHECKSUM_BYTES) throw bad('it is too short')
  const body = bytes.subarray(0, -CHECKSUM_BYTES)
  if (!checksumOf(body).equals(bytes.subarray(-CHECKSUM_BYTES))) {
    throw bad('its checksum does not fit, so a character is missing or mistyped')
  }
  if (body[0] !== VERSION) throw bad(`it has version ${body[0]}, and this program knows version ${VERSION}`)
  const text = body.subarray(HEAD_BYTES).toString('utf8')
  const parts = text === '' ? [] : text.split(',')
  if (parts.length > MAX_TOKEN_ADDRESSES) throw bad('it holds too many addresses')
  return {
    endMs: body.readUInt32BE(1) * 1000,
    secret: new Uint8Array(body.subarray(1 + 4, HEAD_BYTES)),
    addresses: parts.map((part) => addressIn(part)),
  }
}

export const meetingPlaceOf = (secret: Uint8Array): MeetingPlace => {
  const tag = hkdfSha256(secret, SALT, 'cluster', CLUSTER_TAG_BYTES)
  return {
    cluster: `skein.invite.${Buffer.from(tag).toString('hex')}`,
    cookie: hkdfSha256(secret, SALT, 'cookie', COOKIE_BYTES),
  }
}

/** An address as invitations hand it over: host:port, [v6]:port or a host, in ASCII. */
export const isPlainAddress = (text: string): boolean => {
  if (!ADDRESS.test(text)) return false
  try {
    parseHostPort(text, DEFAULT_PORT)
    return true
  } catch {
    return false
  }
}

const addressIn = (text: string): Address => {
  try {
    if (ADDRESS.test(text)) return parseHostPort(text)
  } catch {
    // As any other text.
  }
  throw bad('it holds something that is no address')
}

const checksumOf = (bytes: Uint8Array): Buffer =>
  createHash('sha256').update(bytes).digest().subarray(0, CHECKSUM_BYTES)

const bad = (why: string): SkeinError =>
  new SkeinError('ERR_SKEIN_BAD_INVITATION', `This is no token of an invitation: ${why}.`)
