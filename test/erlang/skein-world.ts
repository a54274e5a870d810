/** Skein: two nodes in processes of their own, over QUIC on loopback. */
import { Pid, Ref } from '../../src/index.ts'
import { NodeProcess, type ProcessOptions } from '../support/node-process.ts'
import type { TestContext } from '../support/suite.ts'
import type { NodeName } from './scenario.ts'
import { Handle, type Term, type World } from './world.ts'

export class SkeinWorld implements World {
  readonly name = 'Skein'
  readonly #t: TestContext
  readonly #second: ProcessOptions
  readonly #nodes: Record<NodeName, NodeProcess>

  private constructor(t: TestContext, second: ProcessOptions, n1: NodeProcess, n2: NodeProcess) {
    this.#t = t
    this.#second = second
    this.#nodes = { n1, n2 }
  }

  static async start(t: TestContext, identityFile: string): Promise<SkeinWorld> {
    const second: ProcessOptions = { name: 'n2', mesh: 'none', identity: identityFile }
    const [n1, n2] = await Promise.all([
      NodeProcess.start(t, { name: 'n1', mesh: 'none' }),
      NodeProcess.start(t, second),
    ])
    const world = new SkeinWorld(t, second, n1, n2)
    await world.connect()
    return world
  }

  async spawn(node: NodeName, actor: string): Promise<Term> {
    return toTerm(await this.#nodes[node].do('actor', 'spawn', actor))
  }

  async act(node: NodeName, actor: string, operation: string, args: readonly Term[]): Promise<Term> {
    const raw = args.map((arg, i) =>
      operation.startsWith('spawn') && i === 1 ? this.#nodes[arg as NodeName].name : this.#toRaw(arg),
    )
    return toTerm(await this.#nodes[node].do('actor', 'act', actor, operation, raw))
  }

  async ended(node: NodeName, actor: string): Promise<Term> {
    return toTerm(await this.#nodes[node].do('actor', 'ended', actor))
  }

  async clear(node: NodeName): Promise<void> {
    await this.#nodes[node].do('actor', 'clear')
  }

  async connect(): Promise<void> {
    const { n1, n2 } = this.#nodes
    await n1.do('connect', n2.address)
    while (!(await n2.nodes()).includes(n1.name));
  }

  async disconnect(): Promise<void> {
    await this.#nodes.n1.do('disconnect', this.#nodes.n2.name)
  }

  async kill(): Promise<void> {
    await this.#nodes.n2.kill()
  }

  async restart(): Promise<void> {
    this.#nodes.n2 = await NodeProcess.start(this.#t, this.#second)
  }

  /** The processes end with the test. */
  async stop(): Promise<void> {}

  #toRaw(term: Term): unknown {
    if (term instanceof Handle) return term.raw
    if (Array.isArray(term)) return term.map((one) => this.#toRaw(one))
    if (typeof term === 'object' && 'name' in term) return { name: term.name, node: this.#nodes[term.node].name }
    return term
  }
}

const nodeName = (full: string): NodeName => (full.startsWith('n1@') ? 'n1' : 'n2')

const toTerm = (raw: unknown): Term => {
  if (raw instanceof Pid || raw instanceof Ref) return new Handle(raw.key, raw)
  if (raw === undefined) return 'ok'
  if (Array.isArray(raw)) return raw.map(toTerm)
  if (typeof raw !== 'object' || raw === null) return raw as Term
  const { call, error, name, node } = raw as Record<string, unknown>
  if (call instanceof Ref) return new Handle(call.key, raw)
  if (error !== undefined) return { error: toTerm(error) }
  if (typeof name === 'string') return { name, node: nodeName(String(node)) }
  return nodeName(String(node))
}
