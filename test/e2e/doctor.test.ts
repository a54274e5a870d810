/**
 * `skein doctor` on machines with something wrong: each trouble is made for real, and it names the cause. Hosts of a LAN
 * where the network has the trouble, this machine's loopback where a file, a port or a clock has it.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { createIdentity, type Identity } from '../../certs/identity.ts'
import { Keyring } from '../../certs/keyring.ts'
import { deriveKeys } from '../../certs/keys.ts'
import { resolveConfig } from '../../src/config.ts'
import type { SkeinNode } from '../../src/node.ts'
import { startConfigured } from '../../src/start.ts'
import { formatAddress } from '../../transport/address.ts'
import { systemClock } from '../../transport/clock.ts'
import { freshSettings } from '../src/cli/cli-support.ts'
import { type LanHost, lan } from '../support/lan.ts'
import { suite, type TestContext } from '../support/suite.ts'
import {
  atOnce,
  type Diagnosis,
  doctor,
  healthy,
  lookHere,
  named,
  nodeOn,
  onlyFailed,
  openSettings,
  type Settings,
} from './doctor-support.ts'
import { temporaryFolder } from './support.ts'

const DEADLINE_MS = 60_000
const DAY_MS = 24 * 60 * 60_000
const MINUTE_MS = 60_000
const SMALL_BUFFERS = fileURLToPath(new URL('fixtures/small-buffers.mjs', import.meta.url))

const test = suite('skein doctor', { watchdogMs: 600_000 })

const within = { deadlineMs: DEADLINE_MS }

/** A rule of the packet filter of a host. */
const rule = (chain: 'input' | 'output', what: string): string =>
  `table inet doctor {
    chain ${chain} {
      type filter hook ${chain} priority 0;
      ${what}
    }
  }`

const pairOfHosts = (t: TestContext, options: Parameters<typeof lan>[2] = {}): readonly [LanHost, LanHost] => {
  const [one, other] = lan(t, 2, options)
  return [one!, other!]
}

test(
  'nothing is wrong between two healthy hosts, nor where the node itself runs',
  async (t) => {
    const [here, there] = pairOfHosts(t)
    const settings = openSettings('both')
    const args = ['--seed', `${there.ipv4}:4433`, '--dht', `${there.ipv4}:4433`]
    await nodeOn(t, there, ['--name', 'a@there'], settings)
    const [beside, itself] = await Promise.all([
      doctor(t, [...args, 'a@there'], settings, here),
      doctor(t, [], settings, there),
    ])
    healthy(beside)
    named(beside, 'ok', /^udp: UDP goes out and answers come in: 1 of 1/)
    named(beside, 'ok', /^members: a@there .* is a member/)
    named(beside, 'ok', /^multicast: .* 1 other host answered/)
    named(beside, 'ok', /^clock: Within/)
    named(beside, 'ok', /^nat: Open: seen at its own address 10\.77\.0\.1:/)
    named(beside, 'ok', /^connection: This machine is connected with a@there directly, at 10\.77\.0\.2:4433/)
    healthy(itself)
    named(itself, 'ok', /^port: UDP port 4433 is held by process \d+ .* a Skein node/)
    named(itself, 'ok', /^members: a@there/)
  },
  within,
)

