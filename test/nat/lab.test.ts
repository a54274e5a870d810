/**
 * The laboratory is what it claims to be, shown with plain UDP before any node is in it: mappings and filters as RFC 4787
 * has them for each type, mappings that end, a NAT that takes datagrams to itself, delay and loss.
 */
import { networkInterfaces } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { suite, type TestContext } from '../support/suite.ts'
import { HostChild } from './child.ts'
import { type LabHost, type LabOptions, NatLab } from './lab.ts'
import type { UdpCommand, UdpReport } from './udp-program.ts'

const test = suite('nat lab')
const PROGRAM = fileURLToPath(new URL('./udp-program.ts', import.meta.url))
/** What comes at all comes at once here, or after the delay of the wire. */
const PATIENCE_MS = 600
/** Ports that A, or a server, has open. */
const [ONE, OTHER] = [5000, 5001]
/** Open for IPv6 and IPv4, as the port of a node is. */
const DUAL = 5002

interface Place {
  readonly address: string
  readonly port: number
}

/** A plain UDP program on one host. */
class Udp {
  readonly #host: LabHost
  readonly #heard: UdpReport[] = []
  #child: HostChild<UdpCommand, UdpReport> | undefined
  #wake = (): void => {}
  #texts = 0

  private constructor(host: LabHost) {
    this.#host = host
  }

  static async start(t: TestContext, host: LabHost): Promise<Udp> {
    const self = new Udp(host)
    const child = await HostChild.start<UdpCommand, UdpReport>(t, host, PROGRAM, (report) => {
      self.#heard.push(report)
      self.#wake()
    })
    self.#child = child
    for (const port of [ONE, OTHER]) await child.tell({ do: 'open', port })
    return self
  }

  async openDual(): Promise<void> {
    await this.#child?.tell({ do: 'open', port: DUAL, host: '::' })
  }

  /** Sends to a place and gives where the other program saw it come from; undefined if it did not see it. */
  async reach(other: Udp, to: Place, from = ONE, hops?: number): Promise<Place | undefined> {
    const text = `${++this.#texts} of ${this.#host.namespace}`
    await this.#child?.tell({ do: 'send', from, to, text, ...(hops !== undefined && { hops }) })
    return other.#hear(text)
  }

  async #hear(text: string): Promise<Place | undefined> {
    const late = sleep(PATIENCE_MS, undefined, { ref: false })
    let isLate = false
    void late.then(() => {
      isLate = true
      this.#wake()
    })
    for (;;) {
      const found = this.#heard.find((report) => report.text === text)
      if (found !== undefined || isLate) return found?.from
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

const isIPv6Here = (): boolean =>
  Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))

const open = async (t: TestContext, options?: LabOptions) => {
  const lab = await NatLab.open(t, options)
  const [first, second] = lab.servers
  const [a, s1, s2] = await Promise.all([Udp.start(t, lab.a), Udp.start(t, first), Udp.start(t, second)])
  /** A sends from its first port; gives where the server saw it come from. */
  const out = (server: Udp, port = ONE): Promise<Place | undefined> =>
    a.reach(server, { address: server === s1 ? first.address : second.address, port })
  return { lab, a, s1, s2, out }
}

test('without a NAT A is seen as it is, and everybody reaches it', async (t) => {
  const { lab, a, s1, out } = await open(t)
  lab.arrange('none', 'none')
  assert.equal(await out(s1), { address: lab.a.address, port: ONE })
  assert.ok(await s1.reach(a, { address: lab.a.address, port: OTHER }))
})

for (const type of ['full', 'addr', 'port'] as const) {
  test(`${type}: one mapping for all`, async (t) => {
    const { lab, s1, s2, out } = await open(t)
    lab.arrange(type, 'port')
    const seen = [await out(s1), await out(s2), await out(s1, OTHER)]
    for (const place of seen) assert.equal(place, seen[0])
    assert.is(seen[0]?.address, lab.boxA.address)
  })
}

test('full: whoever knows the mapping may send to it', async (t) => {
  const { lab, a, s1, s2, out } = await open(t)
  lab.arrange('full', 'port')
  const mapped = await out(s1)
  assert.ok(await s2.reach(a, mapped!))
})

test('addr: whom A has sent to may answer, from any port', async (t) => {
  const { lab, a, s1, s2, out } = await open(t)
  lab.arrange('addr', 'port')
  const mapped = await out(s1)
  assert.ok(await s1.reach(a, mapped!))
  assert.ok(await s1.reach(a, mapped!, OTHER), 'from another port')
  assert.not(await s2.reach(a, mapped!), 'from another address')
  await out(s2)
  assert.ok(await s2.reach(a, mapped!, OTHER))
})

for (const own of ['drop', 'accept'] as const) {
  test(`port: only where A has sent to, address and port, with a NAT that would ${own} the others`, async (t) => {
    const { lab, a, s1, s2, out } = await open(t)
    lab.arrange('port', 'port', own)
    const mapped = await out(s1)
    assert.ok(await s1.reach(a, mapped!))
    assert.not(await s1.reach(a, mapped!, OTHER), 'from another port')
    assert.not(await s2.reach(a, mapped!), 'from another address')
    // What came too early has taken the mapping, or it has not: that is the difference between the two.
    const after = await out(s2)
    assert.is(after?.port === mapped!.port, own === 'drop')
    assert.ok(await s2.reach(a, after!))
  })
}

