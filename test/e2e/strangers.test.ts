/**
 * A small share of what `npm run bench -- strangers` does: a stranger floods one of three members with 10 thousand handshakes
 * and 100 thousand other datagrams, with a DHT node on its port and without.
 */
import * as assert from 'uvu/assert'
import type { Flooded } from '../../bench/junk-peer.ts'
import { startPeer } from '../../bench/peer.ts'
import { kernelDrops } from '../../bench/udp-drops.ts'
import { NodeProcess } from '../support/node-process.ts'
import { suite } from '../support/suite.ts'

const test = suite('strangers', { watchdogMs: 360_000 })

const DATAGRAMS = 110_000
const PER_SECOND = 20_000
const MOST_GROWN_BYTES = 50 << 20
/** Where a datagram of a stranger can end. */
const ENDS = ['gated', 'unknown', 'unconnected', 'invalid', 'krpc', 'probes'] as const
/** What a stranger must never bring about. */
const NEVER = ['accepted', 'resumed', 'refused', 'retries', 'negotiations', 'resets', 'punchAnswers'] as const

for (const dht of [false, true]) {
  test(
    `a flood costs no member, no call and no memory${dht ? ', with the DHT on' : ''}`,
    async (t) => {
      const discovery = { mdns: false, dht, seeds: [] }
      const a = await NodeProcess.start(t, { name: 'a', discovery })
      const b = await NodeProcess.start(t, { name: 'b', discovery: { ...discovery, seeds: [a.address] } })
      const c = await NodeProcess.start(t, { name: 'c', discovery: { ...discovery, seeds: [a.address, b.address] } })
      const members = [a, b, c]
      for (const one of members) for (const other of members) if (one !== other) await one.do('connect', other.name)
      await a.do('load', 'echo', 'echo', [])
      for (const caller of [b, c]) await caller.do('load', 'caller', 'caller', [{ name: 'echo', node: a.name }])

      const flood = async (total: number): Promise<Flooded> => {
        const args = { port: a.facts.port, kind: 'strangers', perSecond: PER_SECOND, total }
        const stranger = await startPeer(new URL('../../bench/junk-peer.ts', import.meta.url), args)
        t.defer(() => stranger.stop())
        return (await stranger.ask({})) as Flooded
      }
      // Compiled, and the heap at the size that datagrams give it, whoever sends them.
      await flood(DATAGRAMS / 10)
      const memoryBefore = await Promise.all(members.map((member) => member.do('memory')))
      const before = await a.do('counters')
      const dropsBefore = kernelDrops(a.facts.port)
      const { sent, heard } = await flood(DATAGRAMS)
      assert.is(sent, DATAGRAMS)
      const after = await a.do('counters')
      const dropped = kernelDrops(a.facts.port) - dropsBefore
      const grown = (name: string): number => (after[name] ?? 0) - (before[name] ?? 0)
      const counts = ENDS.map((name) => `${name} ${grown(name)}`).join(', ')
      console.log(`${counts}; ${dropped} dropped by the kernel, ${heard} answers`)

      for (const name of NEVER) assert.is(grown(name), 0, name)
      for (const name of ['gated', 'unknown', 'unconnected', 'krpc', 'probes']) assert.ok(grown(name) > 0, name)
      if (process.platform === 'linux') {
        // Members among themselves add to these counters only what a late packet of a handshake adds.
        const counted = ENDS.reduce((sum, name) => sum + grown(name), 0)
        assert.ok(counted + dropped >= sent, `${counted} counted, ${dropped} dropped of ${sent}`)
        assert.ok(counted > sent / 2, 'most of it arrived')
      }
      if (!dht) assert.is(heard, 0, 'the port is silent')

      for (const caller of [b, c]) {
        await caller.do('release', 'caller')
        const calls = await caller.do('whenDone', 'caller')
        assert.is(calls.failed, 0)
        assert.ok((calls.answered ?? 0) > 0)
      }
      for (const member of members) {
        assert.is((await member.do('nodes')).length, 2)
        assert.not(member.events.all.some(({ value }) => value.type === 'nodedown'))
      }
      const memoryAfter = await Promise.all(members.map((member) => member.do('memory')))
      memoryAfter.forEach((bytes, i) => {
        const more = bytes - memoryBefore[i]!
        assert.ok(more <= MOST_GROWN_BYTES, `member ${i} grew by ${more} bytes`)
      })
    },
    { deadlineMs: 150_000 },
  )
}

test.run()
