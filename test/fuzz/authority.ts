/** An authority (CA) that is the same in every run, and whose key is known here, so that what it has signed can be changed. */
import { X509Certificate } from 'node:crypto'
import { loadAuthority } from '../../certs/authorities.ts'
import { issueAuthority } from '../../certs/issuer.ts'
import { privateKeyFromSeed, SEED_BYTES } from '../../certs/signing-key.ts'

/** When certificates of targets are made and looked at. */
export const WALL_MS = Date.UTC(2030, 0, 1)
const LIFE_MS = 100 * 24 * 60 * 60_000

export const authorityKey = privateKeyFromSeed(Buffer.alloc(SEED_BYTES, 9))

export const authority = loadAuthority(
  authorityKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  new X509Certificate(
    await issueAuthority({ privateKey: authorityKey, notBeforeMs: WALL_MS, notAfterMs: WALL_MS + LIFE_MS }),
  ).toString(),
)
