/**
 * Machines that are network namespaces on one switch, each on a wire of its own (test/nat/wire.c) that can lose, double,
 * reorder and corrupt what it carries.
 */
import { execFileSync, spawn } from 'node:child_process'
import { openWire, type Wire, type WireSetting } from '../nat/wire.ts'
import type { TestContext } from '../support/suite.ts'
import type { StormHost } from './stage.ts'

/** Names are unique for each process. */
let lans = 0

export interface WiredHost extends StormHost {
  readonly wire: Wire
}

/** `count` machines, 10.78.0.1 upwards; gone after the test. */
export const wiredLan = async (t: TestContext, count: number, setting: WireSetting): Promise<WiredHost[]> => {
  if (process.platform !== 'linux') t.skip('network namespaces exist on Linux only')
  if (process.getuid?.() !== 0) t.missing('root')
  const prefix = `skein-storm-${process.pid}-${++lans}`
  const core = `${prefix}-sw`
  addNamespace(t, core)
  ip('-n', core, 'link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0')
  ip('-n', core, 'link', 'set', 'br0', 'up')
  const hosts: WiredHost[] = []
  for (let number = 1; number <= count; number++) {
    const namespace = `${prefix}-h${number}`
    const ipv4 = `10.78.0.${number}`
    addNamespace(t, namespace)
    const wire = await openWire(t, [namespace, 'eth0'], [core, `p${number}`], setting)
    ip('-n', core, 'link', 'set', `p${number}`, 'master', 'br0', 'up')
    ip('-n', namespace, 'link', 'set', 'lo', 'up')
    ip('-n', namespace, 'addr', 'add', `${ipv4}/24`, 'dev', 'eth0')
    ip('-n', namespace, 'link', 'set', 'eth0', 'up')
    hosts.push({
      ipv4,
      wire,
      spawn: (command, args, options = {}) => spawn('ip', ['netns', 'exec', namespace, command, ...args], options),
    })
  }
  return hosts
}

const addNamespace = (t: TestContext, namespace: string): void => {
  try {
    ip('netns', 'add', namespace)
  } catch {
    t.missing('iproute2 and the right to make network namespaces')
  }
  t.defer(() => ip('netns', 'del', namespace))
}

const ip = (...args: string[]): void => {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}
