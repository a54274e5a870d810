/** `skein/certs`: who a node is and how it proves membership. */
export { type Authority, createAuthority, loadAuthority } from './authorities.ts'
export { type VerifiedPeer, verifyCertificate } from './certificate.ts'
export { type CookieOptions, type ResolvedCookie, resolveCookie } from './cookie.ts'
export {
  type Attempt,
  ERRORS,
  type ErrorCode,
  isSkeinError,
  SkeinError,
  type SkeinErrorOptions,
} from './errors.ts'
export { type CreateIdentityOptions, createIdentity, type Identity, loadIdentity, renewIdentity } from './identity.ts'
export {
  fingerprintOf,
  Keyring,
  MAX_ACCEPTED,
  type RingChange,
  type RingEntry,
  type RingKeys,
  type RingView,
} from './keyring.ts'
export { type ClusterKeys, deriveKeys } from './keys.ts'
export { nodeIdOf } from './node-id.ts'
