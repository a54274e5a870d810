/**
 * The ways into a node, for the package's entry point: what stands behind them (transport, discovery, cluster) is loaded
 * when one of them is called first. So `import 'skein'` costs what a program names, not what a node is made of;
 * `npm run check:package` measures it.
 *
 * The real functions have the same names and signatures in the files that they are loaded from.
 */
import type { BootstrapNode, BootstrapOptions } from './bootstrap.ts'
import type { StartOptions } from './config.ts'
import type { SkeinNode } from './node.ts'
import type { Joined, JoinOptions } from './workers/join.ts'

/**
 * Starts a node; docs/configuration.md lists the options. Rejects with an error about an option (ERR_SKEIN_BAD_OPTION,
 * _BAD_NAME, _BAD_ADDRESS, _CONFIG_FILE), the cookie (_BAD_COOKIE, _COOKIE_FILE, _INSECURE_FILE), the identity
 * (_BAD_IDENTITY), the authority (_BAD_AUTHORITY) or the port (_PORT_BUSY, _BIND). On a platform without a QUIC binary the
 * node speaks TCP alone, and says so in its log.
 */
export const startNode = async (options?: StartOptions): Promise<SkeinNode> =>
  (await import('./start.ts')).startNode(options)

/**
 * Starts a node of the DHT and nothing else, through which clusters meet. Rejects with ERR_SKEIN_BAD_OPTION,
 * _BAD_ADDRESS, _CONFIG_FILE, _PORT_BUSY or _BIND.
 */
export const startBootstrap = async (options?: BootstrapOptions): Promise<BootstrapNode> =>
  (await import('./bootstrap.ts')).startBootstrap(options)

/**
 * Starts the node of this worker thread and joins the cluster of the node that started the thread with `workers.start`.
 * Rejects with ERR_SKEIN_WORKER_FAILED elsewhere, or as `startNode` and `connect` do; whoever waits in `workers.start`
 * hears of it too.
 */
export const joinFromWorker = async <T = unknown>(options?: JoinOptions<T>): Promise<Joined<T>> =>
  (await import('./workers/join.ts')).joinFromWorker<T>(options)
