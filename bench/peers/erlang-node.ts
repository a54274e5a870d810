/**
 * An Erlang node in an operating system process of its own, to be measured beside ours: distribution over TCP in clear
 * text, or over TLS 1.3 with a certificate asked of both ends. Emulator flags stay as `erl` has them by default.
 *
 * Nodes find each other without epmd, so no daemon stays behind: all of a group listen on the same port number
 * (`-erl_epmd_port`), each at an address of its own (127.0.0.1 and 127.0.0.2, or one per network namespace). A node is
 * driven over its standard input and output by bench_console.erl and ends when its standard input does.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { createIdentity } from '../../certs/identity.ts'
import { systemClock } from '../../transport/clock.ts'

/** What carries the distribution. */
export type Carrier = 'tcp' | 'tls'

/** What all nodes of a measurement share: compiled modules, the port, the files of TLS. */
export interface ErlangGroup {
  readonly folder: string
  readonly port: number
  readonly carrier: Carrier
  remove(): Promise<void>
}

export interface ErlangNodeOptions {
  readonly group: ErlangGroup
  /** The part before the @. */
  readonly name: string
  /** IPv4, the part after the @: where it listens. */
  readonly address: string
  /** A command that runs the rest of its arguments, such as `ip netns exec NAME`. */
  readonly prefix?: readonly string[]
}

/** Longer than any measurement. */
const ASK_TIMEOUT_MS = 120_000
const KILL_AFTER_MS = 5_000

/** Whether this machine has Erlang with what the carrier needs, and several loopback addresses (only Linux has). */
export const hasErlang = (carrier: Carrier): boolean => {
  if (process.platform !== 'linux' || spawnSync('erlc', ['-version'], { stdio: 'ignore' }).error !== undefined)
    return false
  const modules = carrier === 'tcp' ? '[kernel]' : '[ssl,crypto,public_key,asn1rt_nif]'
  const check = `halt(length([M||M<-${modules},code:which(M)=:=non_existing])).`
  return spawnSync('erl', ['-noinput', '-boot', 'start_clean', '-eval', check], { stdio: 'ignore' }).status === 0
}

/** Compiles bench_console.erl and these modules into a folder of their own, and makes what TLS needs. */
export const prepareErlang = async (carrier: Carrier, modules: readonly URL[]): Promise<ErlangGroup> => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-bench-erlang-'))
  const sources = [new URL('bench_console.erl', import.meta.url), ...modules].map((url) => fileURLToPath(url))
  const { status, stderr, stdout } = spawnSync('erlc', ['-o', folder, ...sources], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`erlc: ${stderr}${stdout}`)
  if (carrier === 'tls') await writeTlsFiles(folder)
  return {
    folder,
    port: await freePort(),
    carrier,
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

/** All nodes show the same self-signed certificate and take no other. */
const writeTlsFiles = async (folder: string): Promise<void> => {
  const { certificatePem, privateKeyPem } = await createIdentity({ wallNowMs: systemClock.wallNow() })
  await writeFile(join(folder, 'certificate.pem'), certificatePem)
  await writeFile(join(folder, 'key.pem'), privateKeyPem, { mode: 0o600 })
  const pinned = new X509Certificate(certificatePem).raw.toString('base64')
  const shared = [
    `{certfile, "${join(folder, 'certificate.pem')}"}, {keyfile, "${join(folder, 'key.pem')}"}`,
    `{cacertfile, "${join(folder, 'certificate.pem')}"}, {verify, verify_peer}, {versions, ['tlsv1.3']}`,
    `{verify_fun, {fun bench_console:verify/3, <<"${pinned}">>}}`,
  ].join(', ')
  const options = `[{server, [${shared}, {fail_if_no_peer_cert, true}]}, {client, [${shared}]}].\n`
  await writeFile(join(folder, 'tls.conf'), options)
}

export class ErlangNode {
  /** As Erlang writes it: an atom in quotes. */
  readonly atom: string
  readonly #child: ChildProcess
  readonly #gone: Promise<unknown>
  readonly #pending = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  #lastId = 0

  private constructor({ group, name, address, prefix = [] }: ErlangNodeOptions) {
    const { folder, port, carrier } = group
    this.atom = `'${name}@${address}'`
    const tls = ['-proto_dist', 'inet_tls', '-ssl_dist_optfile', join(folder, 'tls.conf')]
    const [command, ...args] = [
      ...[...prefix, 'erl', '-noshell', '-pa', folder, '-name', `${name}@${address}`, '-setcookie', 'bench'],
      ...['-start_epmd', 'false', '-erl_epmd_port', String(port), '-connect_all', 'false'],
      ...['-kernel', 'inet_dist_use_interface', `{${address.replaceAll('.', ',')}}`],
      ...(carrier === 'tls' ? tls : []),
      ...['-s', 'bench_console', 'main'],
    ]
    // A home of its own: nothing is read from, or left in, that of the user.
    const env = { ...process.env, HOME: folder, ERL_CRASH_DUMP: join(folder, 'crash.dump') }
    const child = spawn(command!, args, { stdio: ['pipe', 'pipe', 'inherit'], env })
    this.#child = child
    this.#gone = once(child, 'exit').then(
      () => this.#end('has ended'),
      (error: Error) => this.#end(`did not start: ${error.message}`),
    )
    child.stdin!.on('error', () => {})
    createInterface(child.stdout!).on('line', (line) => {
      const [, id, json] = /^(\d+) (.*)$/.exec(line) ?? []
      const pending = this.#pending.get(Number(id))
      if (json === undefined || pending === undefined) return void process.stderr.write(`${this.atom}: ${line}\n`)
      this.#pending.delete(Number(id))
      const value: unknown = JSON.parse(json)
      if (typeof value === 'object' && value !== null && 'error' in value)
        pending.reject(new Error(String(value.error)))
      else pending.resolve(value)
    })
  }

  static async start(options: ErlangNodeOptions): Promise<ErlangNode> {
    const node = new ErlangNode(options)
    await node.#answer(0)
    return node
  }

  /** Calls `module:function(args)`; args are terms as Erlang writes them. */
  ask(module: string, name: string, ...args: readonly (string | number)[]): Promise<unknown> {
    const id = ++this.#lastId
    const answer = this.#answer(id)
    this.#child.stdin!.write(`{${id}, ${module}, ${name}, [${args.join(', ')}]}.\n`)
    return answer
  }

  async stop(): Promise<void> {
    this.#child.stdin!.end()
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), KILL_AFTER_MS)
    await this.#gone
    clearTimeout(timer)
  }

  #end(how: string): void {
    for (const { reject } of this.#pending.values()) reject(new Error(`${this.atom} ${how}`))
    this.#pending.clear()
  }

  #answer(id: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${this.atom} did not answer in time`)), ASK_TIMEOUT_MS)
      const settle =
        <T>(then: (value: T) => void) =>
        (value: T): void => {
          clearTimeout(timer)
          then(value)
        }
      this.#pending.set(id, { resolve: settle(resolve), reject: settle(reject) })
    })
  }
}

/** A TCP port nobody listens on at the moment. */
const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
