/**
 * The files behind `skein certs`: the folder of an authority, and the identities for which it signs.
 *
 * Nothing is ever overwritten but the certificate in an identity, which keeps its key. The key of the authority is readable
 * by its owner alone, its certificate by everybody.
 */
import { access, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Authority, createAuthority, loadAuthority, parseAuthorities } from '../../certs/authorities.ts'
import type { Period } from '../../certs/certificate.ts'
import { isSkeinError, SkeinError } from '../../certs/errors.ts'
import { createIdentity, inspectIdentity, readIdentity, renewIdentity, saveIdentity } from '../../certs/identity.ts'
import { makeSecretFile, readSecretFile } from '../../certs/secret-file.ts'
import { readCertificates } from '../trust.ts'

const CERTIFICATE_FILE = 'ca.pem'
const KEY_FILE = 'ca-key.pem'
const READABLE_FILE = 0o644

/** What a certificate says, as it is shown. */
export interface CertificateReport extends Period {
  readonly file: string
  readonly kind: 'authority' | 'node'
  readonly id: string
  /** Who has signed it; undefined: its own key. */
  readonly signedBy: string | undefined
}

export const certificateFile = (folder: string): string => join(folder, CERTIFICATE_FILE)

/** Makes an authority. Throws ERR_SKEIN_BAD_OPTION if there is one. */
export const makeAuthority = async (folder: string, wallNowMs: number, validForMs: number): Promise<void> => {
  const { privateKeyPem, certificatePem } = await createAuthority({ wallNowMs, validForMs })
  const ours = Buffer.from(privateKeyPem)
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw unwritable(folder, cause)
  })
  const file = certificateFile(folder)
  // Its key may be kept elsewhere.
  if (await isThere(file)) throw inUse(folder)
  const kept = await makeSecretFile(join(folder, KEY_FILE), ours).catch((cause: unknown) => {
    throw isSkeinError(cause) ? cause : unwritable(join(folder, KEY_FILE), cause)
  })
  if (!ours.equals(kept)) throw inUse(folder)
  await writeFile(file, certificatePem, { flag: 'wx', mode: READABLE_FILE }).catch((cause: unknown) => {
    throw unwritable(file, cause)
  })
}

/** Throws ERR_SKEIN_BAD_AUTHORITY or ERR_SKEIN_INSECURE_FILE. */
export const openAuthority = async (folder: string): Promise<Authority> => {
  let key: Uint8Array | undefined
  try {
    key = await readSecretFile(join(folder, KEY_FILE))
  } catch (cause) {
    throw isSkeinError(cause) ? cause : unreadable(join(folder, KEY_FILE), cause)
  }
  if (key === undefined) {
    throw new SkeinError('ERR_SKEIN_BAD_AUTHORITY', `There is no authority in ${folder}.`, {
      hint: 'Make one with skein certs ca, or name its folder with --folder.',
    })
  }
  return loadAuthority(Buffer.from(key).toString(), await readCertificates(certificateFile(folder)))
}

/** Has the authority sign for the identity in `file`, which is made if there is none. */
export const issueTo = async (
  file: string,
  authority: Authority,
  wallNowMs: number,
  validForMs: number,
): Promise<void> => {
  const options = { wallNowMs, validForMs, authority }
  const found = await readIdentity(file)
  await saveIdentity(file, await (found === undefined ? createIdentity(options) : renewIdentity(found, options)))
}

/**
 * A new certificate for the identity in `file`, by the authority that has signed the one that it has.
 *
 * Throws ERR_SKEIN_BAD_IDENTITY if none has: the node renews that by itself, and would write over one from here.
 */
export const renewIn = async (
  file: string,
  open: () => Promise<Authority>,
  wallNowMs: number,
  validForMs: number,
): Promise<void> => {
  const found = await readIdentity(file)
  if (found === undefined) throw noFile(file)
  if (found.authority === undefined) {
    throw new SkeinError('ERR_SKEIN_BAD_IDENTITY', `${file} has a certificate that no authority has signed.`, {
      hint: `The node renews that one itself. To have an authority sign: skein certs issue ${file}`,
    })
  }
  const authority = await open()
  if (authority.id !== found.authority) {
    const text = `${file} has a certificate by ${found.authority}, and this authority is ${authority.id}.`
    throw new SkeinError('ERR_SKEIN_BAD_AUTHORITY', text, {
      hint: `Name the folder of the other one with --folder, or change to this one: skein certs issue ${file}`,
    })
  }
  await saveIdentity(file, await renewIdentity(found, { wallNowMs, validForMs, authority }))
}

/** What is in a file: an identity, or one or more authorities. */
export const reportsOn = async (file: string): Promise<readonly CertificateReport[]> => {
  const text = await readCertificates(file)
  if (!text.includes('PRIVATE KEY-----')) {
    return parseAuthorities(text).map(({ id, notBeforeMs, notAfterMs }) => ({
      file,
      kind: 'authority',
      id,
      signedBy: undefined,
      notBeforeMs,
      notAfterMs,
    }))
  }
  const saved = await inspectIdentity(file)
  if (saved === undefined) throw noFile(file)
  const { nodeId: id, authority: signedBy, notBeforeMs, notAfterMs } = saved
  return [{ file, kind: 'node', id, signedBy, notBeforeMs, notAfterMs }]
}

const isThere = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  )

const inUse = (folder: string): SkeinError =>
  new SkeinError('ERR_SKEIN_BAD_OPTION', `There is an authority in ${folder} already.`, {
    hint: 'Look at it with skein certs show, or name another folder with --folder.',
  })

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const unreadable = (file: string, cause: unknown): SkeinError =>
  new SkeinError('ERR_SKEIN_BAD_AUTHORITY', `${file} cannot be read: ${messageOf(cause)}`, { cause })

const unwritable = (file: string, cause: unknown): SkeinError =>
  new SkeinError('ERR_SKEIN_BAD_AUTHORITY', `${file} cannot be written: ${messageOf(cause)}`, { cause })

const noFile = (file: string): SkeinError =>
  new SkeinError('ERR_SKEIN_BAD_IDENTITY', `There is no file ${file}.`, { hint: `Make it: skein certs issue ${file}` })
