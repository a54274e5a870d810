/**
 * A bootstrap node: a node of the DHT and nothing else. It has no cookie and belongs to no cluster; clusters that know its
 * address meet through it. It accepts no QUIC: whatever is not a message of the DHT is dropped unanswered.
 */
import { isSkeinError } from '../certs/errors.ts'
import { Chore } from '../discovery/chore.ts'
import { type DhtPort, type DhtPortOptions, openDhtPort } from '../discovery/dht/port.ts'
import { loadTable } from '../discovery/dht/table-file.ts'
import { TableSaver } from '../discovery/dht/table-saver.ts'
import { resolveAll, resolveBySystem } from '../discovery/resolve.ts'
import type { Address } from '../transport/address.ts'
import { systemClock } from '../transport/clock.ts'
import { systemRandom } from '../transport/random.ts'
import { processEnvironment, type StartOptions } from './config.ts'
import { loadConfig } from './config-file.ts'
import { type DhtReport, reportOf } from './dht-report.ts'
import type { DhtOptions } from './discovery-config.ts'
import { fail } from './option-checks.ts'

/** While it knows nobody. A name that had no address, or moved, is looked up again. */
const JOIN_AGAIN_MS = 30_000
const DUAL_STACK = '::'
const ALL_IPV4 = '0.0.0.0'

/** What `startBootstrap` takes. */
export interface BootstrapOptions extends Pick<StartOptions, 'host' | 'port' | 'configFile'> {
  /** Other nodes of the DHT to begin with, and the network. Without any it waits for others to come. */
  readonly dht?: DhtOptions
}

export class BootstrapNode implements AsyncDisposable {
  readonly #port: DhtPort
  readonly #join: Chore
  readonly #saver: TableSaver | undefined
  #stopping: Promise<void> | undefined

  /** @internal Use startBootstrap. */
  constructor(port: DhtPort, join: Chore, saver: TableSaver | undefined) {
    this.#port = port
    this.#join = join
    this.#saver = saver
  }

  /** Where others can reach it: what they give as a bootstrap address. */
  get addresses(): readonly Address[] {
    return this.#port.addresses()
  }

  /** What it knows and has done. */
  report(): DhtReport {
    const unsaved = this.#saver?.failure
    return { ...reportOf(this.#port.dht), ...(unsaved === undefined ? {} : { unsaved }) }
  }

  /** Frees the port. Idempotent; never rejects. */
  stop(): Promise<void> {
    this.#join.stop()
    this.#stopping ??= Promise.all([this.#saver?.stop(), this.#port.close()]).then(() => {})
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}

/**
 * Starts a bootstrap node. SKEIN_HOST, SKEIN_PORT and SKEIN_BOOTSTRAP stand in for options, and so does a configuration
 * file. Rejects with ERR_SKEIN_BAD_OPTION, _BAD_ADDRESS, _CONFIG_FILE, _PORT_BUSY or _BIND.
 */
export const startBootstrap = async ({
  host,
  port,
  dht,
  configFile,
}: BootstrapOptions = {}): Promise<BootstrapNode> => {
  const start: StartOptions = {
    discovery: { dht: dht ?? true },
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(configFile === undefined ? {} : { configFile }),
  }
  const { config } = await loadConfig(start, processEnvironment(), 'localhost')
  const { bootstrap, network, contactsFile } = config.discovery.dht ?? fail('dht', 'an object', dht)
  const saved = contactsFile === undefined ? undefined : await loadTable(contactsFile)
  const opened = await open(config.host, config.port, { clock: systemClock, random: systemRandom, network, saved })
  const saver = contactsFile === undefined ? undefined : new TableSaver(opened.dht, contactsFile, systemClock)
  const join = new Chore({
    clock: systemClock,
    work: async () => {
      if (opened.dht.contacts().length > 0) return
      await opened.dht.bootstrap(await resolveAll(bootstrap, resolveBySystem)).catch(() => {})
    },
    pauseMs: () => JOIN_AGAIN_MS,
  })
  join.soon()
  return new BootstrapNode(opened, join, saver)
}

/** Nobody chose an address: both families, or IPv4 alone where the machine has no IPv6. A busy port is an error: an address that others know. */
const open = async (
  host: string | undefined,
  port: number,
  options: Omit<DhtPortOptions, 'host' | 'port'>,
): Promise<DhtPort> => {
  try {
    return await openDhtPort({ ...options, host: host ?? DUAL_STACK, port })
  } catch (error) {
    if (host !== undefined || !isSkeinError(error, 'ERR_SKEIN_BIND')) throw error
    return openDhtPort({ ...options, host: ALL_IPV4, port })
  }
}
