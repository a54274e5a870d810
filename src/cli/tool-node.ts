/**
 * The short-lived node behind `skein nodes`, `ping` and `call`: hidden, with a made-up name, on any free port.
 *
 * It looks for one member of the cluster, by multicast DNS, the DHT and DNS, and by dialling the seeds and this machine's
 * default port, all at once; the first that answers tells of the others. When nobody answers the error lists what was tried. Every wait is
 * bounded, so a command ends within a few seconds whatever happens.
 */
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { type Attempt, isSkeinError, SkeinError } from '../../certs/errors.ts'
import { formatAddress, sameAddress } from '../../transport/address.ts'
import { systemRandom } from '../../transport/random.ts'
import type { ConnectedNode } from '../cluster/connected-node.ts'
import { isLoopback } from '../cluster/membership/member-record.ts'
import { fullNodeName, hostOfNodeName } from '../cluster/node-name.ts'
import { type Config, processEnvironment, type StartOptions } from '../config.ts'
import { loadConfig } from '../config-file.ts'
import { DEFAULT_PORT } from '../discovery-config.ts'
import type { SkeinNode } from '../node.ts'
import type { DiscoveredNode } from '../node-discovery.ts'
import { startNode } from '../start.ts'
import { SYSTEM_PROCESS, type SystemReply, type SystemRequest } from '../system-process.ts'
import { hintAmong } from './failure.ts'
import { type ClusterOptions, findCookie, toStartOptions } from './options.ts'
import { withProgress } from './progress.ts'

/** A little longer than one dial takes to fail, so that the error can tell how each ended. */
const FIND_TIMEOUT_MS = 3500
const ASK_TIMEOUT_MS = 3000
const MADE_UP_NAME_BYTES = 6

/** A member as the tools show it. */
export interface Member {
  readonly name: string
  readonly id: string
  readonly incarnation: string
  /** ip:port where it is from here, as far as the member that told of it knows. */
  readonly address: string
}

/** Resolves when somebody wants the command to end: Ctrl-C, a service manager, or nobody reads its output any more. */
export const interrupted = (): Promise<void> =>
  new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })

/** Starts a tool, lets `use` work with it, and stops it however that ended. */
export const withTool = async <T>(
  options: ClusterOptions,
  use: (tool: Tool) => Promise<T>,
  more: Pick<StartOptions, 'identity'> = {},
): Promise<T> => {
  const cookie = await findCookie(options)
  const name = `skein-tool-${Buffer.from(systemRandom.bytes(MADE_UP_NAME_BYTES)).toString('hex')}`
  const startOptions = { ...toStartOptions(options, cookie), ...more, name, port: 0, hidden: true, attach: false }
  const { config } = await loadConfig(startOptions, processEnvironment(), hostname())
  const node = await startNode(startOptions)
  try {
    return await use(new Tool(node, config))
  } finally {
    await node.stop()
  }
}

export class Tool {
  readonly node: SkeinNode
  readonly cluster: string
  readonly #config: Config

  constructor(node: SkeinNode, config: Config) {
    this.node = node
    this.cluster = config.cluster
    this.#config = config
  }

  /** Connects to `name`, `name@host` or an address, and gives the full name. */
  async reach(target: string): Promise<string> {
    if (!target.includes('@') && (target.includes(':') || isIP(target) !== 0)) return this.#connect(target)
    const full = fullNodeName(target, hostOfNodeName(this.node.name))
    const names = (await this.members()).map(({ name }) => name)
    const alike = names.filter((name) => name === full || name.startsWith(`${target}@`))
    const name = alike.includes(full) || alike.length !== 1 ? full : alike[0]
    try {
      return await this.#connect(name ?? full)
    } catch (error) {
      if (!isSkeinError(error, 'ERR_SKEIN_NODE_UNKNOWN')) throw error
      const known = names.length === 0 ? {} : { hint: hintAmong(full, names, 'The cluster has') }
      throw new SkeinError(error.code, error.message, { ...known, cause: error })
    }
  }

  /** The members of the cluster as one of them knows it. */
  async members(): Promise<Member[]> {
    const contact = await this.anyMember()
    const known = this.node.connectedNodes().find(({ name }) => name === contact)
    const reply = await this.ask(contact, { type: 'nodes' })
    const others = reply.type === 'nodes' ? reply.nodes : []
    const isNear = known !== undefined && isLoopback(known.address)
    const members = [...(known === undefined ? [] : [known]), ...others.filter(({ hidden }) => !hidden)].map((node) =>
      toMember(node, isNear),
    )
    return members.sort((one, other) => (one.name < other.name ? -1 : 1))
  }

