/**
 * Nodes of the machine's own Erlang, each in an operating system process of its own, with the default flags of `erl`; for
 * tests, which compare with it, and for benches, which measure beside it.
 *
 * Nodes find each other without epmd, so no daemon stays behind: all of a group listen on the same port number
 * (`-erl_epmd_port`), each at an address of its own (127.0.0.1 and 127.0.0.2, or one per network namespace). The program of a
 * node is an Erlang module: its `main` answers number 0 when it is ready, then reads terms `{Number, ...}.` from standard input,
 * answers each by a line `Number JSON`, and ends when its standard input does, so none outlives its parent.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type LineAnswer, LineProgram } from './line-program.ts'

export interface ErlangNodeOptions {
  /** The module whose `main` runs. */
  readonly program: string
  /** name@address: the address, IPv4, is where it listens. */
  readonly name: string
  /** Where the compiled modules are, and its home: nothing is read from, or left in, that of the user. */
  readonly folder: string
  /** That all nodes of the group share, see `freePort`. */
  readonly port: number
  /** More flags of `erl`. */
  readonly flags?: readonly string[]
  /** A command that runs the rest of its arguments, such as `ip netns exec NAME`. */
  readonly prefix?: readonly string[]
}

/** Whether this machine has Erlang, can compile for it, and has more than one loopback address (only Linux has). */
export const hasErlang = (): boolean =>
  process.platform === 'linux' &&
  ['erl', 'erlc'].every((program) => spawnSync(program, ['-version'], { stdio: 'ignore' }).error === undefined)

/** Compiles modules into a folder; throws what the compiler says. */
export const compileErlang = (folder: string, sources: readonly string[]): void => {
  const { status, stderr, stdout } = spawnSync('erlc', ['-o', folder, ...sources], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`erlc: ${stderr}${stdout}`)
}

/** A TCP port nobody listens on at the moment. */
export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

const answerIn = (line: string): LineAnswer | undefined => {
  const [, id, json] = /^(\d+) (.*)$/.exec(line) ?? []
  return json === undefined ? undefined : { id: Number(id), value: JSON.parse(json) as unknown }
}

export class ErlangNode {
  readonly #program: LineProgram

  private constructor({ program, name, folder, port, flags = [], prefix = [] }: ErlangNodeOptions) {
    const address = name.slice(name.indexOf('@') + 1)
    const [command, ...args] = [
      ...[...prefix, 'erl', '-noshell', '-pa', folder, '-name', name, '-setcookie', 'skein-tests'],
      ...['-start_epmd', 'false', '-erl_epmd_port', String(port), '-connect_all', 'false'],
      ...['-kernel', 'inet_dist_use_interface', `{${address.replaceAll('.', ',')}}`],
      ...[...flags, '-s', program, 'main'],
    ]
    const env = { ...process.env, HOME: folder, ERL_CRASH_DUMP: join(folder, 'crash.dump') }
    const child = spawn(command!, args, { stdio: ['pipe', 'pipe', 'inherit'], env })
    this.#program = new LineProgram(name, child, answerIn)
  }

  static async start(options: ErlangNodeOptions): Promise<ErlangNode> {
    const node = new ErlangNode(options)
    await node.#program.ready()
    return node
  }

  /** Sends `{Number, REQUEST}.`; the request is in terms as Erlang writes them. */
  ask(request: string): Promise<unknown> {
    return this.#program.ask((id) => `{${id}, ${request}}.`)
  }

  stop(): Promise<void> {
    return this.#program.stop()
  }

  kill(): Promise<void> {
    return this.#program.kill()
  }
}
