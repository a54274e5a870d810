/**
 * Erlang: two nodes of the machine's own Erlang, driven over their standard input and output by oracle.erl.
 *
 * They find each other without epmd: each has an address of its own on the loopback network, and both listen on the same
 * port (`-erl_epmd_port`). A node ends when its standard input does, so none outlives the test.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { NodeName } from './scenario.ts'
import { Handle, type Term, type World } from './world.ts'

const SOURCE = fileURLToPath(new URL('oracle.erl', import.meta.url))
const ADDRESSES: Readonly<Record<NodeName, string>> = { n1: '127.0.0.1', n2: '127.0.0.2' }
const POLL_MS = 5

/** Whether this machine has Erlang, can compile for it, and has more than one loopback address (only Linux has). */
export const hasErlang = (): boolean =>
  process.platform === 'linux' &&
  ['erl', 'erlc'].every((program) => spawnSync(program, ['-version'], { stdio: 'ignore' }).error === undefined)

const fullName = (node: NodeName): string => `${node}@${ADDRESSES[node]}`

/** An Erlang node in a process of its own. */
class ErlangNode {
  readonly #child: ChildProcess
  readonly #pending = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  readonly #ready: Promise<unknown>
  readonly #gone: Promise<unknown>
  #lastId = 0

  constructor(node: NodeName, folder: string, port: number) {
    const listenOn = `{${ADDRESSES[node].replaceAll('.', ',')}}`
    const args = [
      ...['-noshell', '-pa', folder, '-name', fullName(node), '-setcookie', 'oracle'],
      ...['-start_epmd', 'false', '-erl_epmd_port', String(port), '-connect_all', 'false'],
      ...['-kernel', 'inet_dist_use_interface', listenOn, 'logger_level', 'none', '-s', 'oracle', 'main'],
    ]
    // A home of its own: nothing is read from, or left in, that of the user.
    const child = spawn('erl', args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, HOME: folder } })
    this.#child = child
    this.#ready = new Promise((resolve, reject) => this.#pending.set(0, { resolve, reject }))
    this.#gone = once(child, 'exit').then(() => {
      for (const { reject } of this.#pending.values()) reject(new Error(`${node} has ended`))
    })
    createInterface(child.stdout as NodeJS.ReadableStream).on('line', (line) => {
      const [, id, json = ''] = /^(\d+) (.*)$/.exec(line) ?? []
      this.#pending.get(Number(id))?.resolve(JSON.parse(json))
      this.#pending.delete(Number(id))
    })
  }

  async ready(): Promise<void> {
    await this.#ready
  }

  ask(request: string): Promise<unknown> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
      this.#child.stdin?.write(`{${id}, ${request}}.\n`)
    })
  }

  async kill(): Promise<void> {
    // The request under way, if any, shall not fail unheard.
    for (const { resolve } of this.#pending.values()) resolve('killed')
    this.#child.kill('SIGKILL')
    await this.#gone
  }
}

export class ErlangWorld implements World {
  readonly name = 'Erlang'
  readonly #folder: string
  readonly #port: number
  readonly #nodes: Record<NodeName, ErlangNode>

  private constructor(folder: string, port: number) {
    this.#folder = folder
    this.#port = port
    this.#nodes = { n1: new ErlangNode('n1', folder, port), n2: new ErlangNode('n2', folder, port) }
  }

  static async start(): Promise<ErlangWorld> {
    const folder = await mkdtemp(join(tmpdir(), 'skein-erlang-'))
    const { status, stderr, stdout } = spawnSync('erlc', ['-o', folder, SOURCE], { encoding: 'utf8' })
    if (status !== 0) throw new Error(`erlc: ${stderr}${stdout}`)
    const world = new ErlangWorld(folder, await freePort())
    await Promise.all([world.#nodes.n1.ready(), world.#nodes.n2.ready()])
    await world.connect()
    return world
  }

  async spawn(node: NodeName, actor: string): Promise<Term> {
    return fromJson(await this.#nodes[node].ask(`{spawn, ${atom(actor)}}`))
  }

  async act(node: NodeName, actor: string, operation: string, args: readonly Term[]): Promise<Term> {
    const words = args.map((arg, i) =>
      operation.startsWith('spawn') && i === 1 ? atom(fullName(arg as NodeName)) : text(arg),
    )
    return fromJson(await this.#nodes[node].ask(`{act, ${atom(actor)}, ${atom(operation)}, [${words.join(', ')}]}`))
  }

  async ended(node: NodeName, actor: string): Promise<Term> {
    return fromJson(await this.#nodes[node].ask(`{ended, ${atom(actor)}}`))
  }

  async clear(node: NodeName): Promise<void> {
    await this.#nodes[node].ask('clear')
  }

  async connect(): Promise<void> {
    // A node that has just lost the other may refuse it for a moment.
    while ((await this.#nodes.n1.ask(`{connect, ${atom(fullName('n2'))}}`)) !== true) await soon()
    while (((await this.#nodes.n2.ask('nodes')) as unknown[]).length === 0) await soon()
  }

  async disconnect(): Promise<void> {
    await this.#nodes.n1.ask(`{disconnect, ${atom(fullName('n2'))}}`)
  }

  kill(): Promise<void> {
    return this.#nodes.n2.kill()
  }

  async restart(): Promise<void> {
    this.#nodes.n2 = new ErlangNode('n2', this.#folder, this.#port)
    await this.#nodes.n2.ready()
  }

  async stop(): Promise<void> {
    await Promise.all([this.#nodes.n1.kill(), this.#nodes.n2.kill()])
    await rm(this.#folder, { recursive: true, force: true })
  }
}

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, POLL_MS))

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

const atom = (name: string): string => `'${name.replaceAll(/['\\]/g, '\\$&')}'`

/** A term as Erlang reads it. */
const text = (term: Term): string => {
  if (typeof term === 'string') return atom(term)
  if (term instanceof Handle) return `{'$handle', <<"${String(term.raw)}">>}`
  if (Array.isArray(term)) return `[${term.map(text).join(', ')}]`
  if (typeof term === 'object' && 'name' in term) return `{'$name', ${atom(term.name)}, ${atom(fullName(term.node))}}`
  return String(term)
}

const nodeName = (full: string): NodeName => (full.startsWith('n1@') ? 'n1' : 'n2')

const fromJson = (json: unknown): Term => {
  if (Array.isArray(json)) return json.map(fromJson)
  if (typeof json !== 'object' || json === null) return json as Term
  const { handle, error, name, node } = json as Record<string, unknown>
  if (typeof handle === 'string') return new Handle(handle, handle)
  if (error !== undefined) return { error: fromJson(error) }
  if (typeof name === 'string') return { name, node: nodeName(String(node)) }
  return nodeName(String(node))
}
