/** Processes of a node page by page, and one of them in detail; and what a node that lies about them can do. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../certs/errors.ts'
import { genServer } from '../../../src/behaviours/gen-server.ts'
import { supervisor } from '../../../src/behaviours/supervisor/supervisor.ts'
import type { SkeinNode } from '../../../src/node.ts'
import { MAX_BONDS_TOLD, PAGE_PROCESSES, type ProcessDetail } from '../../../src/process/process-page.ts'
import type { Self } from '../../../src/process/self.ts'
import { SYSTEM_PROCESS } from '../../../src/system-process.ts'
import { suite } from '../../support/suite.ts'
import { meshed, pass, settled, startCluster } from '../node-support.ts'

const DEADLINE_MS = 60_000

const test = suite('processes seen')

const deaf = (self: Self): Promise<void> =>
  new Promise((resolve) => self.signal.addEventListener('abort', () => resolve()))

test(
  'every process stands on one page, in the order of birth, on the own node and on another',
  async (t) => {
    const cluster = await startCluster(t, 2)
    await meshed(cluster)
    const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
    const born = Array.from({ length: 2 * PAGE_PROCESSES + 20 }, () => b.spawn(deaf))
    // Gaps, and slots that are taken again.
    for (const pid of born.filter((_, index) => index % 7 === 3)) b.exit(pid, 'kill')
    const late = Array.from({ length: 30 }, () => b.spawn(deaf))
    const living = [...born.filter((_, index) => index % 7 !== 3), ...late].map(String)
    await pass(cluster, 100)
    for (const asking of [a, b]) {
      const seen: string[] = []
      let [after, pages, more] = [0, 0, true]
      while (more) {
        const page = await settled(cluster, asking.observer.processes(b.name, { after }))
        assert.ok(page.processes.length <= PAGE_PROCESSES)
        seen.push(...page.processes.map(({ pid }) => String(pid)))
        after = page.processes.at(-1)?.pid.number ?? 0
        more = page.more
        pages++
      }
      assert.ok(pages >= 2 && pages <= 4, `${pages} pages`)
      assert.is(new Set(seen).size, seen.length)
      const own = seen.filter((pid) => living.includes(pid))
      assert.equal(own, living)
    }
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'a process in detail: mailbox, parent, links, monitors and watchers with who they are',
  async (t) => {
    const cluster = await startCluster(t, 2)
    await meshed(cluster)
    const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
    const idle = genServer({ init: () => ({ state: undefined }), label: 'idle child' })
    const top = await settled(cluster, b.start(supervisor({ children: [{ id: 'one', name: 'one', start: idle }] })))
    const child = b.whereis('one')
    assert.ok(child)
    const target = b.spawnWith({ name: 'target', mailbox: { limit: 5, onFull: 'dropNewest' } }, async (self: Self) => {
      self.link(child)
      self.monitor({ name: SYSTEM_PROCESS, node: a.name })
      await deaf(self)
    })
    const watcher = a.spawn(async (self: Self) => {
      self.monitor(target)
      self.link(target)
      await deaf(self)
    })
    for (let n = 0; n < 3; n++) b.send(target, n)
    const detailOf = (pid: { readonly number: number }): Promise<ProcessDetail | undefined> =>
      settled(cluster, a.observer.process(b.name, pid.number))
    await pass(cluster, 1000)
    const detail = await detailOf(target)
    assert.ok(detail)
    assert.equal(
      [String(detail.pid), detail.names, detail.messages, detail.limit, detail.onFull, detail.pressed],
      [String(target), ['target'], 3, 5, 'dropNewest', false],
    )
    assert.equal(detail.links.list.map(({ pid }) => String(pid)).sort(), [String(child), String(watcher)].sort())
    assert.equal(detail.monitors.list, [{ node: a.name, pid: undefined, name: SYSTEM_PROCESS }])
    assert.equal(detail.watchers.list, [{ node: a.name, pid: undefined, name: undefined }])
    const childDetail = await detailOf(child)
    assert.equal([childDetail?.behaviour, String(childDetail?.parent)], ['idle child', String(top)])
    assert.is(await detailOf({ number: 999_999 }), undefined)
    assert.is(await a.observer.process(a.name, 999_999), undefined)
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'lists of links are cut, their number is told',
  async (t) => {
    const cluster = await startCluster(t, 1)
    const [node] = cluster.nodes as [SkeinNode]
    const target = node.spawn(deaf)
    const others = MAX_BONDS_TOLD + 6
    for (let n = 0; n < others; n++) {
      node.spawn(async (self: Self) => {
        self.link(target)
        await deaf(self)
      })
    }
    await pass(cluster, 100)
    const links = (await node.observer.process(node.name, target.number))?.links
    assert.is(links?.count, others)
    assert.is(links?.list.length, MAX_BONDS_TOLD)
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'a node that tells of the processes of others, or nonsense, is refused',
  async (t) => {
    const cluster = await startCluster(t, 3)
    await meshed(cluster)
    const [a, b, c] = cluster.nodes as [SkeinNode, SkeinNode, SkeinNode]
    const [own, foreign] = [b.spawn(deaf), c.spawn(deaf)]
    const glance = (pid: unknown) => ({
      pid,
      label: 5,
      names: 'x',
      state: 'x',
      messages: 'x',
      bytes: Number.NaN,
      bonds: null,
    })
    let answer: unknown
    b.unregister(SYSTEM_PROCESS)
    const liar = genServer({ init: () => ({ state: undefined }), handleCall: () => ({ reply: answer }) })
    b.register(SYSTEM_PROCESS, b.spawn(Object.assign(liar, { traits: { ...liar.traits, guarded: true } })))
    const outcome = async (asked: Promise<unknown>): Promise<unknown> => {
      try {
        return await settled(cluster, asked)
      } catch (error) {
        return isSkeinError(error) ? error.code : error
      }
    }
    for (const one of [
      undefined,
      null,
      'x',
      { type: 'processes' },
      { type: 'processes', page: 5 },
      { type: 'snapshot' },
    ]) {
      answer = one
      assert.is(await outcome(a.observer.processes(b.name)), 'ERR_SKEIN_BAD_REPLY', JSON.stringify(one))
    }
    for (const one of [
      null,
      'x',
      { type: 'processes' },
      { type: 'process', process: glance(foreign) },
      { type: 'process', process: 7 },
    ]) {
      answer = one
      assert.is(await outcome(a.observer.process(b.name, own.number)), 'ERR_SKEIN_BAD_REPLY', JSON.stringify(one))
    }
    // Another process than was asked for.
    answer = { type: 'process', process: glance(own) }
    assert.is(await outcome(a.observer.process(b.name, own.number + 1)), 'ERR_SKEIN_BAD_REPLY')
    // What does not fit is left out.
    answer = { type: 'processes', page: { processes: [glance(foreign), glance(own), 5], more: 'yes' } }
    const page = (await outcome(a.observer.processes(b.name))) as { processes: { pid: unknown }[]; more: boolean }
    assert.equal([page.processes.map(({ pid }) => String(pid)), page.more], [[String(own)], false])
    // The same page for ever would keep a reader for ever.
    const young = b.spawn(deaf)
    answer = { type: 'processes', page: { processes: [glance(young), glance(own)], more: true } }
    const numbers = async (after: number): Promise<unknown> => {
      const { processes, more } = await settled(cluster, a.observer.processes(b.name, { after }))
      return [processes.map(({ pid }) => pid.number), more]
    }
    assert.equal(await numbers(0), [[own.number, young.number], true])
    assert.equal(await numbers(own.number), [[young.number], true])
    assert.equal(await numbers(young.number), [[], false])
    answer = {
      type: 'process',
      process: { ...glance(own), links: { count: 2, list: [{ node: 3, pid: 'x' }, 9] }, onFull: 'x' },
    }
    const detail = (await outcome(a.observer.process(b.name, own.number))) as ProcessDetail
    assert.equal(
      [detail.messages, detail.onFull, detail.links.list[0]?.node, detail.watchers.count],
      [0, 'block', '', 0],
    )
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()
