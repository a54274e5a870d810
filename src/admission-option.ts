/**
 * What a user may set about who is let in: the options `revoked` and `members`. See config.ts, of which this is a part.
 */
import { isNodeId } from '../certs/node-id.ts'
import { MAX_ADMISSION_IDS } from './cluster/admission.ts'
import { bad } from './option-checks.ts'

/** Copied. Throws ERR_SKEIN_BAD_OPTION. */
export const resolveIds = (what: 'revoked' | 'members', value: unknown): readonly string[] | undefined => {
  if (value === undefined) return undefined
  if (!Array.isArray(value) || value.length > MAX_ADMISSION_IDS)
    throw bad(what, `a list of at most ${MAX_ADMISSION_IDS} node ids`, value)
  const wrong: unknown = value.find((one: unknown) => typeof one !== 'string' || !isNodeId(one))
  if (wrong !== undefined) throw bad(what, 'a list of node ids, 32 small letters and digits each', wrong)
  return [...(value as string[])]
}
