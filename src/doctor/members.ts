/**
 * What the dials of a visit mean: who is a member, and why somebody who is there does not let this machine in.
 *
 * A Skein node is silent to whoever lacks its cookie, so silence alone says little. But its part in the DHT answers
 * anybody from the same port: an answer of the DHT together with silence of QUIC is how a wrong cookie looks.
 */

import { isIPv6 } from 'node:net'
import { CLOCK_SKEW_TOLERANCE_MS } from '../../certs/certificate.ts'
import { ERRORS, isErrorCode } from '../../certs/errors.ts'
import type { Address } from '../../transport/address.ts'
import { formatAddress } from '../../transport/address.ts'
import { copyTo } from './cookie.ts'
import { type Finding, failed, ok, repeated, warning } from './finding.ts'
import type { Sounding } from './sounding.ts'
import { type Dial, isDirect, type MemberFacts, refusalOf } from './visit.ts'

export interface MembersFacts {
  readonly dials: readonly Dial[]
  readonly members: readonly MemberFacts[]
  /** Of each dialled address, where it was asked. */
  readonly soundings: readonly Sounding[]
  /** Where the cookie is from. */
  readonly cookiePlace: string
  readonly cluster: string
}

export const checkMembers = (facts: MembersFacts): readonly Finding[] => {
  const judged = facts.dials.map((dial) => ({ dial, told: judge(dial, facts) }))
  const findings = judged.flatMap(({ told }) => told)
  const silent = judged.filter(({ dial, told }) => told.length === 0 && isSilent(dial) && dial.through !== 'local')
  const isAlone = facts.dials.every(({ result }) => result.type === 'failed')
  if (isAlone && silent.length > 0) findings.push(nobody(silent.map(({ dial }) => dial.target)))
  if (findings.length > 0) return findings
  return [
    warning(
      'members',
      'No node was found, and none was named.',
      'So nothing can be said about the way to others.',
      'Name one: skein doctor --seed HOST:PORT. Or start one: skein start --name a.',
    ),
  ]
}

const isSilent = (dial: Dial): boolean => dial.result.type === 'failed' && refusalOf(dial) === undefined

const nobody = (targets: readonly string[]): Finding =>
  failed(
    'members',
    `No member answered at ${targets.join(', ')}.`,
    'What is known of the way there stands under udp.',
    'Do what is said there; if nothing is, run skein doctor on that machine too.',
  )

const judge = (dial: Dial, facts: MembersFacts): Finding[] => {
  const { target, through, result } = dial
  if (result.type === 'up') {
    const by = through === 'discovery' ? 'found by discovery' : target
    const way = result.way === 'tcp' ? ' over TCP' : result.way === 'relay' ? ' through a relay' : ''
    const took = `connected${way} within ${result.tookMs.toFixed(0)} ms`
    return [ok('members', `${result.node} (${by}) is a member of cluster "${facts.cluster}", ${took}`)]
  }
  const refusal = refusalOf(dial)
  if (refusal === undefined) return silent(dial, facts)
  const { code, message } = refusal
  switch (code) {
    case 'ERR_SKEIN_WRONG_CLUSTER':
      // A machine may well have nodes of several clusters.
      if (through === 'local') return []
      return [
        failed(
          'members',
          `${target} belongs to another cluster than "${facts.cluster}".`,
          'It has the same cookie, but its cluster has another name.',
          'Give both the same name: --cluster NAME, or SKEIN_CLUSTER.',
        ),
      ]
    case 'ERR_SKEIN_WRONG_COOKIE':
      return [wrongCookie(target, 'It says so itself.', facts, through === 'local')]
    case 'ERR_SKEIN_CERT_EXPIRED':
      return [expired(target, message, facts)]
    case 'ERR_SKEIN_SELF':
      return []
    default:
      return through === 'local'
        ? []
        : [failed('members', `${target}: ${repeated(message)} (${repeated(code)})`, meaning(code), hint(code))]
  }
}

/** What a code means, and what to do about it, by the table of errors. */
export const meaning = (code: string): string => (isErrorCode(code) ? ERRORS[code].meaning : 'The attempt failed.')

export const hint = (code: string): string =>
  isErrorCode(code) ? ERRORS[code].hint : 'Look at the log of the node there; run skein doctor on that machine too.'

const silent = ({ target, through }: Dial, facts: MembersFacts): Finding[] => {
  const sounding = facts.soundings.find(({ address }) => formatAddress(address) === target)
  // Where nothing answered at all it is a matter of UDP, which has a finding of its own.
  if (sounding?.udp !== 'answered') return []
  const why =
    'A node of the DHT answers at this very port, so UDP is not blocked; QUIC is silent, as a Skein node is to whoever lacks its cookie. (So is a bootstrap node, which belongs to no cluster and is no seed; and so it looks where datagrams of 1200 bytes and more get lost.)'
  return [wrongCookie(target, why, facts, through === 'local')]
}

const wrongCookie = (target: string, why: string, facts: MembersFacts, isLocal = false): Finding => {
  const what = `Wrong cookie: ${target} does not accept that of ${facts.cookiePlace}.`
  const remedy = `The tags that skein doctor shows on both machines must be equal; if they are not, ${copyTo(facts.cookiePlace)}. If they are, look at what drops large datagrams or QUIC on the way.`
  return isLocal ? warning('cookie', what, why, remedy) : failed('cookie', what, why, remedy)
}

/** Either the certificate is old, or one of the two clocks is wrong: then the clock's own finding says which. */
const expired = (target: string, message: string, { members }: MembersFacts): Finding => {
  const clock = members.find((member) => isAt(member, target))?.clock
  const said = repeated(message.slice(Math.max(0, message.lastIndexOf('The certificate'))))
  if (Math.abs(clock?.aheadMs ?? 0) > CLOCK_SKEW_TOLERANCE_MS) {
    return failed(
      'members',
      `${target} cannot be connected: ${said}.`,
      'Its clock and that of this machine differ too much.',
      SEE_CLOCK,
    )
  }
  return failed(
    'certificate',
    `Expired certificate: ${target} shows one that is not valid now. ${said}.`,
    clock !== undefined
      ? 'The clocks agree, so the node there has run for longer than its certificate lasts, or was given an old one.'
      : 'The node there has run for longer than its certificate lasts, or one of the two clocks is wrong.',
    'Start that node again: it renews its certificate. Run skein doctor --identity FILE there to see its file.',
  )
}

/** It was reached by this name, or at the host of this address. */
const isAt = ({ name, host }: MemberFacts, target: string): boolean =>
  name === target || target.startsWith(isIPv6(host) ? `[${host}]:` : `${host}:`)

const SEE_CLOCK = 'Set the clock, as the finding about the clock says.'

/** Whether UDP went to this address and back, whoever is there. */
export const isProven = (dials: readonly Dial[], address: Address): boolean =>
  dials.some((dial) => {
    if (dial.target !== formatAddress(address)) return false
    return dial.result.type === 'up' ? isDirect(dial.result.way) : refusalOf(dial)?.what === dial.target
  })
