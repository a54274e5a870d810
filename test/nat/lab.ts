/**
 * The NAT laboratory: two hosts, A and B, each behind a box that may be a NAT, and two public servers, all of them network
 * namespaces that the test made and that are gone after it. The machine's own network is not touched.
 *
 * The public network is a router, each box and server on a link of its own to it, so between two boxes, or a box and a
 * server, is one router, as there are some in any real network: a packet that leaves a host with a time to live of 2 passes
 * its box and no further. With `bridge` it is a bridge instead, and two boxes are next to each other.
 * Its addresses are 198.51.100.0/24, the router .1, with s1 at .11 and s2 at .12. A is 10.1.0.2 behind natA (.101), B is 10.2.0.2
 * behind natB (.102); with the type `none` they are 203.0.113.2 and 203.0.113.18, which everybody can reach. A private
 * address of another box leads nowhere: packets to it are lost without a word.
 *
 * The delay is on the cable between each box and the public network, half of the round trip in each direction. So
 * `roundTripMs` is the round trip from A, or B, to a server; from A to B it is twice that, straight or through a server.
 * Needs Linux, root, iproute2, nftables and conntrack, and for a delay a C compiler.
 */
import { type ChildProcess, execFileSync, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import type { TestContext } from '../support/suite.ts'
import { boxRules, type NatType, type OwnDatagrams } from './box-rules.ts'
import { openWire, type Wire, type WireSetting } from './wire.ts'

/** Names are unique for each process, so that laboratories running side by side do not meet. */
let labs = 0

const ROUTER = '198.51.100.1'
const SERVERS = [11, 12] as const
const BOXES = [1, 2, 3] as const
/** All public addresses, as the router has them. */
const PUBLIC_NETWORKS = ['198.51.100.0/24', '203.0.113.0/24'] as const
/** Addresses that a public host behind box 1, 2 and 3 has: 203.0.113.0/28 and so on. */
const PUBLIC_HOST_STEP = 16

export interface LabOptions extends Partial<WireSetting> {
  /** Round trip between a host and a server, beyond what the machine needs. Default: 0, then there is no wire. */
  readonly roundTripMs?: number
  /** No router in the public network. Default: false. */
  readonly bridge?: boolean
}

/** A machine of the laboratory. */
export class LabHost {
  readonly namespace: string
  address: string

  constructor(namespace: string, address: string) {
    this.namespace = namespace
    this.address = address
  }

  spawn(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return spawn('ip', ['netns', 'exec', this.namespace, command, ...args], options)
  }

  /** Runs `ip` here. */
  ip(...args: string[]): void {
    ip('-n', this.namespace, ...args)
  }

  /** Runs a program here to its end and gives what it printed. */
  run(command: string, args: readonly string[], input = ''): string {
    const whole = ['netns', 'exec', this.namespace, command, ...args]
    return execFileSync('ip', whole, { input, encoding: 'utf8', stdio: 'pipe' })
  }

  /** Rules as nft reads them. */
  filter(rules: string): void {
    this.run('nft', ['-f', '-'], rules)
  }
}

/** A box between the public network (`wan`) and one host (`lan`). */
class Box extends LabHost {
  /** 1, 2, 3: 10.1.0.0/24 and so on are inside. */
  readonly number: number
  wire: Wire | undefined

  constructor(namespace: string, number: number) {
    super(namespace, `198.51.100.${100 + number}`)
    this.number = number
  }

  get inside(): string {
    return `10.${this.number}.0.2`
  }

  /** The box forgets all it knows of who talks with whom. */
  forget(): void {
    this.run('conntrack', ['-F'])
  }

  /** What the box knows of UDP, one line each, as conntrack prints it. */
  mappings(): string[] {
    const lines = this.run('conntrack', ['-L', '-p', 'udp']).split('\n')
    return lines.filter((line) => line.startsWith('udp'))
  }

  /** Seconds that a mapping lives without traffic: after one packet, and after an answer. */
  setTimeouts(firstSeconds: number, answeredSeconds: number): void {
    this.run('sysctl', ['-qw', `net.netfilter.nf_conntrack_udp_timeout=${firstSeconds}`])
    this.run('sysctl', ['-qw', `net.netfilter.nf_conntrack_udp_timeout_stream=${answeredSeconds}`])
  }
}

export type { Box }

export class NatLab {
  readonly servers: readonly [LabHost, LabHost]
  readonly a: LabHost
  readonly b: LabHost
  readonly boxA: Box
  readonly boxB: Box
  readonly #context: TestContext
  readonly #prefix: string
  readonly #core: LabHost
  readonly #delay: WireSetting | undefined
  readonly #isBridge: boolean

  private constructor(context: TestContext, options: LabOptions) {
    this.#context = context
    this.#prefix = `skein-nat-${process.pid}-${++labs}`
    const { roundTripMs = 0, jitterMs = 0, lossPercent = 0, bridge = false } = options
    this.#isBridge = bridge
    const isPlain = roundTripMs === 0 && jitterMs === 0 && lossPercent === 0
    this.#delay = isPlain ? undefined : { delayMs: roundTripMs / 2, jitterMs, lossPercent }
    this.#core = new LabHost(this.#namespace('core'), ROUTER)
    if (bridge) {
      this.#core.ip('link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0')
      this.#core.ip('link', 'set', 'br0', 'up')
    } else this.#core.run('sysctl', ['-qw', 'net.ipv4.ip_forward=1'])
    const [s1, s2] = SERVERS.map((number, index) => this.#server(`s${index + 1}`, number))
    this.servers = [s1!, s2!]
    this.boxA = new Box(this.#namespace('natA'), 1)
    this.boxB = new Box(this.#namespace('natB'), 2)
    this.a = new LabHost(this.#namespace('A'), '')
    this.b = new LabHost(this.#namespace('B'), '')
  }

  /** Makes it, with A and B behind boxes of type `port`; taken down after the test. */
  static async open(t: TestContext, options: LabOptions = {}): Promise<NatLab> {
    mustHave(t)
    const lab = new NatLab(t, options)
    await lab.#join(lab.boxA, lab.a, 'eth0')
    await lab.#join(lab.boxB, lab.b, 'eth0')
    lab.arrange('port', 'port')
    return lab
  }

  /** Gives A and B boxes of these types, which know nothing yet. Whoever still runs on A and B has lost its network. */
  arrange(typeA: NatType, typeB: NatType, own: OwnDatagrams = 'drop'): void {
    for (const [box, host, type] of [
      [this.boxA, this.a, typeA],
      [this.boxB, this.b, typeB],
    ] as const) {
      this.#setUp(box, host, 'eth0', type, own)
    }
  }

  /**
   * Another box with its own way to the public network, which this host can change to: it is at the host's interface eth1,
   * which is down. At most one for a laboratory.
   */
  async addUplink(host: LabHost, type: NatType, own: OwnDatagrams = 'drop'): Promise<Box> {
    const box = new Box(this.#namespace('natC'), 3)
    const { address } = host
    await this.#join(box, host, 'eth1')
    this.#setUp(box, host, 'eth1', type, own)
    host.ip('link', 'set', 'eth1', 'down')
    // The interface in use has not changed.
    host.address = address
    this.#route(host, 'eth0', address)
    return box
  }

  /** The interface that is in use goes down, and eth1 comes up. */
  changeUplink(host: LabHost, box: Box, type: NatType): void {
    host.ip('link', 'set', 'eth0', 'down')
    host.ip('link', 'set', 'eth1', 'up')
    host.address = addressBehind(box, type)
    this.#route(host, 'eth1', host.address)
  }

  /** The host gets another address on this interface, which is in use; the old one is gone. */
  changeAddress(host: LabHost, interfaceName = 'eth0'): void {
    const next = host.address.replace(/\d+$/, (last) => String(Number(last) + 1))
    const length = prefixLength(host.address)
    host.ip('addr', 'del', `${host.address}/${length}`, 'dev', interfaceName)
    host.ip('addr', 'add', `${next}/${length}`, 'dev', interfaceName)
    host.address = next
    this.#route(host, interfaceName, next)
  }

  /** Through this box UDP passes to and from the servers only, or to and from everybody again. */
  wall(box: Box, on: boolean): void {
    const servers = this.servers.map(({ address }) => address).join(', ')
    if (!on) return box.filter('delete table ip wall')
    box.filter(`table ip wall {
      chain forward {
        type filter hook forward priority -10;
        iifname "lan" meta l4proto udp ip daddr != { ${servers} } drop
        iifname "wan" meta l4proto udp ip saddr != { ${servers} } drop
      }
    }`)
  }

  #server(role: string, number: number): LabHost {
    const server = new LabHost(this.#namespace(role), `198.51.100.${number}`)
    cable(server, 'eth0', this.#core, role)
    this.#joinPublic(server, 'eth0', role)
    if (this.#isBridge) publicRoutes(server, 0)
    return server
  }

  /** Cables a box to the public network and a host to the box. */
  async #join(box: Box, host: LabHost, interfaceName: string): Promise<void> {
    const port = `nat${box.number}`
    if (this.#delay === undefined) cable(box, 'wan', this.#core, port)
    else box.wire = await openWire(this.#context, [box.namespace, 'wan'], [this.#core.namespace, port], this.#delay)
    this.#joinPublic(box, 'wan', port)
    cable(host, interfaceName, box, 'lan')
    box.ip('link', 'set', 'lan', 'up')
    host.ip('link', 'set', interfaceName, 'up')
    box.run('sysctl', ['-qw', 'net.ipv4.ip_forward=1'])
    if (this.#isBridge) publicRoutes(box, box.number)
    else {
      this.#core.ip('route', 'add', networkBehind(box.number), 'via', box.address, 'dev', port, 'onlink')
      // While no public host is behind it: else box and router would send to and fro what is for one.
      box.ip('route', 'add', 'blackhole', networkBehind(box.number), 'metric', '1000')
    }
    box.ip('route', 'add', 'blackhole', 'default')
  }

  /**
   * Gives a public host its address, on the cable that ends at this port of the core. All of them know from the beginning
   * each other's hardware address: asking for it would make the first packet between two boxes a round trip late, which
   * no network out there does.
   */
  #joinPublic(host: LabHost, interfaceName: string, port: string): void {
    const own = lastByte(host.address)
    host.ip('link', 'set', interfaceName, 'address', hardwareAddress(own))
    if (this.#isBridge) {
      this.#core.ip('link', 'set', port, 'master', 'br0', 'up')
      host.ip('addr', 'add', `${host.address}/24`, 'dev', interfaceName)
      host.ip('link', 'set', interfaceName, 'up')
      for (const other of [...SERVERS, ...BOXES.map((number) => 100 + number)]) {
        if (other !== own) knowNeighbour(host, interfaceName, `198.51.100.${other}`)
      }
      return
    }
    this.#core.ip('link', 'set', port, 'address', hardwareAddress(lastByte(ROUTER)))
    for (const [one, itsName, other] of [
      [host, interfaceName, this.#core],
      [this.#core, port, host],
    ] as const) {
      one.ip('addr', 'add', one.address, 'peer', other.address, 'dev', itsName)
      one.ip('link', 'set', itsName, 'up')
      knowNeighbour(one, itsName, other.address)
    }
    for (const network of PUBLIC_NETWORKS) host.ip('route', 'add', network, 'via', ROUTER)
  }

  #setUp(box: Box, host: LabHost, interfaceName: string, type: NatType, own: OwnDatagrams): void {
    host.address = addressBehind(box, type)
    const length = prefixLength(host.address)
    const gateway = gatewayOf(host.address)
    box.ip('addr', 'flush', 'dev', 'lan', 'scope', 'global')
    box.ip('addr', 'add', `${gateway}/${length}`, 'dev', 'lan')
    host.ip('addr', 'flush', 'dev', interfaceName, 'scope', 'global')
    host.ip('addr', 'add', `${host.address}/${length}`, 'dev', interfaceName)
    this.#route(host, interfaceName, host.address)
    box.filter(`flush ruleset\n${boxRules({ type, own, publicAddress: box.address, insideAddress: box.inside })}`)
    box.forget()
  }

  #route(host: LabHost, interfaceName: string, address: string): void {
    host.ip('route', 'replace', 'default', 'via', gatewayOf(address), 'dev', interfaceName)
  }

  #namespace(role: string): string {
    const name = `${this.#prefix}-${role}`
    ip('netns', 'add', name)
    this.#context.defer(() => ip('netns', 'del', name))
    ip('-n', name, 'link', 'set', 'lo', 'up')
    return name
  }
}

const addressBehind = (box: Box, type: NatType): string =>
  type === 'none' ? `203.0.113.${(box.number - 1) * PUBLIC_HOST_STEP + 2}` : box.inside

const prefixLength = (address: string): number => (address.startsWith('10.') ? 24 : 28)

const gatewayOf = (address: string): string => {
  if (address.startsWith('10.')) return address.replace(/\d+$/, '1')
  const last = lastByte(address)
  return address.replace(/\d+$/, String(last - (last % PUBLIC_HOST_STEP) + 1))
}

const networkBehind = (boxNumber: number): string => `203.0.113.${(boxNumber - 1) * PUBLIC_HOST_STEP}/28`

/** Where there is no router, everybody public knows where the public hosts behind the boxes are. */
const publicRoutes = (host: LabHost, ownNumber: number): void => {
  for (const number of BOXES) {
    if (number !== ownNumber) host.ip('route', 'add', networkBehind(number), 'via', `198.51.100.${100 + number}`)
  }
}

const knowNeighbour = (host: LabHost, interfaceName: string, address: string): void => {
  const known = [address, 'lladdr', hardwareAddress(lastByte(address)), 'dev', interfaceName, 'nud', 'permanent']
  host.ip('neigh', 'replace', ...known)
}

const lastByte = (address: string): number => Number(address.slice(address.lastIndexOf('.') + 1))

const hardwareAddress = (number: number): string => `02:00:5e:00:00:${number.toString(16).padStart(2, '0')}`

const cable = (one: LabHost, oneName: string, other: LabHost, otherName: string): void => {
  const ends = ['netns', one.namespace, 'type', 'veth', 'peer', 'name', otherName, 'netns', other.namespace]
  ip('link', 'add', oneName, ...ends)
}

const mustHave = (t: TestContext): void => {
  if (process.platform !== 'linux') t.skip('network namespaces exist on Linux only')
  if (process.getuid?.() !== 0) t.missing('root')
  for (const program of ['ip', 'nft', 'conntrack']) {
    // Each of them knows this word, or complains; what counts is that it is there.
    if (spawnSync(program, ['--version']).error !== undefined) t.missing(`the program ${program}`)
  }
}

const ip = (...args: string[]): void => {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}
