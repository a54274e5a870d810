/**
 * The option `ca`: the authorities whose signature a node asks for, read when it starts.
 *
 * A node whose own certificate they have not signed does not start: with the same option elsewhere nobody would let it in,
 * and it is better told here, once, than by refusals on every other node.
 */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { parseAuthorities, type TrustedAuthority, voucherOf } from '../certs/authorities.ts'
import { isSkeinError, SkeinError } from '../certs/errors.ts'
import type { Identity } from '../certs/identity.ts'
import { refuseIfWritable } from './config-file.ts'

/** As many authorities as may be, and as much again for what people write beside them. */
const MAX_FILE_BYTES = 64 * 1024

/** `ca` is a file, or the PEM itself. Throws ERR_SKEIN_BAD_AUTHORITY or ERR_SKEIN_INSECURE_FILE. */
export const trustedBy = async (
  ca: string | undefined,
  identity: Identity,
  wallNowMs: number,
): Promise<readonly TrustedAuthority[] | undefined> => {
  if (ca === undefined) return undefined
  const authorities = parseAuthorities(ca.includes('-----BEGIN') ? ca : await readCertificates(ca))
  if (voucherOf(authorities, identity.certificate, wallNowMs) !== undefined) return authorities
  const names = authorities.map(({ id }) => id).join(', ')
  const signer = identity.authority ?? 'the node itself'
  throw new SkeinError(
    'ERR_SKEIN_BAD_AUTHORITY',
    `Trusted is ${names}, but the certificate of this node is signed by ${signer}, or one of the two has ended.`,
    {
      hint: 'Where the authority is: skein certs issue node.pem; then start with --identity node.pem (option identity).',
    },
  )
}

/**
 * The text of a file with certificates, which is no secret; but who can change it decides who is let in. Throws
 * ERR_SKEIN_BAD_AUTHORITY, or ERR_SKEIN_INSECURE_FILE if everybody can.
 */
export const readCertificates = async (file: string): Promise<string> => {
  try {
    // As in certs/secret-file.ts: opening a pipe must not wait for somebody to write into it.
    const handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    try {
      const stats = await handle.stat()
      if (!stats.isFile()) throw new Error('it is not a regular file')
      refuseIfWritable(file, stats.mode)
      if (stats.size > MAX_FILE_BYTES) throw new Error(`it is larger than ${MAX_FILE_BYTES} bytes`)
      return await handle.readFile('utf8')
    } finally {
      await handle.close()
    }
  } catch (cause) {
    if (isSkeinError(cause)) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new SkeinError('ERR_SKEIN_BAD_AUTHORITY', `${file} cannot be read: ${why}`, { cause })
  }
}
