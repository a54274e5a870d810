/** A million processes come and go, and nothing of them stays. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as assert from 'uvu/assert'
import { suite } from '../../support/suite.ts'
import { actor, loneNode, turns } from './process-support.ts'

const test = suite('million')

const PROCESSES = 1_000_000
const AT_ONCE = 10_000
/** A single field that stayed of each would be 8 MB, an object three times that. */
const MAX_GROWTH_BYTES = 6e6

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

test(
  'a million spawned, linked or monitored or named, called, and ended, leave nothing behind',
  async (t) => {
    const node = loneNode(t)
    const { processes } = node
    const watcher = await actor(node)
    let done = 0
    const spawnSome = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n++) {
        const kind = n % 4
        const options = kind === 0 ? { name: `one-${n}` } : {}
        const pid = processes.spawn(async (self) => {
          if (kind === 1) self.link(watcher.self.pid)
          const message = await self.receive()
          done += message === 'go' ? 1 : 0
        }, options)
        if (kind === 2) watcher.self.monitor(pid)
        if (kind === 3) void processes.call(pid, 'unanswered')
        processes.send(kind === 0 ? `one-${n}` : pid, 'go')
      }
      // An EXIT or a DOWN of every other one.
      while (watcher.log.length < count / 2) await turns()
      watcher.log.length = 0
    }
    await spawnSome(AT_ONCE)
    collect()
    const before = process.memoryUsage().heapUsed
    done = 0
    for (let spawned = 0; spawned < PROCESSES; spawned += AT_ONCE) await spawnSome(AT_ONCE)
    collect()
    const growth = process.memoryUsage().heapUsed - before
    console.log(`${PROCESSES} processes, heap ${(growth / 1e6).toFixed(1)} MB more`)
    assert.is(done, (PROCESSES * 3) / 4, 'those that were called found the call first')
    assert.equal(processes.registered(), [])
    assert.equal(processes.list(), [watcher.self.pid])
    assert.ok(growth < MAX_GROWTH_BYTES, `${growth} bytes more`)
    assert.equal(node.reports, [])
  },
  { deadlineMs: 90_000 },
)

test.run()
