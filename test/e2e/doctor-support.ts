/** What the tests of `skein doctor` share: running it somewhere, and looking at what it found. */
import { hostname } from 'node:os'
import * as assert from 'uvu/assert'
import { resolveConfig } from '../../src/config.ts'
import { diagnose } from '../../src/doctor/doctor.ts'
import type { Finding, FindingState } from '../../src/doctor/finding.ts'
import { systemClock } from '../../transport/clock.ts'
import { systemRandom } from '../../transport/random.ts'
import { Cli, freshSettings, jsonLines, type Spawn } from '../src/cli/cli-support.ts'
import type { TestContext } from '../support/suite.ts'

/** A machine of a test network, as far as programs run there. */
export interface Machine {
  readonly spawn: Spawn
}

/** Enough on a busy machine. */
const CHECK_MS = 40_000

export type Settings = Record<string, string>

/** Settings for hosts with a network of their own: all addresses, and discovery as told. */
export const openSettings = (discovery: string): Settings => {
  const { SKEIN_HOST: _host, ...settings } = freshSettings()
  return { ...settings, SKEIN_DISCOVERY: discovery }
}

export interface Diagnosis {
  readonly findings: readonly Finding[]
}

/** Runs it to its end, on a machine of the test or on this one. */
export const doctor = async (
  t: TestContext,
  args: readonly string[],
  settings: Settings,
  machine?: Machine,
): Promise<Diagnosis> => {
  const whole = ['doctor', '--json', ...args]
  const cli =
    machine === undefined ? new Cli(t, whole, settings) : new Cli(t, whole, settings, (...run) => machine.spawn(...run))
  const { code, stdout, stderr } = await cli.ended
  assert.is(stderr, '', 'nothing but findings')
  const findings = jsonLines(stdout) as unknown as Finding[]
  for (const finding of findings) wellFormed(finding)
  const hasFailed = findings.some(({ state }) => state === 'failed')
  assert.is(code, hasFailed ? 1 : 0, JSON.stringify(findings, null, 1))
  return { findings }
}

export interface LookHere {
  readonly seeds?: readonly string[]
  readonly identityFile?: string
  readonly port?: number
}

/** The same in this process, without the command line: quicker, and as good where only this machine's loopback is needed. */
export const lookHere = async (settings: Settings, options: LookHere = {}): Promise<Diagnosis> => {
  const { seeds, identityFile, port } = options
  const chosen = {
    logLevel: 'silent',
    ...(seeds === undefined ? {} : { discovery: { seeds } }),
    ...(port === undefined ? {} : { port }),
  } as const
  const findings: Finding[] = []
  for await (const finding of diagnose({
    config: resolveConfig(chosen, settings, hostname()),
    env: settings,
    identityFile,
    portMapping: false,
    nodes: [],
    timeoutMs: CHECK_MS,
    clock: systemClock,
    random: systemRandom,
  })) {
    wellFormed(finding)
    findings.push(finding)
  }
  return { findings }
}

/** Troubles that do not meet, made and looked at together: most of a look is waiting. */
export const atOnce = async (cases: Readonly<Record<string, () => Promise<void>>>): Promise<void> => {
  const one = async ([name, look]: [string, () => Promise<void>]): Promise<void> => {
    try {
      await look()
    } catch (cause) {
      throw new Error(`${name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    }
  }
  await Promise.all(Object.entries(cases).map(one))
}

/** Every failure says why and what to do. */
const wellFormed = (finding: Finding): void => {
  assert.ok(finding.what.length > 0)
  if (finding.state === 'ok' || finding.state === 'skipped') return
  assert.ok((finding.why ?? '').length > 0, `why? ${finding.what}`)
  assert.ok((finding.remedy ?? '').length > 0, `what to do? ${finding.what}`)
}

/** The finding that names this cause, which has that state. */
export const named = ({ findings }: Diagnosis, state: FindingState, cause: RegExp): Finding => {
  const found = findings.find((one) => one.state === state && cause.test(`${one.check}: ${one.what}`))
  assert.ok(found, `no ${state} finding ${cause}:\n${JSON.stringify(findings, null, 1)}`)
  return found as Finding
}

/** Nothing is wrong here. */
export const healthy = ({ findings }: Diagnosis): void => {
  const failures = findings.filter(({ state }) => state === 'failed')
  assert.equal(failures, [])
}

/** These alone have failed. */
export const onlyFailed = ({ findings }: Diagnosis, ...checks: readonly string[]): void => {
  const failedChecks = new Set(findings.filter(({ state }) => state === 'failed').map(({ check }) => check))
  assert.equal([...failedChecks].sort(), [...checks].sort(), JSON.stringify(findings, null, 1))
}

/** A node on a machine, up and running; gives the command. */
export const nodeOn = async (
  t: TestContext,
  machine: Machine,
  args: readonly string[],
  settings: Settings,
): Promise<Cli> => {
  const cli = new Cli(t, ['start', '--json', ...args], settings, (...run) => machine.spawn(...run))
  await cli.printed({ type: 'started' })
  return cli
}
