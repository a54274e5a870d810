/**
 * `skein doctor [NODE] [NODE]`: what stands in the way of this machine's nodes, and what to do about it.
 *
 * Findings come from src/doctor; here they are asked for and shown. The exit code is 1 if one of them is a failure.
 */
import { hostname } from 'node:os'
import { type Command, Option } from 'commander'
import { parseHostPort } from '../../transport/address.ts'
import { systemClock } from '../../transport/clock.ts'
import { systemRandom } from '../../transport/random.ts'
import { fullNodeName } from '../cluster/node-name.ts'
import { isAddressTarget } from '../cluster/node-target.ts'
import { processEnvironment } from '../config.ts'
import { loadConfig } from '../config-file.ts'
import { DEFAULT_PORT } from '../discovery-config.ts'
import { diagnose } from '../doctor/doctor.ts'
import type { Finding, FindingState } from '../doctor/finding.ts'
import { Failed } from './failure.ts'
import { addHelp } from './help.ts'
import { addClusterOptions, type ClusterOptions, parseMilliseconds, parsePort, toSettings } from './options.ts'
import { type Palette, palette, printJson, printLine } from './output.ts'

/** The longest check looks for members, and again with another calendar where certificates are refused. */
const DEFAULT_TIMEOUT_MS = 25_000
const COLUMN = 12

interface DoctorCommandOptions extends ClusterOptions {
  readonly port?: number
  readonly identity?: string
  readonly portMapping?: boolean
  readonly timeout?: number
}

export const addDoctor = (program: Command): void => {
  const command = program
    .command('doctor')
    .description('look for what keeps nodes apart, here, on the way to a node, or between two nodes')
    .argument('[node]', 'a node that should be reached from here: name, name@host or ip:port')
    .argument('[other]', 'a second node, which the first should reach')
    .option('--port <port>', 'UDP port that a node is to have here (default: 4433)', parsePort)
    .option('--identity <file>', 'file with the key and certificate of a node, to be looked at')
    .addOption(new Option('--port-mapping', 'ask the router whether it maps ports'))
    .option('--timeout <ms>', `how long each check may take (default: ${DEFAULT_TIMEOUT_MS})`, parseMilliseconds)
  addClusterOptions(command).action(
    (node: string | undefined, other: string | undefined, options: DoctorCommandOptions) =>
      run(
        [node, other].filter((one) => one !== undefined),
        options,
      ),
  )
  addHelp(
    command,
    [
      { command: 'skein doctor', does: 'this machine and its network' },
      { command: 'skein doctor b', does: 'and the way from here to b' },
      { command: 'skein doctor a b', does: 'and the way from a to b' },
      { command: 'skein doctor --json | jq -r .remedy', does: 'for scripts; the exit code tells as well' },
    ],
    'The exit code is 1 if something was found that keeps nodes apart.',
  )
}

const run = async (nodes: readonly string[], options: DoctorCommandOptions): Promise<void> => {
  for (const node of nodes) checkTarget(node)
  const { cookieFile, port, identity, portMapping = false, timeout = DEFAULT_TIMEOUT_MS, json = false } = options
  // The file is looked at, not used: it may be that of a node which runs.
  const { identity: _file, ...shared } = toSettings(options)
  const settings = { ...shared, ...(port === undefined ? {} : { port }) }
  const { config, environment } = await loadConfig(settings, processEnvironment(), hostname())
  const { SKEIN_COOKIE: _, ...others } = environment
  const findings = diagnose({
    config,
    // A file that is named wins over what the environment says, as for every command.
    env: cookieFile === undefined ? environment : { ...others, SKEIN_COOKIE_FILE: cookieFile },
    identityFile: identity,
    portMapping,
    nodes,
    timeoutMs: timeout,
    clock: systemClock,
    random: systemRandom,
  })
  const counts: Record<FindingState, number> = { ok: 0, warning: 0, failed: 0, skipped: 0 }
  const paint = palette()
  for await (const finding of findings) {
    counts[finding.state]++
    if (json) printJson(finding)
    else for (const line of linesOf(finding, paint)) printLine(line)
  }
  if (!json) printLine(summary(counts))
  if (counts.failed > 0) throw new Failed('something is wrong')
}

/** Throws ERR_SKEIN_BAD_NAME or ERR_SKEIN_BAD_ADDRESS. */
const checkTarget = (text: string): void => {
  if (isAddressTarget(text)) parseHostPort(text, DEFAULT_PORT)
  else fullNodeName(text, hostname())
}

const MARKS: Readonly<Record<FindingState, string>> = { ok: 'ok', warning: 'look', failed: 'FAILED', skipped: '-' }

const linesOf = ({ check, state, what, why, remedy }: Finding, paint: Palette): string[] => {
  const mark = MARKS[state].padEnd(6)
  const colour =
    state === 'ok' ? paint.good : state === 'failed' ? paint.bad : state === 'warning' ? paint.bold : paint.dim
  const indent = ' '.repeat(mark.length + COLUMN + 4)
  return [
    `${colour(mark)}  ${check.padEnd(COLUMN)}  ${what}`,
    ...(why === undefined ? [] : [`${indent}${paint.dim(why)}`]),
    ...(remedy === undefined ? [] : [`${indent}${paint.bold('do:')} ${remedy}`]),
  ]
}

const summary = ({ ok, warning, failed, skipped }: Readonly<Record<FindingState, number>>): string =>
  `${failed} failed, ${warning} to look at, ${ok} in order, ${skipped} not looked at`
