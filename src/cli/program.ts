/**
 * The commands of `skein` as one tree, from which help, completion scripts and the man page are made too.
 *
 * Each command is a file of its own that adds itself; here is only their order, in groups as the help shows them.
 */
import { type Argument, Command } from 'commander'
import { nearestOf } from '../nearest-name.ts'
import { addAttach } from './attach.ts'
import { addBench } from './bench.ts'
import { addCall } from './call.ts'
import { addCerts } from './certs.ts'
import { addChaos } from './chaos.ts'
import { addChaosNode } from './chaos-node.ts'
import { addCompletion } from './completion.ts'
import { addDemo } from './demo.ts'
import { addDemoNode } from './demo-node.ts'
import { addDht } from './dht.ts'
import { addDoctor } from './doctor.ts'
import { addEvents } from './events.ts'
import { Misuse } from './failure.ts'
import { addHelp, type Example } from './help.ts'
import { addInvite } from './invite.ts'
import { addJoin } from './join.ts'
import { addNodes } from './nodes.ts'
import { addObserver } from './observer.ts'
import { addPing } from './ping.ts'
import { addSpawn } from './spawn.ts'
import { addStart } from './start.ts'
import { addTop } from './top.ts'

const EXAMPLES: readonly Example[] = [
  { command: 'skein demo', does: 'three nodes here find each other, talk, and lose one' },
  { command: 'skein start --name a', does: 'a node that stays; start b in a second terminal' },
  { command: 'skein nodes', does: 'who is in the cluster' },
  { command: 'skein ping b', does: 'how long to b and back' },
  { command: `skein call b echo '{"hello": 1}'`, does: 'ask the process "echo" of b, and print its reply' },
  {
    command: 'skein start --name c --seed 192.168.1.7:4433 --cookie-file cookie.txt',
    does: 'join from another machine, with the cookie of the first',
  },
  { command: 'skein start --bootstrap', does: 'a DHT node through which clusters meet; it needs no cookie' },
  { command: 'skein start --name d --dht 203.0.113.7:4433', does: 'join from anywhere, by that DHT node' },
  { command: 'skein doctor', does: 'what is wrong with this machine or its network' },
]

const NOTE = `Nodes of one user on one machine share a cookie that is made on first use. Settings can come from SKEIN_NAME,
SKEIN_CLUSTER, SKEIN_HOST, SKEIN_PORT, SKEIN_COOKIE, SKEIN_COOKIE_FILE, SKEIN_DISCOVERY, SKEIN_SEEDS,
SKEIN_BOOTSTRAP and SKEIN_DNS too, or from a JSON file that SKEIN_CONFIG or --config names.
Exit codes: 0 done, 1 failed, 2 bad arguments.`

/** What is narrower is not broken into lines: a terminal of 80 columns leaves more beside the longest command. */
const MIN_COLUMN_WIDTH = 30

/** In a list of commands: that there are options goes without saying. */
const termOf = (command: Command): string =>
  [command.name(), ...command.registeredArguments.map(humanReadable)].join(' ')

const humanReadable = (argument: Argument): string => {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`
  return argument.required ? `<${name}>` : `[${name}]`
}

/** Whose arguments are wrong, for this command and all below it. */
const nameMisuse = (command: Command, path: string): void => {
  command.exitOverride((error) => {
    const { exitCode, code, message } = error
    // Where a command does something itself, commander takes a misspelt one below it for an argument.
    const meant =
      code === 'commander.excessArguments' ? nearestOf(command.args[0] ?? '', namesBelow(command)) : undefined
    const named = meant === undefined ? message : `${message}\n(Did you mean ${meant}?)`
    throw new Misuse({ exitCode, code, message: named }, path)
  })
  for (const one of command.commands) nameMisuse(one, `${path} ${one.name()}`)
}

const namesBelow = (command: Command): string[] => command.commands.map((one) => one.name())

/** `entry` is the file of the command itself, for those who start it again. */
export const buildProgram = (version: string, entry: string): Command => {
  const program = new Command('skein')
    .description('Nodes that find each other, and processes that talk across them.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .configureHelp({ subcommandTerm: termOf, minWidthToWrap: MIN_COLUMN_WIDTH })
    // What is wrong with arguments is told by main.ts, in the form that was asked for.
    .configureOutput({ outputError: () => {} })

  program.commandsGroup('A node:')
  addStart(program)
  program.commandsGroup('Look at a cluster:')
  addNodes(program)
  addPing(program)
  addTop(program)
  addObserver(program)
  addDht(program)
  addEvents(program)
  program.commandsGroup('Work with a cluster:')
  addCall(program)
  addSpawn(program)
  addAttach(program)
  program.commandsGroup('Set up:')
  addCerts(program)
  addCompletion(program)
  addInvite(program)
  addJoin(program)
  program.commandsGroup('Try and test:')
  addDoctor(program)
  addBench(program)
  addDemo(program, entry)
  addDemoNode(program)
  addChaos(program, entry)
  addChaosNode(program)
  program.commandsGroup('Commands:')
  nameMisuse(program, program.name())
  return addHelp(program, EXAMPLES, NOTE)
}
