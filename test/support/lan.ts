/**
 * A LAN of network namespaces on one bridge, made by the test and gone after it: hosts that are separate machines as far
 * as the network goes. Needs Linux, root and iproute2. Nothing of it touches the machine's own network.
 */
import { type ChildProcess, execFileSync, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import type { TestContext } from './suite.ts'

/** Names are unique for each process, so that files running side by side do not meet. */
let lans = 0

export interface LanHost {
  /** The name of its namespace. */
  readonly namespace: string
  readonly ipv4: string
  readonly ipv6: string
  /** Starts a program on this host. */
  spawn(command: string, args: readonly string[], options?: SpawnOptions): ChildProcess
  /** Runs `ip` on this host. */
  ip(...args: string[]): void
  /** Gives this host a packet filter, as nft reads it. */
  filter(t: TestContext, rules: string): void
}

export interface LanOptions {
  /** Hosts without IPv4, for the family that stands in for it. */
  readonly ipv6Only?: boolean
  /** Hosts that have nothing but a loopback. */
  readonly loopbackOnly?: boolean
  /** A switch that passes no multicast on, as clouds have. IPv6 finds no neighbours then. */
  readonly multicast?: boolean
}

/** A LAN of `count` hosts, 10.77.0.1 and fd77::1 upwards on eth0; taken down after the test. */
export const lan = (t: TestContext, count: number, options: LanOptions = {}): LanHost[] => {
  if (process.platform !== 'linux') t.skip('network namespaces exist on Linux only')
  if (process.getuid?.() !== 0) t.missing('root')
  const prefix = `skein-${process.pid}-${++lans}`
  const bridge = `${prefix}-sw`
  try {
    ip('netns', 'add', bridge)
  } catch {
    t.missing('iproute2 and the right to make network namespaces')
  }
  t.defer(() => ip('netns', 'del', bridge))
  // Without snooping the bridge floods all multicast, as most home and office switches do.
  ip('-n', bridge, 'link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0')
  ip('-n', bridge, 'link', 'set', 'br0', 'up')
  return Array.from({ length: count }, (_, index) => addHost(t, bridge, `${prefix}-h${index + 1}`, index + 1, options))
}

const addHost = (t: TestContext, bridge: string, namespace: string, number: number, options: LanOptions): LanHost => {
  const host: LanHost = {
    namespace,
    ipv4: `10.77.0.${number}`,
    ipv6: `fd77::${number}`,
    spawn: (command, args, spawnOptions = {}) =>
      spawn('ip', ['netns', 'exec', namespace, command, ...args], spawnOptions),
    ip: (...args) => ip('-n', namespace, ...args),
    filter: (context, rules) => {
      if (spawnSync('nft', ['--version']).status !== 0) context.missing('nftables')
      execFileSync('ip', ['netns', 'exec', namespace, 'nft', '-f', '-'], { input: rules, stdio: 'pipe' })
    },
  }
  ip('netns', 'add', namespace)
  t.defer(() => ip('netns', 'del', namespace))
  host.ip('link', 'set', 'lo', 'up')
  if (options.loopbackOnly) return host
  const port = `p${number}`
  ip('link', 'add', 'eth0', 'netns', namespace, 'type', 'veth', 'peer', 'name', port, 'netns', bridge)
  ip('-n', bridge, 'link', 'set', port, 'master', 'br0', 'up')
  if (options.multicast === false) {
    ip('-n', bridge, 'link', 'set', port, 'type', 'bridge_slave', 'mcast_flood', 'off')
  }
  if (!options.ipv6Only) host.ip('addr', 'add', `${host.ipv4}/24`, 'dev', 'eth0')
  // Nobody else is there: detecting duplicate addresses would only take a second.
  host.ip('addr', 'add', `${host.ipv6}/64`, 'dev', 'eth0', 'nodad')
  host.ip('link', 'set', 'eth0', 'up')
  return host
}

const ip = (...args: string[]): void => {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}
