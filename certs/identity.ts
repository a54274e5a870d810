/**
 * Who this node is: an Ed25519 key, the id that follows from it, and a certificate for TLS made by the node itself.
 *
 * The key is the identity and stays; certificates come and go with it. One that an authority has signed is renewed by that
 * authority alone. A saved identity is one PEM file: the key, then the certificate. Processes that start at once with the
 * same file end with the same key. Nothing here says that the node may join a cluster: see cookie.ts and proof.ts.
 */
import { createPrivateKey, type KeyObject, randomBytes, X509Certificate } from 'node:crypto'
import type { Authority } from './authorities.ts'
import { CLOCK_SKEW_TOLERANCE_MS, parseCertificate } from './certificate.ts'
import { SkeinError } from './errors.ts'
import { issueCertificate } from './issuer.ts'
import { makeSecretFile, readSecretFile, replaceSecretFile } from './secret-file.ts'
import { privateKeyFromSeed, SEED_BYTES } from './signing-key.ts'

const DAY_MS = 24 * 60 * 60_000
/** Nobody has to trust a certificate for longer than the key behind it, so this only bounds how long a node may run. */
const DEFAULT_VALIDITY_MS = 365 * DAY_MS
/** A certificate with less left than this is renewed: a saved one when it is loaded, that of a running node while it runs. */
export const RENEW_BEFORE_MS = 90 * DAY_MS

/** A node's key with its certificate. Whoever has the private key is the node. */
export interface Identity {
  /** Hash of the public key, see node-id.ts. */
  readonly nodeId: string
  /** Raw Ed25519 key, 32 bytes. */
  readonly publicKey: Uint8Array
  /** PKCS #8. */
  readonly privateKeyPem: string
  readonly certificatePem: string
  /** The same certificate, DER. */
  readonly certificate: Uint8Array
  /** The certificate's end, milliseconds since 1970. */
  readonly notAfterMs: number
  /** The authority that has signed the certificate; undefined: the node itself. */
  readonly authority?: string | undefined
}

/** What `createIdentity` takes. */
export interface CreateIdentityOptions {
  /** Milliseconds since 1970: the certificate starts here. */
  readonly wallNowMs: number
  /** Source of the key; the same 32 bytes give the same identity. Default: the system's. */
  readonly random?: (count: number) => Uint8Array
  /** How long the certificate lasts, milliseconds. Default: 365 days. An authority's ends no later than itself. */
  readonly validForMs?: number
  /** Who signs the certificate. Default: the node itself. */
  readonly authority?: Authority
}

/** A new identity in memory. */
export const createIdentity = async (options: CreateIdentityOptions): Promise<Identity> => {
  const { random = randomBytes } = options
  return certify(privateKeyFromSeed(random(SEED_BYTES)), options)
}

/** The same key with a certificate that starts now: what a node does that runs for longer than its certificate lasts. */
export const renewIdentity = (identity: Identity, options: Omit<CreateIdentityOptions, 'random'>): Promise<Identity> =>
  certify(createPrivateKey(identity.privateKeyPem), options)

/**
 * The identity in `file`, made if there is no such file, its certificate renewed if it nears its end or starts in the
 * future (a clock was wrong); in memory alone where the file cannot be written. A certificate of an authority stays as it is.
 *
 * Throws ERR_SKEIN_INSECURE_FILE if other users can read the file, ERR_SKEIN_BAD_IDENTITY if it holds something else,
 * cannot be read or made, or has a certificate of an authority that has ended.
 */
export const loadIdentity = async (file: string, options: { readonly wallNowMs: number }): Promise<Identity> => {
  try {
    const content = (await readSecretFile(file)) ?? (await makeSecretFile(file, encode(await createIdentity(options))))
    const saved = decode(content)
    if (isFresh(saved, options.wallNowMs)) return saved.identity
    if (saved.identity.authority !== undefined) return notEnded(saved.identity, options.wallNowMs)
    const renewed = await renewIdentity(saved.identity, options)
    // Where a secret is mounted read-only, as Kubernetes does: the key is what counts, and the next start renews again.
    await replaceSecretFile(file, encode(renewed)).catch(() => {})
    return renewed
  } catch (cause) {
    throw unusable(file, cause)
  }
}

/** It nears its end, or begins in the future, and the node can do something about it. */
export const isDueForRenewal = (identity: Identity, wallNowMs: number): boolean =>
  identity.authority === undefined &&
  !isFresh({ identity, notBeforeMs: parseCertificate(identity.certificate).notBeforeMs }, wallNowMs)

/**
 * Puts a renewed identity into the file it came from. Throws ERR_SKEIN_INSECURE_FILE, or ERR_SKEIN_BAD_IDENTITY if the file
 * holds another key by now, or an authority's certificate where this one is the node's own, or cannot be written; then it
 * is as it was.
 */
