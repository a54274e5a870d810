/**
 * The file that keeps a node's key and certificate: readable by its owner alone, key and certificate belong together, the
 * certificate in its period. It is only looked at; loading it is what renews it.
 */

import { CLOCK_SKEW_TOLERANCE_MS, endsSoon } from '../../certs/certificate.ts'
import { isSkeinError } from '../../certs/errors.ts'
import { inspectIdentity, type SavedPeriod } from '../../certs/identity.ts'
import { type Finding, failed, ok, skipped, unexpected, warning } from './finding.ts'

const DAY_MS = 24 * 60 * 60_000

export const checkIdentity = async (file: string | undefined, wallNowMs: number): Promise<readonly Finding[]> => {
  if (file === undefined) {
    return [
      skipped('identity', 'No identity file was named: a node without one makes a new key at every start.', NAME_IT),
    ]
  }
  let period: SavedPeriod | undefined
  try {
    period = await inspectIdentity(file)
  } catch (error) {
    if (!isSkeinError(error)) return [unexpected('identity', error)]
    return [failed('identity', `${error.message} (${error.code})`, 'A node does not start with it.', error.hint)]
  }
  if (period === undefined) {
    return [ok('identity', `There is no file ${file} yet; the first start makes it`)]
  }
  const { nodeId, authority, notBeforeMs, notAfterMs } = period
  const renewal = authority === undefined ? undefined : `Where the authority is: skein certs renew ${file}.`
  const [begins, ends] = [date(notBeforeMs), date(notAfterMs)]
  if (wallNowMs > notAfterMs) {
    return [
      failed(
        'certificate',
        `Expired certificate: that in ${file} ended at ${ends}, ${days(wallNowMs - notAfterMs)} ago.`,
        'A node that has run with it since refuses nobody, but all others refuse it (ERR_SKEIN_CERT_EXPIRED).',
        renewal ?? 'Start the node again: it renews the certificate and keeps the key, if it may write the file.',
      ),
    ]
  }
  if (wallNowMs + CLOCK_SKEW_TOLERANCE_MS < notBeforeMs) {
    return [
      failed(
        'certificate',
        `The certificate in ${file} is not valid before ${begins}.`,
        'The clock of this machine is behind, or was ahead when the certificate was made.',
        'Set the clock (timedatectl set-ntp true), then start the node again: it renews the certificate.',
      ),
    ]
  }
  const what = `${file} holds key and certificate of node ${nodeId}, valid until ${ends}`
  // A node that has run for so long that its certificate is near the end should start again.
  if (!endsSoon(period, wallNowMs)) return [ok('identity', what)]
  const why = `In ${days(notAfterMs - wallNowMs)} other nodes begin to refuse a node that still runs with it.`
  return [warning('certificate', what, why, renewal ?? 'Start the node again before then: it renews the certificate.')]
}

const NAME_IT = 'Name the file of the option identity with --identity FILE to have it looked at.'

const date = (ms: number): string => new Date(ms).toISOString()

const days = (ms: number): string => {
  const count = Math.floor(ms / DAY_MS)
  return count === 1 ? '1 day' : `${count} days`
}
