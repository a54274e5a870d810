/** Files in PEM: an identity, a key and a certificate; authorities. Some inputs are written into a file of a folder of our own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAuthorities } from '../../../certs/authorities.ts'
import { createIdentity, inspectContent, inspectIdentity } from '../../../certs/identity.ts'
import { authority, WALL_MS } from '../authority.ts'
import { holds, isOneIn, type Target, tried } from '../target.ts'

/** One input in so many goes through the file: writing and opening it takes ten times as long as reading what it holds. */
const FILES = 128
const folder = mkdtempSync(join(tmpdir(), 'skein-fuzz-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const file = join(folder, 'identity.pem')
const identities = await Promise.all([
  createIdentity({ wallNowMs: WALL_MS, random: () => Buffer.alloc(32, 1) }),
  createIdentity({ wallNowMs: WALL_MS, random: () => Buffer.alloc(32, 2), authority }),
])

export const target: Target = {
  name: 'identity',
  about: 'files that are damaged: the identity and authorities, PEM',
  isSlow: true,
  dictionary: [
    '-----BEGIN PRIVATE KEY-----\n',
    '-----END PRIVATE KEY-----\n',
    '-----BEGIN CERTIFICATE-----\n',
    '=',
    '\n',
    'RSA ',
    'ENCRYPTED ',
  ],
  sample: (chance) => {
    if (chance.oneIn(4)) return Buffer.from(authority.certificatePem.repeat(1 + chance.below(3)))
    const { privateKeyPem, certificatePem } = chance.pick(identities)
    return Buffer.from(chance.oneIn(4) ? certificatePem + privateKeyPem : privateKeyPem + certificatePem)
  },
  run: (bytes) => {
    if (isOneIn(FILES, bytes)) return throughFile(bytes)
    const authorities = tried(() => parseAuthorities(bytes.toString()))
    for (const { id } of authorities ?? []) holds(id === authority.id, 'an authority has the name of its key')
    holds(inspectContent(bytes).nodeId.length === 32, 'an identity has an id')
  },
}

const throughFile = async (bytes: Buffer): Promise<void> => {
  writeFileSync(file, bytes, { mode: 0o600 })
  const period = await inspectIdentity(file)
  holds(period === undefined || period.nodeId.length === 32, 'an identity has an id')
}