export const saveIdentity = async (file: string, identity: Identity): Promise<void> => {
  try {
    const content = await readSecretFile(file)
    const saved = content && decode(content).identity
    if (saved !== undefined && saved.nodeId !== identity.nodeId) {
      throw new Error('it holds the key of another node by now')
    }
    if (saved?.authority !== undefined && identity.authority === undefined) {
      throw new Error('it holds a certificate of an authority by now')
    }
    await replaceSecretFile(file, encode(identity))
  } catch (cause) {
    throw unusable(file, cause)
  }
}

class Ended extends Error {}

const notEnded = (identity: Identity, wallNowMs: number): Identity => {
  if (identity.notAfterMs >= wallNowMs) return identity
  const end = new Date(identity.notAfterMs).toISOString()
  throw new Ended(`its certificate by ${identity.authority} ended at ${end}`)
}

const unusable = (file: string, cause: unknown): SkeinError => {
  if (cause instanceof SkeinError && cause.code === 'ERR_SKEIN_INSECURE_FILE') return cause
  const why = cause instanceof Error ? cause.message : String(cause)
  const hint = cause instanceof Ended ? { hint: `Where the authority is: skein certs renew ${file}` } : {}
  return new SkeinError('ERR_SKEIN_BAD_IDENTITY', `The identity in ${file} cannot be used: ${why}`, { cause, ...hint })
}

/** What a saved certificate says of itself. */
export interface SavedPeriod {
  readonly nodeId: string
  /** Undefined: it is signed by the node itself. */
  readonly authority: string | undefined
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** Looks at the identity in `file` without making or renewing anything; undefined if there is none. Throws as `loadIdentity`. */
export const inspectIdentity = async (file: string): Promise<SavedPeriod | undefined> => {
  const saved = await read(file)
  return saved && periodOf(saved)
}

/** The identity in `file`, also one that has ended; undefined if there is none. Throws as `loadIdentity`. */
export const readIdentity = async (file: string): Promise<Identity | undefined> => (await read(file))?.identity

const read = async (file: string): Promise<SavedIdentity | undefined> => {
  try {
    const content = await readSecretFile(file)
    return content === undefined ? undefined : decode(content)
  } catch (cause) {
    throw unusable(file, cause)
  }
}

/** @internal For the fuzzer: what a file with these bytes says, without a file. Throws ERR_SKEIN_BAD_IDENTITY. */
export const inspectContent = (content: Uint8Array): SavedPeriod => {
  try {
    return periodOf(decode(content))
  } catch (cause) {
    throw unusable('memory', cause)
  }
}

const periodOf = ({ identity, notBeforeMs }: SavedIdentity): SavedPeriod => {
  const { nodeId, authority, notAfterMs } = identity
  return { nodeId, authority, notBeforeMs, notAfterMs }
}

interface SavedIdentity {
  readonly identity: Identity
  readonly notBeforeMs: number
}

const isFresh = ({ identity, notBeforeMs }: SavedIdentity, wallNowMs: number): boolean =>
  notBeforeMs <= wallNowMs + CLOCK_SKEW_TOLERANCE_MS && identity.notAfterMs >= wallNowMs + RENEW_BEFORE_MS

const certify = async (
  privateKey: KeyObject,
  { wallNowMs, validForMs = DEFAULT_VALIDITY_MS, authority }: CreateIdentityOptions,
): Promise<Identity> => {
  if (authority !== undefined && authority.notAfterMs <= wallNowMs) {
    const end = new Date(authority.notAfterMs).toISOString()
    throw new SkeinError('ERR_SKEIN_BAD_AUTHORITY', `The authority ${authority.id} ended at ${end} and signs no more.`)
  }
  const certificate = await issueCertificate({
    privateKey,
    authorityKey: authority && createPrivateKey(authority.privateKeyPem),
    notBeforeMs: wallNowMs,
    notAfterMs: Math.min(wallNowMs + validForMs, authority?.notAfterMs ?? Number.POSITIVE_INFINITY),
  })
  return assemble(privateKey, certificate).identity
}

/** Puts an identity together, making sure that the certificate is sound and belongs to the key. */
const assemble = (privateKey: KeyObject, certificate: Uint8Array): SavedIdentity => {
  const { peer, authority, notBeforeMs, notAfterMs } = parseCertificate(certificate)
  const x509 = new X509Certificate(certificate)
  if (!x509.checkPrivateKey(privateKey)) throw new Error('the certificate belongs to another key')
  const identity: Identity = {
    nodeId: peer.nodeId,
    publicKey: peer.publicKey,
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificatePem: x509.toString(),
    certificate: peer.certificate,
    notAfterMs,
    authority,
  }
  return { identity, notBeforeMs }
}

const encode = (identity: Identity): Uint8Array =>
  new TextEncoder().encode(identity.privateKeyPem + identity.certificatePem)

const decode = (content: Uint8Array): SavedIdentity => {
  const pem = Buffer.from(content)
  // The certificate first: OpenSSL takes far longer to refuse a key.
  const { raw } = new X509Certificate(pem)
  return assemble(createPrivateKey(pem), new Uint8Array(raw))
}
