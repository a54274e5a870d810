/** The checks of the machine itself: platform, interfaces, port, buffers, identity file, router. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { SkeinError } from '../../../certs/errors.ts'
import { createIdentity } from '../../../certs/identity.ts'
import type { MappingProtocol } from '../../../src/cluster/reach/mapping-protocol.ts'
import type { Finding } from '../../../src/doctor/finding.ts'
import { checkIdentity } from '../../../src/doctor/identity-file.ts'
import { checkInterfaces } from '../../../src/doctor/interfaces.ts'
import { checkPlatform, libcIn } from '../../../src/doctor/platform.ts'
import { checkBuffers, checkPort, droppedIn, measureBuffers } from '../../../src/doctor/port.ts'
import { holderOf, socketsOf } from '../../../src/doctor/port-holder.ts'
import { checkPortMapping } from '../../../src/doctor/port-mapping.ts'
import { systemClock } from '../../../transport/clock.ts'
import { systemRandom } from '../../../transport/random.ts'
import { suite, type TestContext } from '../../support/suite.ts'

const test = suite('doctor: the machine')

const DAY_MS = 24 * 60 * 60_000

const one = (findings: readonly Finding[]): Finding => {
  assert.is(findings.length, 1, JSON.stringify(findings))
  return findings[0]!
}

const engineOf = (why?: string) => async (): Promise<unknown> => {
  if (why !== undefined) throw new SkeinError('ERR_SKEIN_PLATFORM', why)
  return {}
}

test('this machine can run Skein, or no test would run', async () => {
  assert.is(one(await checkPlatform()).state, 'ok')
})

test('a platform without QUIC, a musl system, an old Node', async () => {
  const parts = {
    nodeVersion: '22.13.0',
    platform: 'linux-x64',
    loadEngine: engineOf('no prebuilt QUIC binary for it'),
  }
  const musl = one(await checkPlatform({ ...parts, libc: async () => 'musl' }))
  assert.equal([musl.state, musl.what], ['warning', 'Node 22.13.0 on linux-x64 with musl'])
  assert.match(musl.remedy ?? '', /glibc/)
  const glibc = one(await checkPlatform({ ...parts, libc: async () => 'glibc' }))
  assert.match(glibc.remedy ?? '', /npm ci/)
  const old = one(await checkPlatform({ ...parts, nodeVersion: '20.18.9', libc: async () => undefined }))
  assert.match(old.remedy ?? '', /Install Node 20\.19/)
  for (const nodeVersion of ['20.19.0', '21.0.0']) {
    assert.is(
      one(await checkPlatform({ ...parts, nodeVersion, libc: async () => 'glibc', loadEngine: engineOf() })).state,
      'ok',
    )
  }
})

test('the C library is read from the files that a process has mapped', () => {
  const row = (file: string): string => `7f00-7f01 r-xp 00000000 fe:00 1234   ${file}\n`
  assert.is(libcIn(row('/lib/ld-musl-x86_64.so.1')), 'musl')
  assert.is(libcIn(row('/usr/lib/x86_64-linux-gnu/libc.so.6')), 'glibc')
  assert.is(libcIn(row('/lib/x86_64-linux-gnu/libc-2.31.so')), 'glibc')
  assert.is(libcIn(row('/usr/lib/libcrypto.so.3')), undefined)
})

test('interfaces: none, only link-local, only IPv6, and the usual', () => {
  const at = (address: string, internal = false) => ({
    address,
    internal,
    family: address.includes(':') ? 'IPv6' : 'IPv4',
  })
  const lo = [at('127.0.0.1', true)]
  assert.match(one(checkInterfaces({ lo })).what, /no interface but the loopback/)
  assert.match(one(checkInterfaces({ lo, eth0: [at('169.254.7.7'), at('fe80::1')] })).what, /Only link-local/)
  assert.match(one(checkInterfaces({ lo, eth0: [at('2001:db8::1')] })).what, /No IPv4 address: eth0/)
  const usual = one(checkInterfaces({ lo, eth0: [at('10.0.0.7'), at('2001:db8::1')] }))
  assert.equal([usual.state, usual.what], ['ok', 'eth0 10.0.0.7 2001:db8::1'])
})

test('who holds a port is told on Linux, with process and command', async (t) => {
  if (process.platform !== 'linux') t.skip('/proc/net is of Linux')
  const port = await takePort(t)
  const holder = await holderOf(port)
  assert.is(holder?.processId, process.pid)
  assert.match(holder?.command ?? '', /node/)
})

test('rows of the table of sockets, and rows that are none', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  403: 0100007F:1151 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 4711 2 0 0
  404: 00000000000000000000000000000000:1151 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4712 2 0 0
  405: 0100007F:1152 garbage
garbage
`
  assert.equal(socketsOf(table, 4433), [
    { inode: '4711', userId: 1000 },
    { inode: '4712', userId: 0 },
  ])
  assert.equal(socketsOf('', 4433), [])
})

test('a port: free, taken by a node, taken by another program, chosen or not', async (t) => {
  const port = await takePort(t)
  const holder = async () => ({ processId: undefined, command: undefined, userId: 33 })
  const config = { host: '127.0.0.1', port, portFallback: false }
  const silent = { answers: async () => false, holder }
  const chosen = one(await checkPort(config, silent))
  assert.equal([chosen.state, chosen.what], ['failed', `UDP port ${port} is held by a program of user 33`])
  assert.match(chosen.remedy ?? '', /(ss|lsof|netstat) .*--port/)
  assert.is(one(await checkPort({ ...config, portFallback: true }, silent)).state, 'warning')
  const node = one(await checkPort(config, { answers: async () => true, holder }))
  assert.is(node.state, 'ok')
  assert.match(node.what, /a Skein node/)
  assert.is(one(await checkPort({ ...config, port: 0 }, silent)).state, 'ok')
  const foreign = one(await checkPort({ ...config, host: '192.0.2.1' }, silent))
  assert.equal([foreign.state, /--host/.test(foreign.remedy ?? '')], ['failed', true])
})

test('small buffers are told in what can be used of them, with what was lost', () => {
  const small = one(checkBuffers({ receiveBytes: 425_984, sendBytes: 425_984, dropped: 7 }, 'linux'))
  assert.is(small.state, 'warning')
  assert.match(small.what, /gives 208 KiB to receive and 208 KiB to send, of 8 MiB asked for: small socket buffers/)
  assert.match(small.why ?? '', /7 datagrams were lost/)
  assert.match(small.remedy ?? '', /sysctl -w net\.core\.rmem_max=8388608/)
  assert.is(one(checkBuffers({ receiveBytes: 2 << 20, sendBytes: 2 << 20, dropped: undefined }, 'linux')).state, 'ok')
  assert.is(
    one(checkBuffers({ receiveBytes: 786_432, sendBytes: 786_432, dropped: undefined }, 'darwin')).state,
    'warning',
  )
})

test('buffers of this machine are measured, and lost datagrams read from the table of the kernel', async () => {
  const { receiveBytes, sendBytes } = await measureBuffers({ host: '127.0.0.1' })
  assert.ok(receiveBytes > 0 && sendBytes > 0)
  const table =
    'Ip: Forwarding\nIp: 1\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors\nUdp: 1 2 3 4 5\nUdpLite: RcvbufErrors\nUdpLite: 9\n'
  assert.is(droppedIn(table), 5)
  assert.is(droppedIn(''), undefined)
})

test('an identity file: none, sound, near its end, expired, from the future, open to others, garbage', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-doctor-'))
  t.defer(() => rm(folder, { recursive: true }))
  const nowMs = Date.UTC(2030, 5)
  const save = async (name: string, startMs: number, validForMs: number): Promise<string> => {
    const { privateKeyPem, certificatePem } = await createIdentity({ wallNowMs: startMs, validForMs })
    const file = join(folder, name)
    await writeFile(file, privateKeyPem + certificatePem, { mode: 0o600 })
    return file
  }
  const look = async (file: string): Promise<Finding> => one(await checkIdentity(file, nowMs))
  assert.is(one(await checkIdentity(undefined, nowMs)).state, 'skipped')
  assert.is((await look(join(folder, 'none'))).state, 'ok')
  const sound = await save('sound', nowMs - DAY_MS, 100 * DAY_MS)
  assert.is((await look(sound)).state, 'ok')
  assert.is((await look(await save('ending', nowMs - 90 * DAY_MS, 100 * DAY_MS))).state, 'warning')
  // The last quarter of a short life.
  assert.is((await look(await save('brief', nowMs - 5 * DAY_MS, 7 * DAY_MS))).state, 'ok')
  assert.is((await look(await save('brief-ending', nowMs - 6 * DAY_MS, 7 * DAY_MS))).state, 'warning')
  const expired = await look(await save('expired', nowMs - 9 * DAY_MS, 2 * DAY_MS))
  assert.equal([expired.check, expired.state], ['certificate', 'failed'])
  assert.match(expired.what, /Expired certificate: .* 7 days ago/)
  assert.match((await look(await save('early', nowMs + DAY_MS, DAY_MS))).what, /not valid before 2030-06-02/)
  await chmod(sound, 0o644)
  assert.match((await look(sound)).remedy ?? '', /chmod 600/)
  await writeFile(join(folder, 'garbage'), 'no key', { mode: 0o600 })
  assert.match((await look(join(folder, 'garbage'))).what, /ERR_SKEIN_BAD_IDENTITY/)
})

test('the router: not asked, one that maps and gets it back, one behind another NAT, none', async () => {
  const parts = { clock: systemClock, random: systemRandom }
  assert.is(one(await checkPortMapping(false, parts)).state, 'skipped')
  const asked: number[] = []
  const router = (host: string): MappingProtocol => ({
    name: 'NAT-PMP',
    map: async ({ internalPort, lifetimeSeconds }) => {
      asked.push(lifetimeSeconds)
      return { address: { host, port: internalPort }, lifetimeMs: 1000 }
    },
    unmap: async ({ lifetimeSeconds }) => void asked.push(lifetimeSeconds),
  })
  const silent: MappingProtocol = {
    name: 'UPnP',
    map: () => Promise.reject(new Error('no answer')),
    unmap: () => Promise.reject(new Error('no answer')),
  }
  const maps = one(await checkPortMapping(true, { ...parts, protocols: [silent, router('198.51.100.7')] }))
  assert.is(maps.state, 'ok', maps.what)
  assert.match(maps.what, /by NAT-PMP; it led 198\.51\.100\.7:\d+ here/)
  assert.equal([asked.length, asked.at(-1)], [2, 0], 'what was mapped is given back')
  const inner = one(await checkPortMapping(true, { ...parts, protocols: [router('10.0.0.1')] }))
  assert.match(inner.what, /another NAT beyond it/)
  const none = one(await checkPortMapping(true, { ...parts, protocols: [silent] }))
  assert.equal([none.state, none.what], ['warning', 'The router maps no port: UPnP: no answer.'])
})

const takePort = async (t: TestContext): Promise<number> => {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.defer(() => socket.close())
  return socket.address().port
}

test.run()
