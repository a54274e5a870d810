/**
 * What a user may set about rights: the option `allow`. See config.ts, of which this is a part.
 */
import { SkeinError } from '../certs/errors.ts'
import { isNodeId } from '../certs/node-id.ts'
import { nearestOf } from './nearest-name.ts'
import { bad, checkKeys, isRecord, oneOf } from './option-checks.ts'
import type { Names } from './process/name-set.ts'
import { type AllowRule, PRESETS, type Preset } from './process/rights.ts'

const MAX_RULES = 1000
const MAX_PATTERNS = 1000
/** As names of nodes and ids, with stars. */
const NODE_PATTERN = /^[A-Za-z0-9_.:%@*-]{1,255}$/
/** As names of behaviours, with stars. */
const BEHAVIOUR_PATTERN = /^[A-Za-z0-9_.*-]{1,64}$/
/** As global names, groups with their scopes, and rooms, with stars. */
const NAME_PATTERN = /^[^\p{Cc}\p{Cs}]{1,255}$/u
const RULE_KEYS = [
  'nodes',
  'spawn',
  'send',
  'register',
  'groups',
  'rooms',
  'observe',
  'supervise',
  'unnamed',
  'attach',
] as const satisfies readonly (keyof AllowRule)[]

/** As Allow, checked and complete. */
export interface ResolvedAllow {
  readonly preset: Preset
  readonly rules: readonly AllowRule[]
}

/** Throws ERR_SKEIN_BAD_OPTION. What is given is copied: changing it later changes no rights. */
export const resolveAllow = (value: unknown): ResolvedAllow => {
  if (value === undefined) return { preset: 'default', rules: [] }
  if (typeof value === 'string') return { preset: oneOf('allow', PRESETS, value), rules: [] }
  if (!isRecord(value)) return { preset: 'default', rules: rules('allow', value) }
  checkKeys(value, ['preset', 'rules'], 'option allow.')
  const { preset, rules: given = [] }: { preset?: unknown; rules?: unknown } = value
  return { preset: oneOf('allow.preset', PRESETS, preset), rules: rules('allow.rules', given) }
}

const rules = (what: string, value: unknown): readonly AllowRule[] => {
  if (!Array.isArray(value) || value.length > MAX_RULES) throw bad(what, `a list of at most ${MAX_RULES} rules`, value)
  return value.map((rule: unknown, index) => resolveRule(`${what}[${index}]`, rule))
}

const resolveRule = (what: string, rule: unknown): AllowRule => {
  if (!isRecord(rule)) throw bad(what, 'a rule { nodes, spawn, send, ... }', rule)
  checkKeys(rule, RULE_KEYS, `option ${what}.`)
  const given: { readonly [K in keyof AllowRule]?: unknown } = rule
  if (RULE_KEYS.every((key) => key === 'nodes' || given[key] === undefined)) {
    throw new SkeinError('ERR_SKEIN_BAD_OPTION', `${what} allows and forbids nothing.`, {
      hint: `Give it one or more of ${RULE_KEYS.slice(1).join(', ')}.`,
    })
  }
  const checked = patterns(
    `${what}.nodes`,
    typeof given.nodes === 'string' ? [given.nodes] : given.nodes,
    NODE_PATTERN,
    'node names or ids',
  )
  // Taken for a name it would match nobody, and what the rule forbids would be allowed.
  const shouted = checked.find((one) => one !== one.toLowerCase() && isNodeId(one.toLowerCase()))
  if (shouted !== undefined) throw bad(`${what}.nodes`, 'a node id in small letters', shouted)
  const { observe, unnamed, attach } = given
  return {
    nodes: checked,
    ...namesOf(what, 'spawn', given.spawn, BEHAVIOUR_PATTERN),
    ...namesOf(what, 'send', given.send),
    ...namesOf(what, 'register', given.register),
    ...namesOf(what, 'groups', given.groups),
    ...namesOf(what, 'rooms', given.rooms),
    ...namesOf(what, 'supervise', given.supervise),
    ...(observe === undefined ? {} : { observe: oneOf(`${what}.observe`, ['all', 'nodes', 'none'] as const, observe) }),
    ...(unnamed === undefined ? {} : { unnamed: oneOf(`${what}.unnamed`, ['all', 'none'] as const, unnamed) }),
    ...(attach === undefined ? {} : { attach: oneOf(`${what}.attach`, ['all', 'none'] as const, attach) }),
  }
}

const namesOf = (
  what: string,
  subject: 'spawn' | 'send' | 'register' | 'groups' | 'rooms' | 'supervise',
  value: unknown,
  form = NAME_PATTERN,
): Partial<AllowRule> => (value === undefined ? {} : { [subject]: names(`${what}.${subject}`, value, form) })

const names = (what: string, value: unknown, form: RegExp): Names => {
  if (value === 'all' || value === 'none') return value
  if (typeof value !== 'string') return patterns(what, value, form, 'names', true)
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
