/** Side sockets on loopback: real ones, how many there may be, and that none outlives its set or its thread. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import * as assert from 'uvu/assert'
import type { Address } from '../../transport/address.ts'
import { openSideSockets, type SideSocket } from '../../transport/side-sockets.ts'
import { UdpSocket } from '../../transport/socket.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { until } from './quic-support.ts'

const test = suite('side sockets')
const LOOPBACK = '127.0.0.1'

interface Datagram {
  readonly bytes: Uint8Array
  readonly from: Address
}

const openPeer = async (t: TestContext): Promise<{ socket: UdpSocket; at: Address; heard: Datagram[] }> => {
  const heard: Datagram[] = []
  const socket = await UdpSocket.open(LOOPBACK, 0, (bytes, host, port) => heard.push({ bytes, from: { host, port } }))
  t.defer(() => socket.close())
  return { socket, at: socket.bound, heard }
}

test('each socket has a port of its own, and what comes in tells by which', async (t) => {
  const peer = await openPeer(t)
  const heard: { text: string; port: number; from: Address }[] = []
  const set = openSideSockets(16, (bytes, from, { port }) => heard.push({ text: bytes.toString(), port, from }))
  t.defer(() => set.close())
  const sockets = await Promise.all(Array.from({ length: 16 }, () => set.open()))
  assert.is(new Set(sockets.map((socket) => socket!.port)).size, 16)
  const bytes = Buffer.from('0123456789')
  for (const socket of sockets) socket!.send(bytes, 4, peer.at)
  // Only lent.
  bytes.fill('x')
  await until(() => peer.heard.length === 16, 'all arrive')
  assert.ok(peer.heard.every((one) => Buffer.from(one.bytes).toString() === '0123' && one.from.host === LOOPBACK))
  const ports = peer.heard.map(({ from }) => from.port)
  assert.equal(new Set(ports), new Set(sockets.map((socket) => socket!.port)))
  for (const port of ports) peer.socket.send(Buffer.from(`to ${port}`), LOOPBACK, port)
  await until(() => heard.length === 16, 'all are answered')
  for (const { text, port, from } of heard) assert.equal([text, from], [`to ${port}`, peer.at])
})

test('a set is bounded, and a closed socket makes room', async (t) => {
  const set = openSideSockets(3, () => {})
  t.defer(() => set.close())
  const sockets = await Promise.all([set.open(), set.open(), set.open(), set.open()])
  assert.equal(
    sockets.map((socket) => socket !== undefined),
    [true, true, true, false],
  )
  sockets[1]!.close()
  sockets[1]!.close()
  assert.ok(await set.open())
  assert.is(await set.open(), undefined)
})

test('nothing is sent from a closed socket, nor heard', async (t) => {
  const peer = await openPeer(t)
  const heard: Buffer[] = []
  const set = openSideSockets(4, (bytes) => heard.push(bytes))
  const [closed, open] = [await set.open(), await set.open()] as [SideSocket, SideSocket]
  closed.close()
  closed.send(Buffer.from('no'), 2, peer.at)
  open.send(Buffer.from('port 0'), 6, { host: LOOPBACK, port: 0 })
  open.send(Buffer.from('yes'), 3, peer.at)
  await until(() => peer.heard.length === 1, 'the open one is heard')
  assert.is(Buffer.from(peer.heard[0]!.bytes).toString(), 'yes')
  const late = set.open()
  set.close()
  set.close()
  assert.is(await late, undefined, 'not even one that was being opened')
  assert.is(await set.open(), undefined)
  open.send(Buffer.from('no'), 2, peer.at)
  assert.is(heard.length, 0)
  // The ports are free again.
  const again = await UdpSocket.open('0.0.0.0', open.port, () => {})
  await again.close()
})

test(
  'when the machine gives no more descriptors there are fewer',
  async (t) => {
    if (process.platform === 'win32') t.skip('there are no limits of this kind')
    const file = fileURLToPath(new URL('./fixtures/few-descriptors.ts', import.meta.url))
    // Node raises its own limit as far as it may, so it has to be a hard one.
    const shell = ['-c', 'ulimit -n 150 && exec "$0" "$@"', process.execPath, '--import', 'tsx', file]
    const fixture = spawn('sh', shell, { stdio: ['ignore', 'ignore', 'inherit'] })
    t.defer(() => fixture.kill('SIGKILL'))
    const [code] = await once(fixture, 'exit')
    assert.is(code, 0)
  },
  { deadlineMs: 60_000 },
)

test(
  'a thread that exits under a flood closes its sockets first, and the process goes on',
  async (t) => {
    const { socket } = await openPeer(t)
    const program = fileURLToPath(new URL('./fixtures/side-sockets-worker.mjs', import.meta.url))
    for (let round = 0; round < 3; round++) {
      const counts = new Int32Array(new SharedArrayBuffer(8))
      const worker = new Worker(program, { workerData: counts })
      t.defer(() => worker.terminate())
      const [ports] = (await once(worker, 'message')) as [number[]]
      assert.is(ports.length, 8)
      let isOver = false
      const exit = once(worker, 'exit').then(() => {
        isOver = true
      })
      worker.postMessage('exit')
      while (!isOver) {
        for (const port of ports) socket.send(Buffer.alloc(100), LOOPBACK, port)
        await new Promise((resolve) => setImmediate(resolve))
      }
      await exit
      if (process.platform === 'linux') assert.equal([...counts], [8, 0], 'none is open at the very end')
    }
  },
  { deadlineMs: 60_000 },
)

test.run()
