/**
 * A running cluster gets another cookie and new certificates: real processes over QUIC, under traffic that is counted to the
 * last message.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { inspectIdentity } from '../../certs/identity.ts'
import type { NodeEvent, Pid } from '../../src/index.ts'
import { seededRandom } from '../../transport/random.ts'
import { machineNowMs, NodeProcess, type Progress } from '../support/node-process.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { failure, Rogue, temporaryFolder } from './support.ts'

const test = suite('rotation', { watchdogMs: 400_000 })

const NEXT_COOKIE = 'the next cookie of the end-to-end tests'
const NODES = 6
/** Of all nodes together. */
const MESSAGES_PER_SECOND = 10_000
/** From the first change of a cookie to the end of the old one. */
const WINDOW_MS = 6000
const SEED = 20_26

const random = seededRandom(SEED)

const shuffled = <T>(values: readonly T[]): T[] =>
  values
    .map((value) => ({ value, place: random.float() }))
    .sort((a, b) => a.place - b.place)
    .map(({ value }) => value)

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const startCluster = async (t: TestContext, folder: string): Promise<NodeProcess[]> => {
  // Modules take seconds to load on a busy machine.
  const nodes = await Promise.all(Array.from({ length: NODES }, (_, index) => NodeProcess.spawn(t, `n${index}`)))
  for (const [index, node] of nodes.entries()) {
    const seeds = index === 0 ? [] : [nodes[0]!.address]
    await node.start({ name: `n${index}`, identity: join(folder, `n${index}.pem`), seeds })
  }
  for (const node of nodes) for (const other of nodes) if (other !== node) await node.up(other.name)
  return nodes
}

const downs = (node: NodeProcess): string[] =>
  node.events.all.flatMap(({ value }) => (value.type === 'nodedown' ? `${value.node} ${value.reason}` : []))

const sum = (all: readonly Progress[], what: string): number => all.reduce((total, one) => total + (one[what] ?? 0), 0)

const isEvent =
  (type: NodeEvent['type']) =>
  (event: NodeEvent): boolean =>
    event.type === type

test(
  'cookie and certificates of six nodes change under 10 000 messages/s: nothing is lost, and the old cookie is worth nothing',
  async (t) => {
    const folder = await temporaryFolder(t)
    const nodes = await startCluster(t, folder)
    const first = nodes[0]!
    // Whoever stole the old cookie and is connected: a mute one, one that claims to know the frames, and a whole node.
    const thieves = [await Rogue.dial(t, first), await Rogue.dial(t, nodes[1]!, { capabilities: ['reproof'] })]
    for (const thief of thieves) await thief.up
    const laggard = await NodeProcess.start(t, { name: 'laggard', seeds: [first.address] })
    for (const node of nodes) await node.up(laggard.name)

    const ledgers: Pid[] = []
    for (const node of nodes) ledgers.push(await node.do('load', 'ledger', 'ledger', [NODES - 1]))
    const startMs = machineNowMs()
    for (const [index, node] of nodes.entries()) {
      const targets = ledgers.filter((_, other) => other !== index)
      await node.do('load', 'pacer', 'pacer', [targets, MESSAGES_PER_SECOND / NODES])
    }
    await pause(1500)

    for (const node of shuffled(nodes)) await node.do('cookies', 'accept', NEXT_COOKIE)
    const before = await Promise.all(nodes.map((_, index) => readFile(join(folder, `n${index}.pem`), 'utf8')))
    const firstUseMs = machineNowMs()
    for (const node of shuffled(nodes)) {
      await node.do('cookies', 'use', NEXT_COOKIE, { acceptOldMs: WINDOW_MS })
      await node.do('renewCertificate')
      await pause(200)
    }
    const lastUseMs = machineNowMs()
    const [mute, able] = await Promise.all(thieves.map(({ closed }) => closed))
    for (const node of nodes) await node.events.next(isEvent('cookieDropped'))
    for (const node of nodes) await node.down(laggard.name)
    const overMs = machineNowMs()
    await pause(1500)

    for (const node of nodes) await node.do('release', 'pacer')
    const sent = await Promise.all(nodes.map((node) => node.do('whenDone', 'pacer')))
    const stopMs = machineNowMs()
    const received = await Promise.all(nodes.map((node) => node.do('whenDone', 'ledger')))

    const total = sum(sent, 'sent')
    const rate = sent.reduce((all, one) => all + ((one.sent ?? 0) * 1000) / (one.elapsedMs ?? 0), 0)
    const took = ((stopMs - startMs) / 1000).toFixed(1)
    console.log(
      `seed ${SEED}: ${total} messages sent, ${sum(received, 'received')} received in ${took} s, ${Math.round(rate)}/s; ` +
        `held ${sum(sent, 'held')}; the old cookie was over ${Math.round(overMs - firstUseMs)} ms after its first change ` +
        `and ${Math.round(overMs - lastUseMs)} ms after its last (window ${WINDOW_MS} ms)`,
    )
    assert.is(sum(received, 'received'), total)
    for (const what of ['lost', 'doubledOrLate', 'spoiled']) assert.is(sum(received, what), 0, what)
    assert.ok(rate > 0.95 * MESSAGES_PER_SECOND, `${rate} messages/s`)

    for (const end of [mute, able]) {
      assert.is(end?.code, 'ERR_SKEIN_WRONG_COOKIE')
      assert.is(end?.byPeer, true)
    }
    for (const node of nodes) {
      const unexpected = downs(node).filter((text) => !text.startsWith('laggard@') && !text.startsWith('rogue@'))
      assert.equal(unexpected, [], node.name)
      const cookies = (await node.do('cookies', 'list')) as { primary: boolean; nodes: number }[]
      assert.equal(
        cookies.map(({ primary, nodes: count }) => [primary, count]),
        [[true, NODES - 1]],
      )
    }

    // Each shows its new certificate, which is in its file too, and of the same key.
    for (const [index, node] of nodes.entries()) {
      const file = join(folder, `n${index}.pem`)
      const pem = await readFile(file, 'utf8')
      assert.is.not(pem, before[index])
      assert.is((await inspectIdentity(file))?.nodeId, node.facts.id)
      const visitor = await Rogue.dial(t, node, { cookie: NEXT_COOKIE, mute: true })
      await visitor.opened
      const shown = Buffer.from(visitor.lanes.connection.peer!.certificate).toString('base64')
      assert.ok(pem.replaceAll('\n', '').includes(shown), `${node.name} shows the certificate of its file`)
    }

    const late = await NodeProcess.start(t, { name: 'late' })
    assert.is((await failure(late.do('connect', first.address))).code, 'ERR_SKEIN_CONNECT_TIMEOUT')
    const newcomer = await NodeProcess.start(t, { name: 'newcomer', cookie: NEXT_COOKIE, seeds: [first.address] })
    for (const node of nodes) await node.up(newcomer.name)
  },
  { deadlineMs: 280_000 },
)

test.run()