  /** The name of whichever member answers first. */
  anyMember(): Promise<string> {
    return withProgress('looking for a node of the cluster', this.#findMember())
  }

  /** Where a node is, by all ways of discovery. */
  async lookup(name: string): Promise<readonly DiscoveredNode[]> {
    // A member is a node of the DHT too, and knows of others.
    const member = this.#findMember().catch(() => undefined)
    const found = await withProgress(`looking for ${name}`, this.node.discovery.lookup(name))
    if (found.length > 0) return found
    await member
    return withProgress(`looking for ${name} again`, this.node.discovery.lookup(name))
  }

  /** Names that a node has registered, and behaviours that it offers; undefined where it does not tell. */
  async registered(node: string): Promise<readonly string[] | undefined> {
    const reply = await this.ask(node, { type: 'info' })
    return reply.type === 'info' ? reply.info.registered : undefined
  }

  async behaviours(node: string): Promise<readonly string[] | undefined> {
    const reply = await this.ask(node, { type: 'info' })
    return reply.type === 'info' ? reply.info.behaviours : undefined
  }

  /** Asks the system process of a node. */
  async ask(node: string, request: SystemRequest): Promise<SystemReply> {
    const target = { name: SYSTEM_PROCESS, node }
    const reply = this.node.call(target, request, { timeoutMs: ASK_TIMEOUT_MS })
    return (await withProgress(`waiting for ${node}`, reply)) as SystemReply
  }

  #connect(target: string): Promise<string> {
    return withProgress(`connecting to ${target}`, this.node.connect(target))
  }

  /** Connects to whoever answers first. */
  async #findMember(): Promise<string> {
    const attempts: Attempt[] = []
    const dial = async (target: string): Promise<string> => {
      try {
        return await this.node.connect(target)
      } catch (error) {
        attempts.push(...attemptsOf(target, error))
        throw error
      }
    }
    try {
      return await Promise.any([...this.#seeds().map(dial), this.#firstDiscovered(dial)])
    } catch {
      throw this.#nobody(attempts)
    }
  }

  #firstDiscovered(dial: (name: string) => Promise<string>): Promise<string> {
    return new Promise((resolve, reject) => {
      const { mdns, dht, dns } = this.#config.discovery
      if (!mdns && dht === undefined && dns.length === 0) {
        reject(new Error('switched off'))
        return
      }
      const giveUp = (): void => reject(new Error('nobody found'))
      const timer = setTimeout(giveUp, FIND_TIMEOUT_MS)
      const watch = async (): Promise<void> => {
        for await (const event of this.node.events) {
          if (event.type !== 'discovered' || event.sources.every((source) => source === 'seeds')) continue
          // The DHT knows no names, only where members met.
          for (const target of event.node === undefined ? event.addresses.map(formatAddress) : [event.node])
            dial(target).then(resolve, () => {})
        }
        // The node has stopped: somebody else was quicker.
        clearTimeout(timer)
        giveUp()
      }
      void watch()
    })
  }

  /** The seeds, and the default port of this machine as every node tries it. */
  #seeds(): string[] {
    const { discovery, host } = this.#config
    const local = {
      host: host === undefined || host === '::' || host === '0.0.0.0' ? '127.0.0.1' : host,
      port: DEFAULT_PORT,
    }
    const automatic = discovery.mdns || discovery.dht !== undefined
    const isGiven = discovery.seeds.some((seed) => sameAddress(seed, local))
    return [...discovery.seeds, ...(automatic && !isGiven ? [local] : [])].map(formatAddress)
  }

  #nobody(attempts: readonly Attempt[]): SkeinError {
    const searched = this.node.discovery
      .status()
      .filter(({ source }) => source === 'mdns' || source === 'dht' || source === 'dns')
      .map(({ source, state, detail }) => ({ what: source, code: state, message: detail }))
    return new SkeinError('ERR_SKEIN_CONNECT_FAILED', `No node of cluster "${this.cluster}" answered.`, {
      attempts: [...attempts, ...searched],
      hint: attempts.some(({ code }) => code === 'ERR_SKEIN_CERT_UNTRUSTED')
        ? 'This cluster asks for certificates. Where its authority is: skein certs issue tools.pem; then give this command --identity tools.pem.'
        : 'Start one with "skein start --name a". If one runs, cluster and cookie must be the same here: nodes are silent to strangers.',
    })
  }
}

/**
 * A member of the same machine as the one that tells of it is on the loopback there: of use here only if that one is
 * near, on this machine. From elsewhere it is where it says that it listens.
 */
const toMember = ({ name, id, incarnation, address, listens }: ConnectedNode, isNear: boolean): Member => {
  const elsewhere = isLoopback(address) && !isNear ? listens.find((one) => !isLoopback(one)) : undefined
  return { name, id, incarnation, address: formatAddress(elsewhere ?? address) }
}

const attemptsOf = (what: string, error: unknown): readonly Attempt[] => {
  if (!isSkeinError(error)) return [{ what, code: 'ERROR', message: String(error) }]
  return error.attempts.length > 0 ? error.attempts : [{ what, code: error.code, message: error.message }]
}
