/** The file of an identity, in PEM: a key and a certificate. Some inputs are written into a file of a folder of our own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createIdentity, inspectContent, inspectIdentity } from '../../../certs/identity.ts'
import { holds, isOneIn, type Target } from '../target.ts'

/** One input in so many goes through the file: writing and opening it takes ten times as long as reading what it holds. */
const FILES = 128
const folder = mkdtempSync(join(tmpdir(), 'skein-fuzz-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const file = join(folder, 'identity.pem')
const identity = await createIdentity({ wallNowMs: Date.UTC(2030, 0, 1), random: () => Buffer.alloc(32, 1) })

export const target: Target = {
  name: 'identity',
  about: 'files that are damaged: the identity, PEM',
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
    const { privateKeyPem, certificatePem } = identity
    return Buffer.from(chance.oneIn(4) ? certificatePem + privateKeyPem : privateKeyPem + certificatePem)
  },
  run: (bytes) => {
    if (isOneIn(FILES, bytes)) return throughFile(bytes)
    holds(inspectContent(bytes).nodeId.length === 32, 'an identity has an id')
  },
}

const throughFile = async (bytes: Buffer): Promise<void> => {
  writeFileSync(file, bytes, { mode: 0o600 })
  const period = await inspectIdentity(file)
  holds(period === undefined || period.nodeId.length === 32, 'an identity has an id')
}