test(
  'UDP blocked, with and without TCP to stand in for it',
  (t) =>
    atOnce({
      'on the way in, on the way out, and at the other end': async () => {
        const settings = openSettings('dht')
        const cases: readonly ['here' | 'there', string, RegExp][] = [
          ['here', rule('input', 'iifname eth0 meta l4proto udp drop'), /drops UDP that comes in here/],
          ['here', rule('output', 'oifname eth0 meta l4proto udp drop'), /own packet filter/],
          ['there', rule('input', 'iifname eth0 meta l4proto udp drop'), /A firewall here, there or between drops UDP/],
        ]
        const look = async ([where, rules, why]: (typeof cases)[number]): Promise<void> => {
          const [here, there] = pairOfHosts(t)
          await nodeOn(t, there, ['--name', 'a@there'], settings)
          const blocked = where === 'here' ? here : there
          blocked.filter(t, rules)
          const found = await doctor(t, ['--seed', `${there.ipv4}:4433`], settings, here)
          assert.match(named(found, 'failed', /^udp: UDP blocked/).why ?? '', why)
          onlyFailed(found, 'udp', 'members')
          assert.not.match(JSON.stringify(found.findings), /Wrong cookie/)
        }
        await Promise.all(cases.map(look))
      },
      'told even where TCP stands in for it': async () => {
        const settings = openSettings('dht')
        const [here, there] = pairOfHosts(t)
        await nodeOn(t, there, ['--name', 'a@there'], { ...settings, SKEIN_TCP: 'true' })
        here.filter(t, rule('input', 'iifname eth0 meta l4proto udp drop'))
        const found = await doctor(t, ['--seed', `${there.ipv4}:4433`, 'a@there'], settings, here)
        named(found, 'failed', /^udp: UDP blocked.* 10\.77\.0\.2:4433 answers nothing by UDP/)
        named(found, 'ok', /^members: a@there .* connected over TCP/)
        named(found, 'warning', /^connection: This machine is connected with a@there over TCP/)
        onlyFailed(found, 'udp')
      },
    }),
  { deadlineMs: 2 * DEADLINE_MS },
)

test(
  'multicast blocked: by the filter of this machine either way, and by the switch while a member is there and uses it',
  async (t) => {
    const settings = openSettings('both')
    const look = async (chain: 'input' | 'output' | undefined): Promise<void> => {
      const [here, there] = pairOfHosts(t, { multicast: chain !== undefined })
      await nodeOn(t, there, ['--name', 'a@there'], settings)
      if (chain !== undefined) here.filter(t, rule(chain, 'udp dport 5353 ip daddr 224.0.0.0/4 drop'))
      const found = await doctor(t, ['--seed', `${there.ipv4}:4433`], settings, here)
      const where = chain === undefined ? /the network of eth0: a@there/ : /^multicast: Multicast blocked on eth0/
      const { why } = named(found, 'failed', where)
      if (chain !== undefined) assert.match(why ?? '', /own packet filter/)
      onlyFailed(found, 'multicast')
    }
    await Promise.all((['input', 'output', undefined] as const).map(look))
  },
  { deadlineMs: 2 * DEADLINE_MS },
)

