/**
 * A cable with delay, jitter, loss and worse between two network namespaces: test/nat/wire.c, compiled when it is first needed.
 *
 * A program in C, since not every kernel has netem, and Python carries too few packets a second for a punch of a hundred
 * sockets beside ten thousand messages.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { TestContext } from '../support/suite.ts'

const SOURCE = fileURLToPath(new URL('./wire.c', import.meta.url))

export interface WireSetting {
  /** One way. */
  readonly delayMs: number
  readonly jitterMs: number
  readonly lossPercent: number
  /** Datagrams of which a bit is flipped; every other one without a checksum, so that it gets through to the program. */
  readonly corruptPercent?: number
  readonly doublePercent?: number
  /** Frames that skip the delay, and so overtake others. */
  readonly earlyPercent?: number
}

/** Frames, since the wire was opened. */
export interface WireCounts {
  readonly lost: number
  readonly corrupted: number
  readonly doubled: number
  readonly early: number
}

/** A namespace and the name of the interface that the wire makes in it. */
export type WireEnd = readonly [namespace: string, interfaceName: string]

export class Wire {
  readonly #child: ChildProcess
  readonly #answers: AsyncIterator<string>

  constructor(child: ChildProcess, lines: Interface) {
    this.#child = child
    this.#answers = lines[Symbol.asyncIterator]()
  }

  /** Resolves when it is so; packets under way keep their old time. */
  async set(setting: WireSetting): Promise<WireCounts> {
    const { delayMs, jitterMs, lossPercent, corruptPercent = 0, doublePercent = 0, earlyPercent = 0 } = setting
    const parts = [lossPercent, corruptPercent, doublePercent, earlyPercent].map((percent) => percent * 10_000)
    this.#child.stdin?.write(`${[delayMs * 1000, jitterMs * 1000, ...parts].map(Math.round).join(' ')}\n`)
    const [lost = 0, corrupted = 0, doubled = 0, early = 0] = (await this.answer('ok')).map(Number)
    return { lost, corrupted, doubled, early }
  }

  /** Awaits a line that begins with this word, and gives the rest of its words. */
  async answer(expected: string): Promise<string[]> {
    const { value, done } = await this.#answers.next()
    const [word, ...rest] = done === true ? [] : value.split(' ')
    if (word !== expected) throw new Error(`the wire said ${String(value)}, not ${expected}`)
    return rest
  }
}

/** Opens a wire; it is gone after the test. */
export const openWire = async (t: TestContext, one: WireEnd, other: WireEnd, setting: WireSetting): Promise<Wire> => {
  const child = spawn(compile(t), [...one, ...other], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.defer(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  })
  const wire = new Wire(child, createInterface({ input: child.stdout }))
  await wire.answer('up')
  await wire.set(setting)
  return wire
}

const compile = (t: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), 'skein-wire-'))
  t.defer(() => rmSync(folder, { recursive: true, force: true }))
  const program = join(folder, 'wire')
  const compiled = spawnSync('cc', ['-O2', '-Wall', '-o', program, SOURCE], { encoding: 'utf8' })
  if (compiled.error !== undefined) t.missing('a C compiler')
  if (compiled.status !== 0) throw new Error(`cc: ${compiled.stderr}`)
  return program
}
