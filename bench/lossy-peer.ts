/**
 * A node at one end of the lossy wire, told by the bench what to do: to answer (an echo, and a sink that counts), or to
 * send to the other end, lightly and in bulk at once.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { type Pid, type Self, type SkeinNode, startNode } from 'skein'
import { serve } from '../test/nat/child.ts'
import type { LossyCommand, LossyWork, SideBySide } from './lossy-work.ts'

interface Question {
  readonly from: Pid
}

interface Count {
  readonly bytes: number
  readonly atMs: number
}

const ECHO = { name: 'echo', node: 'receiver@bench' }
const SINK = { name: 'sink', node: 'receiver@bench' }

const open = async (name: string, host: string, cookie: string): Promise<SkeinNode> => {
  const node = await startNode({ name, cookie, host, port: 0, discovery: false, logLevel: 'silent' })
  const echo = node.spawn(async (self: Self<Question>) => {
    for await (const { from } of self) self.send(from, 'pong')
  })
  let bytes = 0
  const sink = node.spawn(async (self: Self<Uint8Array | Question>) => {
    for await (const message of self) {
      if (message instanceof Uint8Array) bytes += message.length
      else self.send(message.from, { bytes, atMs: performance.now() })
    }
  })
  node.register('echo', echo)
  node.register('sink', sink)
  return node
}

/** Runs a process and gives what it gave. */
const inProcess = <Message, Result>(node: SkeinNode, run: (self: Self<Message>) => Promise<Result>): Promise<Result> =>
  new Promise((resolve, reject) => {
    node.spawn((self: Self<Message>) => run(self).then(resolve, reject))
  })

const pings = (node: SkeinNode, durationMs: number, pauseMs: number): Promise<number[]> =>
  inProcess(node, async (self) => {
    const samples: number[] = []
    const endMs = performance.now() + durationMs
    for (let startMs = performance.now(); startMs < endMs; startMs = performance.now()) {
      self.send(ECHO, { from: self.pid })
      await self.receive()
      samples.push(performance.now() - startMs)
      await pause(pauseMs)
    }
    return samples
  })

/** By the receiver's clock. */
const counted = (node: SkeinNode): Promise<Count> =>
  inProcess<Count, Count>(node, async (self) => {
    self.send(SINK, { from: self.pid })
    return self.receive()
  })

const sideBySide = async (node: SkeinNode, work: LossyWork): Promise<SideBySide> => {
  const bulk = Buffer.alloc(work.bulkBytes, 7)
  const sender = node.spawn(async (self: Self) => {
    for (;;) if (!self.send(SINK, bulk)) await self.drained(SINK)
  })
  await pings(node, work.warmUpMs, work.pauseMs)
  const before = await counted(node)
  const lightMs = await pings(node, work.durationMs, work.pauseMs)
  const after = await counted(node)
  node.exit(sender, 'kill')
  return { lightMs, bytesPerSecond: ((after.bytes - before.bytes) * 1000) / (after.atMs - before.atMs) }
}

let node: SkeinNode | undefined

serve<LossyCommand, never>(async (command) => {
  if (command.type === 'start') {
    node = await open(command.name, command.host, command.cookie)
    const { host, port } = node.addresses[0]!
    return `${host}:${port}`
  }
  if (node === undefined) throw new Error('not started')
  if (command.type === 'connect') return void (await node.connect(command.address))
  return sideBySide(node, command.work)
})
