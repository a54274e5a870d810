/**
 * A small internet of network namespaces: a hub with a public address, and two networks behind a home router each, as NATs are.
 * Nothing of it touches the machine's own network. Needs Linux, root, iproute2 and nftables.
 */
import { execFileSync, spawnSync } from 'node:child_process'

const HUB = '198.51.100.10'
/** As most routers do: the inside gets out, and nothing gets in unasked. */
const ROUTER = `
table ip nat {
  chain out {
    type nat hook postrouting priority 100;
    oifname "wan" masquerade
  }
}
table ip filter {
  chain input {
    type filter hook input priority 0;
    iifname "wan" meta l4proto udp drop
  }
  chain forward {
    type filter hook forward priority 0;
    iifname "wan" ct state new drop
  }
}
`

export interface Network {
  readonly hub: string
  /** The command that runs a program on a host. */
  readonly on: (host: 'hub' | 'sensor' | 'desk') => readonly string[]
  readonly remove: () => void
}

export const canMakeNetworks = (): boolean => {
  const canRun = process.getuid?.() === 0 && ['ip', 'nft'].every((one) => spawnSync(one, ['-V']).error === undefined)
  if (!canRun) return false
  // Root of a container may not.
  const name = `skein-edge-${process.pid}-try`
  const isMade = spawnSync('ip', ['netns', 'add', name]).status === 0
  spawnSync('ip', ['netns', 'del', name])
  return isMade
}

export const makeNetwork = (): Network => {
  const made: string[] = []
  const nameOf = (host: string): string => `skein-edge-${process.pid}-${host}`
  const ip = (host: string, ...args: string[]): void => {
    execFileSync('ip', ['-n', nameOf(host), ...args], { stdio: 'pipe' })
  }
  const add = (host: string): void => {
    execFileSync('ip', ['netns', 'add', nameOf(host)], { stdio: 'pipe' })
    made.push(nameOf(host))
    ip(host, 'link', 'set', 'lo', 'up')
  }
  const run = (host: string, command: string, args: readonly string[], input = ''): void => {
    execFileSync('ip', ['netns', 'exec', nameOf(host), command, ...args], { input, stdio: ['pipe', 'pipe', 'inherit'] })
  }
  /** A cable from an interface of one host to one of another, each with its address. */
  const cable = (host: string, face: string, address: string, to: string, port: string): void => {
    ip(host, 'link', 'add', face, 'type', 'veth', 'peer', 'name', port, 'netns', nameOf(to))
    ip(host, 'addr', 'add', address, 'dev', face)
    ip(host, 'link', 'set', face, 'up')
    ip(to, 'link', 'set', port, 'up')
  }
  const remove = (): void => {
    for (const name of made.splice(0)) execFileSync('ip', ['netns', 'del', name], { stdio: 'pipe' })
  }

  const connect = (host: string, address: string): void => {
    const port = `p-${host}`
    cable(host, 'wan', address, 'internet', port)
    ip('internet', 'link', 'set', port, 'master', 'br0')
  }
  try {
    for (const host of ['internet', 'hub', 'sensor', 'desk', 'router1', 'router2']) add(host)
    ip('internet', 'link', 'add', 'br0', 'type', 'bridge')
    ip('internet', 'link', 'set', 'br0', 'up')
    connect('hub', `${HUB}/24`)
    for (const [index, host] of ['sensor', 'desk'].entries()) {
      const router = `router${index + 1}`
      const inside = `10.${index + 1}.0`
      connect(router, `198.51.100.${101 + index}/24`)
      cable(host, 'eth0', `${inside}.2/24`, router, 'lan')
      ip(router, 'addr', 'add', `${inside}.1/24`, 'dev', 'lan')
      ip(host, 'route', 'add', 'default', 'via', `${inside}.1`)
      run(router, 'sysctl', ['-qw', 'net.ipv4.ip_forward=1'])
      run(router, 'nft', ['-f', '-'], ROUTER)
    }
  } catch (error) {
    remove()
    throw error
  }
  return { hub: HUB, on: (host) => ['ip', 'netns', 'exec', nameOf(host)], remove }
}
