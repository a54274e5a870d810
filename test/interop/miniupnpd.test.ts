/**
 * miniupnpd, the daemon of most routers that run Linux, maps our port by each protocol it speaks: PCP, NAT-PMP and UPnP.
 * Three hosts: one behind the router, the router, and one outside whose datagrams reach the port only through a mapping.
 */
import { type ChildProcess, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { temporaryFolder } from '../e2e/support.ts'
import { type LanHost, lan } from '../support/lan.ts'
import { SaidLines } from '../support/said-lines.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { needs } from './flows.ts'

const test = suite('miniupnpd')

const FIXTURE = fileURLToPath(new URL('fixtures/port-mapper.ts', import.meta.url))
/** miniupnpd refuses outer addresses that are no public ones; nothing leaves the namespaces. */
const OUTER = '11.22.33.44'
const STRANGER = '11.22.33.55'
const PORT = 4433

const RULES = `
table inet filter {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname eth0 accept
    jump miniupnpd
  }
  chain miniupnpd {}
  chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
  chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd; oifname outer masquerade; }
  chain prerouting_miniupnpd {}
  chain postrouting_miniupnpd {}
}`

const startRouter = async (
  t: TestContext,
  settings: readonly string[],
  rules = '',
): Promise<{ inside: LanHost; outside: LanHost }> => {
  needs(t, 'miniupnpd-nftables', 'miniupnpd', ['--version'])
  const [router, inside] = lan(t, 2) as [LanHost, LanHost]
  const [outside] = lan(t, 1, { loopbackOnly: true }) as [LanHost]
  router.ip('link', 'add', 'outer', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside.namespace)
  router.ip('addr', 'add', `${OUTER}/24`, 'dev', 'outer')
  router.ip('link', 'set', 'outer', 'up')
  outside.ip('addr', 'add', `${STRANGER}/24`, 'dev', 'eth0')
  outside.ip('link', 'set', 'eth0', 'up')
  inside.ip('route', 'add', 'default', 'via', router.ipv4)
  execFileSync('ip', ['netns', 'exec', router.namespace, 'sysctl', '-qw', 'net.ipv4.ip_forward=1'])
  router.filter(t, RULES + rules)
  const folder = await temporaryFolder(t)
  const file = join(folder, 'miniupnpd.conf')
  const common = [
    'ext_ifname=outer',
    'listening_ip=eth0',
    'ipv6_disable=yes',
    'http_port=5000',
    'secure_mode=yes',
    'min_lifetime=20',
    'uuid=5d4c1b9e-1d4b-4f0a-9a51-7a3c6b2f0e11',
    'allow 1024-65535 10.77.0.0/24 1024-65535',
    'deny 0-65535 0.0.0.0/0 0-65535',
  ]
  writeFileSync(file, [...common, ...settings, ''].join('\n'))
  const daemon = router.spawn('miniupnpd', ['-d', '-f', file, '-P', join(folder, 'pid')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.defer(() => kill(daemon))
  const said = new SaidLines(daemon, [daemon.stderr!])
  await said.next((line) => /HTTP listening|Listening for NAT-PMP|listening on/i.test(line))
  return { inside, outside }
}

const kill = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

const startMapper = (t: TestContext, inside: LanHost, protocol: string) => {
  const child = inside.spawn(process.execPath, ['--import', 'tsx', FIXTURE, protocol, String(PORT)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.defer(() => kill(child))
  return { child, said: new SaidLines(child, [child.stdout!]) }
}

/** What the port outside answers to a stranger. */
const knock = (outside: LanHost, waitMs: number): string => {
  const program = `
    const socket = require('node:dgram').createSocket('udp4')
    socket.on('message', (bytes) => { console.log(String(bytes)); process.exit() })
    setTimeout(() => { console.log('nothing'); process.exit() }, ${waitMs})
    socket.send('knock', ${PORT}, '${OUTER}')`
  const args = ['netns', 'exec', outside.namespace, process.execPath, '-e', program]
  return execFileSync('ip', args, { encoding: 'utf8' }).trim()
}

/** A router that drops what it does not know: of all datagrams for port 5351 those that begin with the version of PCP. */
const NO_PCP = `
table inet old {
  chain input { type filter hook input priority 0; udp dport 5351 @th,64,8 2 drop; }
}`

for (const { title, protocol, settings, told, rules } of [
  { title: 'PCP', protocol: 'pcp', settings: ['enable_natpmp=yes', 'enable_upnp=no'], told: 'PCP' },
  {
    title: 'NAT-PMP',
    protocol: 'pcp',
    settings: ['enable_natpmp=yes', 'enable_upnp=no'],
    told: 'NAT-PMP',
    rules: NO_PCP,
  },
  { title: 'UPnP, version 2', protocol: 'upnp', settings: ['enable_natpmp=no', 'enable_upnp=yes'], told: 'UPnP' },
  {
    title: 'UPnP, version 1',
    protocol: 'upnp',
    settings: ['enable_natpmp=no', 'enable_upnp=yes', 'force_igd_desc_v1=yes'],
    told: 'UPnP',
  },
]) {
  test(
    `maps a port by ${title}, through which a stranger gets in, and takes it back`,
    async (t) => {
      const { inside, outside } = await startRouter(t, settings, rules)
      const mapper = startMapper(t, inside, protocol)
      const status = await mapper.said.next((line) => line.startsWith('the router'))
      assert.is(status, `the router leads ${OUTER}:${PORT} here, by ${told}`)
      assert.is(knock(outside, 5000), 'answer')
      mapper.child.stdin!.end()
      await mapper.said.next((line) => line === 'stopped')
      // Otherwise the connection that was tracked a moment ago would still let it in.
      assert.is(knock(outside, 500), 'nothing')
    },
    { deadlineMs: 60_000 },
  )
}

test.run()
