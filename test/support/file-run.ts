/**
 * Runs one test file in a process of its own and says how it went.
 *
 * Trusts nothing but the reports: a file that crashed, hung, left early or reported no test has failed, whatever its exit
 * code. Its process group is killed at the end, so that nothing a test started outlives it.
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { REPORT_FD, REPORT_VARIABLE, type Report } from './report.ts'

/** For a whole file; `suite(name, { watchdogMs })` asks for another. */
const DEFAULT_WATCHDOG_MS = 120_000
/** A pipe that a stray grandchild holds open is not waited for longer than this. */
const OUTPUT_GRACE_MS = 1_000
/** Of a file that floods its output the end is kept. */
const MAX_OUTPUT_BYTES = 1_000_000

export interface FileResult {
  readonly file: string
  readonly passed: number
  /** One line each: what failed. */
  readonly failures: readonly string[]
  readonly skips: readonly { readonly title: string; readonly reason: string }[]
  readonly output: string
  readonly tookMs: number
}

export interface FileRunOptions {
  readonly watchdogMs?: number
  readonly signal?: AbortSignal
}

export const runFile = async (file: string, options: FileRunOptions = {}): Promise<FileResult> => {
  const startedAt = performance.now()
  const child = spawn(process.execPath, ['--import', 'tsx', file], {
    detached: true,
    env: { ...process.env, [REPORT_VARIABLE]: String(REPORT_FD) },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'], // the last is REPORT_FD
  })
  const killGroup = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // Nobody of the group is left.
    }
  }
  options.signal?.addEventListener('abort', killGroup)

  const output = new Tail(MAX_OUTPUT_BYTES)
  const [, stdout, stderr, reportPipe] = child.stdio as [null, Readable, Readable, Readable, undefined]
  stdout.on('data', (chunk: Buffer) => output.add(chunk))
  stderr.on('data', (chunk: Buffer) => output.add(chunk))

  let passed = 0
  const failures: string[] = []
  const skips: { title: string; reason: string }[] = []
  let running: string | undefined
  let finished = false

  let firedAfterMs: number | undefined
  const arm = (ms: number): NodeJS.Timeout =>
    setTimeout(() => {
      firedAfterMs = ms
      killGroup()
    }, ms)
  let watchdog = arm(options.watchdogMs ?? DEFAULT_WATCHDOG_MS)

  const take = (entry: Report): void => {
    if (entry.kind === 'started') running = entry.title
    else if (entry.kind === 'watchdog') {
      clearTimeout(watchdog)
      watchdog = arm(entry.watchdogMs)
    } else {
      running = undefined
      if (entry.kind === 'passed') passed++
      else if (entry.kind === 'skipped') skips.push(entry)
      else if (entry.kind === 'failed') failures.push(`${entry.title}: ${firstLine(entry.message)}`)
      else finished = true
    }
  }
  const reports = createInterface({ input: reportPipe })
  reports.on('line', (line) => take(JSON.parse(line) as Report))

  const ending = await new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(`could not be started: ${error.message}`))
    child.once('exit', (code, signal) => {
      const how = signal ? `was killed by ${signal}` : code === 0 ? undefined : `exited with code ${code}`
      const grace = setTimeout(() => resolve(how), OUTPUT_GRACE_MS)
      child.once('close', () => {
        clearTimeout(grace)
        resolve(how)
      })
    })
  })
  clearTimeout(watchdog)
  options.signal?.removeEventListener('abort', killGroup)
  killGroup()
  for (const stream of [stdout, stderr, reportPipe]) stream.destroy()

  const during = running === undefined ? '' : ` during "${running}"`
  if (firedAfterMs !== undefined) failures.push(`killed by the watchdog after ${firedAfterMs} ms${during}`)
  else if (ending !== undefined && (failures.length === 0 || running !== undefined)) failures.push(ending + during)
  else if (!finished && failures.length === 0) failures.push(`left before its last test was done${during}`)
  else if (passed + failures.length + skips.length === 0) failures.push('holds no test')
  return { file, passed, failures, skips, output: output.text(), tookMs: performance.now() - startedAt }
}

const firstLine = (text: string): string => text.split('\n', 1)[0] ?? ''

/** Keeps the last bytes of what it is given. */
class Tail {
  readonly #limitBytes: number
  readonly #chunks: Buffer[] = []
  #sizeBytes = 0
  #droppedBytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  add(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#sizeBytes += chunk.length
    while (this.#sizeBytes > this.#limitBytes && this.#chunks.length > 1) {
      const droppedBytes = this.#chunks.shift()?.length ?? 0
      this.#sizeBytes -= droppedBytes
      this.#droppedBytes += droppedBytes
    }
  }

  text(): string {
    const kept = Buffer.concat(this.#chunks).toString()
    return this.#droppedBytes === 0 ? kept : `(${this.#droppedBytes} bytes dropped)\n${kept}`
  }
}
