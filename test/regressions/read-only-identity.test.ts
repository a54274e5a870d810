/**
 * An identity in a folder that cannot be written, as a secret of Kubernetes is mounted: in the last quarter of its certificate's
 * year the node did not start any more, since the renewed certificate could not be saved.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../certs/errors.ts'
import { createIdentity, loadIdentity, saveIdentity } from '../../certs/identity.ts'
import { temporaryFolder } from '../e2e/support.ts'
import { suite } from '../support/suite.ts'

const test = suite('identity that cannot be written')

const DAY_MS = 86_400_000
const NOW_MS = Date.UTC(2026, 0, 1)
/** Root may write everywhere, but no name may be longer than 255 bytes, and what is written first has a longer one. */
const NAME = 'i'.repeat(250)

test('its certificate is renewed in memory, with the same key, and the file stays as it is', async (t) => {
  const file = join(await temporaryFolder(t), NAME)
  const identity = await createIdentity({ wallNowMs: NOW_MS })
  await writeFile(file, `${identity.privateKeyPem}${identity.certificatePem}`, { mode: 0o600 })
  assert.equal(await loadIdentity(file, { wallNowMs: NOW_MS }), identity)
  for (const days of [300, 364, 400]) {
    const wallNowMs = NOW_MS + days * DAY_MS
    const renewed = await loadIdentity(file, { wallNowMs })
    assert.is(renewed.nodeId, identity.nodeId)
    assert.is(renewed.notAfterMs, wallNowMs + 365 * DAY_MS)
  }
  assert.equal(await loadIdentity(file, { wallNowMs: NOW_MS }), identity)
  // What was asked to be saved, and is not, is told.
  const error = await saveIdentity(file, identity).catch((reason: unknown) => reason)
  assert.ok(isSkeinError(error, 'ERR_SKEIN_BAD_IDENTITY'), String(error))
})

test.run()