test(
  'on one machine: cookies, certificates, clocks, buffers, ports',
  (t) =>
    atOnce({
      'a wrong cookie, and another cluster with the same one': async () => {
        const settings: Settings = { ...freshSettings(), SKEIN_DISCOVERY: 'dht' }
        const node = await memberHere(t, settings)
        const seeds = [addressOf(node)]
        const [stranger, other] = await Promise.all([
          lookHere({ ...settings, SKEIN_COOKIE: 'another cookie of 8 bytes or more' }, { seeds }),
          lookHere({ ...settings, SKEIN_CLUSTER: 'another' }, { seeds }),
        ])
        assert.match(named(stranger, 'failed', /^cookie: Wrong cookie/).why ?? '', /UDP is not blocked/)
        onlyFailed(stranger, 'cookie')
        named(other, 'failed', /^members: .* belongs to another cluster than "another"/)
        onlyFailed(other, 'members')
      },
      'a cookie file that others can read, and none at all': async () => {
        const folder = await temporaryFolder(t)
        const { SKEIN_COOKIE: _cookie, ...settings } = freshSettings()
        const file = join(folder, 'cookie')
        await writeFile(file, 'a cookie that everybody can read', { mode: 0o644 })
        await chmod(file, 0o644)
        const [open, none] = await Promise.all([
          doctor(t, ['--cookie-file', file], settings),
          lookHere({ ...settings, XDG_CONFIG_HOME: folder }),
        ])
        assert.match(named(open, 'failed', /^cookie: .*ERR_SKEIN_INSECURE_FILE/).remedy ?? '', /chmod 600/)
        healthy(none)
        named(none, 'warning', /^cookie: There is no cookie yet/)
        const made = await readFile(join(folder, 'skein', 'cookie')).catch(() => undefined)
        assert.is(made, undefined, 'a look makes nothing')
      },
      'an expired certificate: in a file, and shown by another node': async () => {
        const settings: Settings = { ...freshSettings(), SKEIN_DISCOVERY: 'dht' }
        const identity = await createIdentity({ wallNowMs: Date.now() - 3 * DAY_MS, validForMs: DAY_MS })
        const file = join(await temporaryFolder(t), 'identity.pem')
        await writeFile(file, identity.privateKeyPem + identity.certificatePem, { mode: 0o600 })
        const node = await memberHere(t, settings, { identity })
        const [ofFile, ofNode] = await Promise.all([
          lookHere(settings, { identityFile: file }),
          lookHere(settings, { seeds: [addressOf(node)] }),
        ])
        named(ofFile, 'failed', /^certificate: Expired certificate: that in .* 2 days ago|1 day ago/)
        onlyFailed(ofFile, 'certificate')
        assert.is(await readFile(file, 'utf8'), identity.privateKeyPem + identity.certificatePem, 'only looked at')
        assert.match(
          named(ofNode, 'failed', /^certificate: Expired certificate: 127\.0\.0\.1/).why ?? '',
          /The clocks agree/,
        )
        named(ofNode, 'ok', /^clock: Within/)
        onlyFailed(ofNode, 'certificate')
      },
      'a clock that is off: by ten minutes in either direction, and by ten seconds': async () => {
        const behind = /^clock: Clock off: this machine is 10\.0 minutes behind a@/
        const ahead = /^clock: Clock off: this machine is 10\.0 minutes ahead of a@/
        const look = async (aheadMs: number): Promise<Diagnosis> => {
          const settings = freshSettings()
          return lookHere(settings, { seeds: [addressOf(await memberHere(t, settings, { aheadMs }))] })
        }
        const [early, late, slightly] = await Promise.all([10 * MINUTE_MS, -10 * MINUTE_MS, 10_000].map(look))
        assert.match(named(early!, 'failed', behind).remedy ?? '', /timedatectl/)
        onlyFailed(early!, 'clock', 'members')
        assert.match(named(late!, 'failed', ahead).remedy ?? '', /timedatectl/)
        onlyFailed(late!, 'clock')
        healthy(slightly!)
        named(slightly!, 'warning', /^clock: Clock off: this machine is 10\.\d s behind/)
      },
      'small socket buffers': async () => {
        const settings = freshSettings()
        const found = await doctor(t, [], { ...settings, NODE_OPTIONS: `--import ${SMALL_BUFFERS}` })
        assert.match(
          named(found, 'warning', /^buffers: .* small socket buffers/).remedy ?? '',
          /rmem_max|maxsockbuf|limit/,
        )
        healthy(found)
      },
      'a port that another program has: it is named, and a chosen port is a failure': async () => {
        const socket = createSocket('udp4')
        socket.bind(0, '127.0.0.1')
        await once(socket, 'listening')
        t.defer(() => socket.close())
        const { port } = socket.address()
        const found = await lookHere(freshSettings(), { port })
        const { what, remedy } = named(found, 'failed', /^port: UDP port \d+ is held by/)
        if (process.platform === 'linux') assert.match(what, new RegExp(`held by process ${process.pid} `))
        assert.match(remedy ?? '', /choose another port/)
        onlyFailed(found, 'port')
      },
    }),
  { deadlineMs: 2 * DEADLINE_MS },
)

