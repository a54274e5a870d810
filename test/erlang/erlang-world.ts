/** Erlang: two nodes of the machine's own Erlang, driven over their standard input and output by oracle.erl. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compileErlang, ErlangNode, freePort } from '../support/erlang-node.ts'
import type { NodeName } from './scenario.ts'
import { Handle, type Term, type World } from './world.ts'

const SOURCE = fileURLToPath(new URL('oracle.erl', import.meta.url))
const ADDRESSES: Readonly<Record<NodeName, string>> = { n1: '127.0.0.1', n2: '127.0.0.2' }
const POLL_MS = 5

const fullName = (node: NodeName): string => `${node}@${ADDRESSES[node]}`

const startOne = (node: NodeName, folder: string, port: number): Promise<ErlangNode> => {
  const flags = ['-kernel', 'logger_level', 'none']
  return ErlangNode.start({ program: 'oracle', name: fullName(node), folder, port, flags })
}

export class ErlangWorld implements World {
  readonly name = 'Erlang'
  readonly #folder: string
  readonly #port: number
  readonly #nodes: Record<NodeName, ErlangNode>

  private constructor(folder: string, port: number, nodes: Record<NodeName, ErlangNode>) {
    this.#folder = folder
    this.#port = port
    this.#nodes = nodes
  }

  static async start(): Promise<ErlangWorld> {
    const folder = await mkdtemp(join(tmpdir(), 'skein-erlang-'))
    compileErlang(folder, [SOURCE])
    const port = await freePort()
    const [n1, n2] = await Promise.all([startOne('n1', folder, port), startOne('n2', folder, port)])
    const world = new ErlangWorld(folder, port, { n1, n2 })
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
    this.#nodes.n2 = await startOne('n2', this.#folder, this.#port)
  }

  async stop(): Promise<void> {
    await Promise.all([this.#nodes.n1.kill(), this.#nodes.n2.kill()])
    await rm(this.#folder, { recursive: true, force: true })
  }
}

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, POLL_MS))

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
