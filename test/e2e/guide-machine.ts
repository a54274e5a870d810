/**
 * A machine on which the commands of a page run as its reader would type them, with `npx skein`, `skein` and `npx tsx`
 * being those of this checkout, from the sources.
 *
 * All machines of a page share one folder, which is the current one; each has a home of its own. Nothing of Skein's
 * environment is set. Whatever still runs after the test is killed.
 */
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Spawn } from '../src/cli/cli-support.ts'
import type { TestContext } from '../support/suite.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const TSX = import.meta.resolve('tsx')
/** Entry points of the package, as programs import them. */
const PATHS = { skein: [join(ROOT, 'src/index.ts')], 'skein/testing': [join(ROOT, 'src/testing/index.ts')] }

/** For a line that must come, on a busy machine, and for commands that must end. */
const PATIENCE_MS = 150_000
/** For what Ctrl-C ends. */
const END_PATIENCE_MS = 10_000

/** Makes the folder of a page ready: TypeScript programs in it know `skein`. */
export const furnish = (folder: string): void => {
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { paths: PATHS } }))
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  const node = `exec '${process.execPath}' --import '${TSX}'`
  const skein = `${node} '${join(ROOT, 'src/cli/main.ts')}' "$@"`
  const npx = `name=$1; shift; case $name in skein) ${skein};; tsx) ${node} "$@";; *) echo "no $name here" >&2; exit 127;; esac`
  for (const [name, line] of [
    ['skein', skein],
    ['npx', npx],
  ] as const) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${line}\n`, { mode: 0o755 })
  }
}

/** Commands that run. */
export class Running {
  readonly #context: TestContext
  readonly #child: ChildProcess
  readonly #ended: Promise<number | undefined>
  #output = ''
  #errors = ''
  #over = false
  /** Lines before it have been looked at. */
  #cursor = 0
  readonly #waiting = new Set<() => void>()

  constructor(t: TestContext, child: ChildProcess) {
    this.#context = t
    this.#child = child
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text
      this.#wake()
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text
    })
    this.#ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => {
        this.#over = true
        this.#wake()
        resolve(code ?? undefined)
      })
    })
    t.defer(async () => {
      this.#signal('SIGKILL')
      await this.#ended
    })
  }

  /** Waits for a line that matches, behind the one that was waited for before. */
  async line(what: string, matches: (line: string) => boolean): Promise<void> {
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      this.#wake()
    }, PATIENCE_MS)
    this.#context.defer(() => clearTimeout(timer))
    for (;;) {
      const lines = this.#output.split('\n').slice(0, this.#over ? undefined : -1)
      const found = lines.findIndex((line, index) => index >= this.#cursor && matches(line))
      if (found >= 0) {
        this.#cursor = found + 1
        return clearTimeout(timer)
      }
      if (this.#over || isLate) throw new Error(`"${what}" was not printed:\n${this.told()}`)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  /** Whether such a line was printed, anywhere. */
  has(matches: (line: string) => boolean): boolean {
    return this.#output.split('\n').some(matches)
  }

  /** Waits for their end; gives the exit code, undefined where a signal ended them. */
  end(): Promise<number | undefined> {
    return this.#endWithin(PATIENCE_MS, 'this did not end')
  }

  /** Ctrl-C. Rejects if that does not end them. */
  async interrupt(): Promise<void> {
    this.#signal('SIGINT')
    await this.#endWithin(END_PATIENCE_MS, 'Ctrl-C did not end this')
  }

  /** All that was printed, for people. */
  told(): string {
    return `${this.#output}${this.#errors}`
  }

  async #endWithin(ms: number, lateMessage: string): Promise<number | undefined> {
    const over = new AbortController()
    const late = sleep(ms, undefined, { signal: over.signal }).then(() => {
      throw new Error(`${lateMessage} within ${ms / 1000} s:\n${this.told()}`)
    })
    // Aborted when the end came first: nobody is interested.
    late.catch(() => {})
    try {
      return await Promise.race([this.#ended, late])
    } finally {
      over.abort()
    }
  }

  /** To the shell and all that it has started, as a terminal does. */
  #signal(signal: NodeJS.Signals): void {
    try {
      if (this.#child.pid !== undefined) process.kill(-this.#child.pid, signal)
    } catch {
      // Nobody of the group is left.
    }
  }

  #wake(): void {
    for (const waiting of this.#waiting) waiting()
    this.#waiting.clear()
  }
}

export class GuideMachine {
  readonly #context: TestContext
  readonly #folder: string
  readonly #home: string
  readonly #spawn: Spawn

  /** `spawn` starts programs there. */
  constructor(t: TestContext, folder: string, name: string, spawn: Spawn) {
    this.#context = t
    this.#folder = folder
    this.#home = join(folder, `home-${name}`)
    this.#spawn = spawn
    mkdirSync(this.#home)
  }

  /** Runs commands by the shell; the first that fails is the last. */
  run(commands: string): Running {
    const inherited = Object.entries(process.env).filter(([name]) => !/^(SKEIN|XDG)_/.test(name))
    const child = this.#spawn('bash', ['-euo', 'pipefail', '-c', commands], {
      cwd: this.#folder,
      detached: true,
      env: {
        ...Object.fromEntries(inherited),
        HOME: this.#home,
        PATH: `${join(this.#folder, 'bin')}${delimiter}${process.env.PATH}`,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    return new Running(this.#context, child)
  }
}