test(
  'silence of a node and of nobody',
  (t) =>
    atOnce({
      'a wrong cookie where the node has no DHT that would answer, and where it listens on TCP too': async () => {
        const [here, there] = pairOfHosts(t)
        const settings = openSettings('none')
        const stranger = { ...settings, SKEIN_COOKIE: 'another cookie of 8 bytes or more' }
        const other = openSettings('dht')
        await Promise.all([
          nodeOn(t, there, ['--name', 'a@there'], settings),
          nodeOn(t, there, ['--name', 'b@there', '--port', '4444'], { ...other, SKEIN_TCP: 'true' }),
        ])
        const [silent, tcp] = await Promise.all([
          doctor(t, ['--seed', `${there.ipv4}:4433`], stranger, here),
          doctor(t, ['--seed', `${there.ipv4}:4444`], { ...other, SKEIN_COOKIE: 'yet another cookie' }, here),
        ])
        const { why, remedy } = named(
          silent,
          'failed',
          /^udp: UDP blocked on the way back, or a stranger: 10\.77\.0\.2:4433/,
        )
        assert.match(why ?? '', /another cookie/)
        assert.match(remedy ?? '', /tags/)
        named(tcp, 'failed', /^cookie: Wrong cookie: 10\.77\.0\.2:4444/)
        onlyFailed(tcp, 'cookie')
      },
      'nobody listens, a name without address, a host that is not there': async () => {
        const [here, there] = pairOfHosts(t)
        const settings = openSettings('none')
        const found = await doctor(
          t,
          ['--seed', `${there.ipv4}:4433`, '--seed', '10.77.0.99:4433', '--seed', 'nowhere.invalid:4433'],
          settings,
          here,
        )
        named(found, 'failed', /^udp: Nobody listens at 10\.77\.0\.2:4433/)
        named(found, 'failed', /^udp: (10\.77\.0\.99:4433 answers neither|There is no way to 10\.77\.0\.99)/)
        named(found, 'failed', /^udp: The host name nowhere\.invalid has no address/)
        onlyFailed(found, 'udp', 'members')
      },
    }),
  within,
)

test(
  'the way to one node, and between two others',
  async (t) => {
    const [here, there, third] = lan(t, 3)
    const settings = openSettings('both')
    await Promise.all([
      nodeOn(t, there!, ['--name', 'a@there'], settings),
      nodeOn(t, third!, ['--name', 'b@third'], settings),
    ])
    const [pair, unknown] = await Promise.all([
      doctor(t, ['a@there', 'b@third', '--seed', `${there!.ipv4}:4433`], settings, here),
      doctor(t, ['nobody@nowhere', '--seed', `${there!.ipv4}:4433`], settings, here),
    ])
    healthy(pair)
    named(pair, 'ok', /^connection: a@there is connected with b@third directly/)
    named(pair, 'ok', /^connection: b@third is connected with a@there directly/)
    named(pair, 'ok', /^pair: a@there and b@third are connected/)
    named(unknown, 'failed', /^discovery: Nobody knows a node nobody@nowhere/)
    onlyFailed(unknown, 'discovery', 'connection')
  },
  within,
)

interface MemberOptions {
  /** How far its clock is ahead. */
  readonly aheadMs?: number
  readonly identity?: Identity
}

/** A member of the settings' cluster on the loopback, in this process. */
const memberHere = async (
  t: TestContext,
  settings: Settings,
  { aheadMs = 0, identity }: MemberOptions = {},
): Promise<SkeinNode> => {
  const { SKEIN_COOKIE: cookie = '', SKEIN_CLUSTER: cluster = '' } = settings
  const own = identity === undefined ? {} : { identity }
  const discovery = { mdns: false, dht: true }
  const options = { name: 'a', cluster, host: '127.0.0.1', port: 0, discovery, logLevel: 'silent', ...own } as const
  const clock = { ...systemClock, wallNow: () => systemClock.wallNow() + aheadMs }
  const keys = new Keyring(deriveKeys(Buffer.from(cookie), cluster))
  const node = await startConfigured(resolveConfig(options, {}, hostname()), keys, undefined, clock)
  t.defer(() => node.stop())
  return node
}

const addressOf = (node: SkeinNode): string => formatAddress(node.addresses[0]!)

test.run()
