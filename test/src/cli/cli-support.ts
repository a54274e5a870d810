/**
 * Runs the command line as a user would: a process of its own for each command, from the TypeScript.
 *
 * Every test has a cluster and a cookie of its own, binds to the loopback, and uses no discovery unless it says so.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { TestContext } from '../../support/suite.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** Environment of the commands of one test. */
export const freshSettings = (): Record<string, string> => ({
  SKEIN_CLUSTER: `test-${randomBytes(4).toString('hex')}`,
  SKEIN_COOKIE: randomBytes(16).toString('hex'),
  SKEIN_HOST: '127.0.0.1',
  SKEIN_DISCOVERY: 'none',
})

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A JSON value that a command printed. */
export type Printed = Readonly<Record<string, unknown>>

export type Spawn = (command: string, args: readonly string[], options: SpawnOptions) => ChildProcess

/** A command that runs. It is killed after the test, should it still be there. */
export class Cli {
  readonly #child: ChildProcess
  readonly ended: Promise<Ended>
  readonly #lines: string[] = []
  #stdout = ''
  #stderr = ''
  #over = false
  readonly #waiting = new Set<() => void>()

  constructor(t: TestContext, args: readonly string[], settings: Record<string, string>, run: Spawn = spawn) {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('SKEIN_'))
    this.#child = run(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', ...args], {
      cwd: ROOT,
      env: { ...Object.fromEntries(inherited), ...settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
      this.#lines.splice(0, Number.POSITIVE_INFINITY, ...this.#stdout.split('\n').slice(0, -1))
      this.#wake()
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
    })
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (code) => {
        this.#over = true
        this.#wake()
        resolve({ code, stdout: this.#stdout, stderr: this.#stderr })
      })
    })
    t.defer(async () => {
      this.#child.kill('SIGKILL')
      await this.ended
    })
  }

  /** The first line that matches, printed already or to come. */
  async line(matches: (line: string) => boolean): Promise<string> {
    for (;;) {
      const found = this.#lines.find(matches)
      if (found !== undefined) return found
      if (this.#over) throw new Error(`the command ended before that line came:\n${this.#stdout}${this.#stderr}`)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  /** The first JSON value of which these fields are part. */
  async printed(fields: Printed): Promise<Printed> {
    const isPart = (line: string): boolean => {
      const value = JSON.parse(line) as Printed
      return Object.entries(fields).every(([key, expected]) => value[key] === expected)
    }
    return JSON.parse(await this.line(isPart)) as Printed
  }

  #wake(): void {
    for (const waiting of this.#waiting) waiting()
    this.#waiting.clear()
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Nobody reads its output any more. */
  closeOutput(): void {
    this.#child.stdout?.destroy()
  }
}

/** Runs a command to its end. */
export const runCli = (t: TestContext, args: readonly string[], settings = freshSettings()): Promise<Ended> =>
  new Cli(t, args, settings).ended

/** Starts a node and waits until it is up; gives its address too. */
export const startCli = async (t: TestContext, args: readonly string[], settings: Record<string, string>) => {
  const cli = new Cli(t, ['start', '--json', '--port', '0', ...args], settings)
  const started = await cli.printed({ type: 'started' })
  return { cli, started, address: String((started.addresses as string[])[0]) }
}

export const jsonLines = (text: string): Printed[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Printed)