test('sym: another mapping towards each address and each port', async (t) => {
  const { lab, a, s1, s2, out } = await open(t)
  lab.arrange('sym', 'port')
  const places = [await out(s1), await out(s2), await out(s1, OTHER)]
  assert.is(new Set(places.map((place) => place?.port)).size, 3)
  assert.ok(await s1.reach(a, places[0]!))
  assert.not(await s1.reach(a, places[0]!, OTHER), 'from another port')
  assert.not(await s2.reach(a, places[0]!), 'from another address')
  assert.equal(await out(s1), places[0], 'the same place has the same mapping')
})

test('blocked: no UDP passes, but TCP does', async (t) => {
  const { lab, s1, out } = await open(t)
  lab.arrange('blocked', 'port')
  assert.not(await out(s1))
  const server = lab.servers[0]
  const program = `require('net').createServer((socket) => socket.end('hello')).listen(${ONE}, () => console.log('up'))`
  const listening = server.spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.defer(() => listening.kill('SIGKILL'))
  await new Promise((resolve) => listening.stdout?.once('data', resolve))
  const client = `require('net').connect(${ONE}, '${server.address}').pipe(process.stdout)`
  assert.is(lab.a.run(process.execPath, ['-e', client]), 'hello')
})

test('a mapping that is forgotten, or was silent for too long, lets nobody in', async (t) => {
  const { lab, a, s1, out } = await open(t)
  lab.arrange('port', 'port')
  lab.boxA.setTimeouts(1, 2)
  const mapped = await out(s1)
  assert.ok(await s1.reach(a, mapped!))
  lab.boxA.forget()
  assert.not(await s1.reach(a, mapped!), 'after it was forgotten')
  assert.ok(await out(s1))
  assert.is(lab.boxA.mappings().length, 1)
  // The time of the kernel itself; polled, so that a slow machine only takes longer.
  while (lab.boxA.mappings().length > 0) await sleep(100)
  assert.not(await s1.reach(a, mapped!), 'after its time')
})

test('two private networks do not reach each other but through their mappings', async (t) => {
  const { lab, a, s1, out } = await open(t)
  const b = await Udp.start(t, lab.b)
  lab.arrange('full', 'full')
  assert.not(await a.reach(b, { address: lab.b.address, port: ONE }))
  const mapped = await out(s1)
  assert.equal(await b.reach(a, mapped!), { address: lab.boxB.address, port: ONE })
})

for (const bridge of [false, true])
  for (const from of [ONE, DUAL]) {
    const what = `${from === DUAL ? ', from a port for IPv6 and IPv4' : ''}${bridge ? ', without a router' : ''}`
    test(`two hops open the own NAT and go no further than the next router${what}`, async (t) => {
      if (from === DUAL && !isIPv6Here()) t.skip('this machine has no IPv6')
      const { lab, a, s1 } = await open(t, { bridge })
      const b = await Udp.start(t, lab.b)
      if (from === DUAL) await a.openDual()
      lab.arrange('port', 'port', 'accept')
      const server = { address: lab.servers[0].address, port: ONE }
      const [ofA, ofB] = [await a.reach(s1, server, from), await b.reach(s1, server)]
      assert.is(ofA?.address, lab.boxA.address)
      assert.not(await a.reach(b, ofB!, from, 2))
      // What is accepted takes the pair of ports: then B leaves by another port, which A's NAT does not know.
      const seen = await b.reach(a, ofA!)
      if (bridge) return assert.not(seen)
      assert.equal(seen, ofB)
      assert.equal(await a.reach(b, ofB!, from), ofA, 'what follows goes all the way')
    })
  }

test('another uplink is another network: the old mapping is of no use, the new one is', async (t) => {
  const { lab, a, s1, out } = await open(t)
  const box = await lab.addUplink(lab.a, 'port')
  assert.is((await out(s1))?.address, lab.boxA.address)
  lab.changeUplink(lab.a, box, 'port')
  const mapped = await out(s1)
  assert.is(mapped?.address, box.address)
  assert.ok(await s1.reach(a, mapped!))
})

test('another address behind the same NAT, and in public', async (t) => {
  const { lab, a, s1, out } = await open(t)
  const before = lab.a.address
  lab.changeAddress(lab.a)
  assert.is.not(lab.a.address, before)
  const mapped = await out(s1)
  assert.ok(await s1.reach(a, mapped!))
  lab.arrange('none', 'port')
  await out(s1)
  lab.changeAddress(lab.a)
  assert.equal(await out(s1), { address: lab.a.address, port: ONE })
})

test('the delay is that of a round trip to a server, and of half of one from A to B', async (t) => {
  const { lab, a, s1, out } = await open(t, { roundTripMs: 100 })
  lab.arrange('full', 'full')
  const mapped = await out(s1)
  const startMs = performance.now()
  assert.ok(await s1.reach(a, mapped!))
  assert.ok(performance.now() - startMs >= 50, 'one way')
  const b = await Udp.start(t, lab.b)
  const betweenMs = performance.now()
  assert.ok(await b.reach(a, mapped!))
  assert.ok(performance.now() - betweenMs >= 100, 'one way from B to A passes both cables')
})

test('a wire that loses everything, and nothing again', async (t) => {
  const { lab, s1, out } = await open(t, { roundTripMs: 1 })
  assert.ok(await out(s1))
  await lab.boxA.wire!.set({ delayMs: 0, jitterMs: 0, lossPercent: 100 })
  assert.not(await out(s1))
  await lab.boxA.wire!.set({ delayMs: 0, jitterMs: 0, lossPercent: 0 })
  assert.ok(await out(s1))
})

test.run()
