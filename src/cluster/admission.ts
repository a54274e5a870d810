/**
 * Who is let in besides having the cookie: everybody but the revoked, or nobody but those on a list, or those for whom an
 * authority has signed a certificate.
 *
 * The lists are of ids, which are hashes of keys, and all of it is this node's alone: no message of a member changes it. A
 * revoked node that still has the cookie can come back under a new id, so revoking goes with another cookie, or a list.
 */
import { type TrustedAuthority, voucherOf } from '../../certs/authorities.ts'
import { SkeinError } from '../../certs/errors.ts'
import { isNodeId } from '../../certs/node-id.ts'
import type { Clock } from '../../transport/clock.ts'
import type { Refusal } from './handshake.ts'

/** Ids that are revoked, or on the list. */
export const MAX_ADMISSION_IDS = 65_536

const REVOKED: Refusal = { code: 'ERR_SKEIN_REVOKED', message: 'This node has been revoked.' }
const UNTRUSTED: Refusal = {
  code: 'ERR_SKEIN_CERT_UNTRUSTED',
  message: 'No trusted authority has signed the certificate of this node.',
}
const NOT_LISTED: Refusal = { code: 'ERR_SKEIN_NOT_ADMITTED', message: 'This node is not on the list of members.' }

/** Whether a session ended because one side does not let in the other: somebody may try again and again. */
export const isBarring = (code: unknown): boolean =>
  [REVOKED, UNTRUSTED, NOT_LISTED].some((refusal) => refusal.code === code)

export interface AdmissionOptions {
  readonly revoked?: readonly string[] | undefined
  /** Undefined: no list, anybody. */
  readonly members?: readonly string[] | undefined
  /** Undefined: certificates signed by the nodes themselves will do. */
  readonly authorities?: readonly TrustedAuthority[] | undefined
  readonly clock: Pick<Clock, 'wallNow'>
}

export class Admission {
  readonly #selfId: string
  readonly #revoked: Set<string>
  readonly #members: ReadonlySet<string> | undefined
  readonly #authorities: readonly TrustedAuthority[] | undefined
  readonly #clock: Pick<Clock, 'wallNow'>

  constructor(selfId: string, { revoked = [], members, authorities, clock }: AdmissionOptions) {
    this.#selfId = selfId
    this.#revoked = new Set(revoked)
    this.#members = members && new Set(members)
    this.#authorities = authorities
    this.#clock = clock
  }

  /** Why this node is not let in. `certificate` is the one that TLS has proven, DER. */
  refusal(id: string, certificate: Uint8Array | undefined): Refusal | undefined {
    if (this.#revoked.has(id)) return REVOKED
    if (!this.admits(id)) return NOT_LISTED
    if (this.#authorities === undefined) return undefined
    const isVouchedFor =
      certificate !== undefined && voucherOf(this.#authorities, certificate, this.#clock.wallNow()) !== undefined
    return isVouchedFor ? undefined : UNTRUSTED
  }

  admits(id: string): boolean {
    return !this.#revoked.has(id) && (this.#members === undefined || this.#members.has(id) || id === this.#selfId)
  }

  /** False: it was revoked before. Throws ERR_SKEIN_BAD_ARGUMENT, ERR_SKEIN_SELF or ERR_SKEIN_LIMIT. */
  revoke(id: string): boolean {
    if (typeof id !== 'string' || !isNodeId(id)) {
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', `"${String(id).slice(0, 100)}" is no id of a node.`)
    }
    if (id === this.#selfId) throw new SkeinError('ERR_SKEIN_SELF', 'A node does not revoke itself.')
    if (this.#revoked.has(id)) return false
    if (this.#revoked.size >= MAX_ADMISSION_IDS) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `${MAX_ADMISSION_IDS} nodes are revoked.`, {
        hint: 'Change the cookie, or admit none but the option "members".',
      })
    }
    this.#revoked.add(id)
    return true
  }

  /** False: it was not revoked. */
  unrevoke(id: string): boolean {
    return this.#revoked.delete(id)
  }

  /** In the order in which they were. */
  revoked(): string[] {
    return [...this.#revoked]
  }
}
