#!/usr/bin/env node
/**
 * The command `skein`: reads the arguments, runs one command, and turns how it ended into an exit code.
 *
 * Exit codes: 0 done, 1 failed, 2 bad arguments. What was asked for goes to stdout, everything else to stderr. The
 * program ends by itself when its node has stopped; it is never forced to.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Command, CommanderError } from 'commander'
import { addCall } from './call.ts'
import { addDemo } from './demo.ts'
import { addDemoNode } from './demo-node.ts'
import { addDht } from './dht.ts'
import { addDoctor } from './doctor.ts'
import { describeFailure, EXIT_BAD_ARGUMENTS, EXIT_DONE, exitCodeFor, Failed } from './failure.ts'
import { addNodes } from './nodes.ts'
import { addPing } from './ping.ts'
import { addStart } from './start.ts'

const EXAMPLES = `
Examples:
  skein demo                          three nodes on this machine find each other, talk, and lose one of them
  skein start --name a                a node that stays; start another one, b, in a second terminal
  skein nodes                         who is in the cluster
  skein ping b                        how long to b and back
  skein call b echo '{"hello": 1}'    ask the process "echo" of b, and print its reply
  skein start --name c --seed 192.168.1.7:4433 --cookie-file cookie.txt
                                      join from another machine, with the cookie of the first
  skein start --bootstrap             a DHT node through which clusters meet; it needs no cookie
  skein start --name d --dht 203.0.113.7:4433
                                      join from anywhere, by that DHT node
  skein dht find d                    where a node is
  skein doctor                        what is wrong with this machine or its network; skein doctor d: with the way to d

Nodes of one user on one machine share a cookie that is made on first use. Settings can come from SKEIN_NAME,
SKEIN_CLUSTER, SKEIN_HOST, SKEIN_PORT, SKEIN_COOKIE, SKEIN_COOKIE_FILE, SKEIN_DISCOVERY, SKEIN_SEEDS,
SKEIN_BOOTSTRAP and SKEIN_DNS too.
Exit codes: 0 done, 1 failed, 2 bad arguments.`

const versionOfPackage = (): string => {
  const file = fileURLToPath(import.meta.resolve('skein/package.json'))
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

const buildProgram = (): Command => {
  const program = new Command('skein')
    .description('Nodes that find each other, and processes that talk across them.')
    .version(versionOfPackage(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .showHelpAfterError('(skein --help explains)')
    .addHelpText('after', EXAMPLES)
    .exitOverride()
  addStart(program)
  addNodes(program)
  addPing(program)
  addCall(program)
  addDht(program)
  addDoctor(program)
  const entry = fileURLToPath(import.meta.url)
  addDemo(program, entry)
  addDemoNode(program)
  return program
}

const run = async (argv: readonly string[]): Promise<number> => {
  try {
    await buildProgram().parseAsync([...argv])
    return EXIT_DONE
  } catch (error) {
    // Commander has printed what was wrong with the arguments, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_DONE : EXIT_BAD_ARGUMENTS
    if (!(error instanceof Failed)) process.stderr.write(describeFailure(error, argv.includes('--json')))
    return exitCodeFor(error)
  }
}

// Whoever read our output has gone, as in `skein start | head`: end as if asked to.
process.stdout.on('error', () => process.emit('SIGTERM'))

process.exitCode = await run(process.argv)
