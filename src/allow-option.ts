/**
 * What a user may set about rights: the option `allow`. See config.ts, of which this is a part.
 */
import { SkeinError } from '../certs/errors.ts'
import { isNodeId } from '../certs/node-id.ts'
import { nearestOf } from './nearest-name.ts'
import { bad, checkKeys, isRecord } from './option-checks.ts'
import type { AllowRule, Names } from './process/rights.ts'

const MAX_RULES = 1000
const MAX_PATTERNS = 1000
/** As names of nodes and ids, and of processes, with stars. */
const NODE_PATTERN = /^[A-Za-z0-9_.:%@*-]{1,255}$/
const NAME_PATTERN = /^[A-Za-z0-9_.*-]{1,64}$/
const RULE_KEYS = ['nodes', 'spawn', 'send'] as const satisfies readonly (keyof AllowRule)[]

/** Throws ERR_SKEIN_BAD_OPTION. What is given is copied: changing it later changes no rights. */
export const resolveAllow = (value: unknown): readonly AllowRule[] => {
  if (value === undefined) return []
  if (!Array.isArray(value) || value.length > MAX_RULES)
    throw bad('allow', `a list of at most ${MAX_RULES} rules`, value)
  return value.map((rule: unknown, index) => resolveRule(`allow[${index}]`, rule))
}

const resolveRule = (what: string, rule: unknown): AllowRule => {
  if (!isRecord(rule)) throw bad(what, 'a rule { nodes, spawn, send }', rule)
  checkKeys(rule, RULE_KEYS, `option ${what}.`)
  const { nodes, spawn, send }: { nodes?: unknown; spawn?: unknown; send?: unknown } = rule
  if (spawn === undefined && send === undefined) {
    throw new SkeinError('ERR_SKEIN_BAD_OPTION', `${what} allows and forbids nothing.`, {
      hint: 'Give it spawn, send or both.',
    })
  }
  const checked = patterns(
    `${what}.nodes`,
    typeof nodes === 'string' ? [nodes] : nodes,
    NODE_PATTERN,
    'node names or ids',
  )
  // Taken for a name it would match nobody, and what the rule forbids would be allowed.
  const shouted = checked.find((one) => one !== one.toLowerCase() && isNodeId(one.toLowerCase()))
  if (shouted !== undefined) throw bad(`${what}.nodes`, 'a node id in small letters', shouted)
  return {
    nodes: checked,
    ...(spawn === undefined ? {} : { spawn: names(`${what}.spawn`, spawn) }),
    ...(send === undefined ? {} : { send: names(`${what}.send`, send) }),
  }
}

const names = (what: string, value: unknown): Names => {
  if (value === 'all' || value === 'none') return value
  if (typeof value !== 'string') return patterns(what, value, NAME_PATTERN, 'names', true)
  const nearest = nearestOf(value, ['all', 'none']) ?? `['${value.slice(0, 64)}']`
  const text = `${what} must be all, none or a list of names, not "${value.slice(0, 100)}".`
  throw new SkeinError('ERR_SKEIN_BAD_OPTION', text, { hint: `Did you mean ${nearest}?` })
}

const patterns = (what: string, value: unknown, form: RegExp, of: string, mayBeEmpty = false): readonly string[] => {
  const isList = Array.isArray(value) && value.length <= MAX_PATTERNS && (mayBeEmpty || value.length > 0)
  if (!isList) throw bad(what, `a list of ${mayBeEmpty ? 'at most' : '1 to'} ${MAX_PATTERNS} ${of}`, value)
  const wrong: unknown = value.find((one: unknown) => typeof one !== 'string' || !form.test(one))
  if (wrong !== undefined) throw bad(what, `a list of ${of}, in which * stands for any characters`, wrong)
  return [...(value as string[])]
}
