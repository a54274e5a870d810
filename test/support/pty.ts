/**
 * A command on a terminal of its own (a pseudo-terminal, made by `script` of util-linux), which a test types into.
 *
 * `screen()` is what a full-screen program drew last; `text` is all that came, with its escape sequences.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { accessSync } from 'node:fs'
import { promisify, stripVTControlCharacters } from 'node:util'
import type { TestContext } from './suite.ts'

const SCRIPT = '/usr/bin/script'
/** A frame begins where the cursor goes home (ECMA-48 section 8.3.21). */
const HOME = '\u001b[H'
const TTY_MARK = 'terminal: '

export interface PtyEnd {
  readonly code: number | null
  readonly text: string
}

export class Pty {
  readonly #child: ChildProcess
  readonly ended: Promise<PtyEnd>
  text = ''
  #isOver = false
  readonly #waiting = new Set<() => void>()

  /** `size` as `stty` says it: rows and columns. */
  constructor(
    t: TestContext,
    args: readonly string[],
    settings: Readonly<Record<string, string>>,
    size: { readonly rows: number; readonly columns: number },
  ) {
    try {
      accessSync(SCRIPT)
    } catch {
      t.missing('script of util-linux')
    }
    const quoted = args.map((arg) => `'${arg.replaceAll("'", "'\\''")}'`).join(' ')
    const setUp = `echo "${TTY_MARK}$(tty) $$"; stty rows ${size.rows} cols ${size.columns}`
    const child = spawn(SCRIPT, ['-qec', `${setUp}; exec ${quoted}`, '/dev/null'], {
      env: { ...process.env, TERM: 'xterm-256color', SHELL: '/bin/sh', ...settings },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#child = child
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.text += text
      this.#wake()
    })
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => {
        this.#isOver = true
        this.#wake()
        resolve({ code, text: this.text })
      })
    })
    t.defer(async () => {
      child.kill('SIGKILL')
      await this.ended
    })
  }

  type(text: string): void {
    this.#child.stdin?.write(text)
  }

  /** The last whole frame, line by line, without colours. */
  screen(): string[] {
    const frames = this.text.split(HOME)
    return stripVTControlCharacters(frames.at(-1) ?? '')
      .split('\r\n')
      .map((line) => line.trimEnd())
  }

  /** Resolves when that holds; checked whenever something came. */
  async until(what: string, holds: (pty: this) => boolean): Promise<void> {
    while (!holds(this)) {
      if (this.#isOver) throw new Error(`the command ended before: ${what}\n${JSON.stringify(this.text.slice(-2000))}`)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  /** To the command itself. */
  signal(signal: NodeJS.Signals): void {
    process.kill(Number(this.#facts[1]), signal)
  }

  /** Another size, of which the program is told by SIGWINCH. */
  async resize(rows: number, columns: number): Promise<void> {
    const [tty = ''] = this.#facts
    await promisify(execFile)('stty', ['-F', tty, 'rows', String(rows), 'cols', String(columns)])
  }

  /** The name of the terminal, and the id of the process. */
  get #facts(): string[] {
    return /terminal: (.+)/.exec(this.text)?.[1]?.trim().split(' ') ?? []
  }

  #wake(): void {
    for (const waiting of this.#waiting) waiting()
    this.#waiting.clear()
  }
}
