/**
 * The prompt of `skein attach`: lines, history and completion here, evaluation there, one after the other.
 *
 * Lines that come meanwhile wait. Ctrl-C gives up what is waited for, or takes back what was typed; Ctrl-D and .exit leave.
 * The terminal is given back however it ends: readline sees to that.
 */
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { configFolder } from '../../certs/config-folder.ts'
import { SkeinError } from '../../certs/errors.ts'
import { readSecretFile, replaceSecretFile } from '../../certs/secret-file.ts'
import { processEnvironment } from '../config.ts'
import type { SkeinNode } from '../node.ts'
import { safeMessage } from '../safe-text.ts'
import { attachTo, type Evaluated, type Remote } from './attach-remote.ts'
import { palette, printLine, visible } from './output.ts'

const HISTORY_LINES = 500
const MAX_HISTORY_BYTES = 256 * 1024
/** Lines that were typed or pasted and wait. */
const MAX_WAITING_LINES = 10_000
const COMMANDS = ['.break', '.exit', '.help']
const HELP = `  node              this node, with all its methods
  _                 what was given last
  require, import() modules, as the program has them
  .break, Ctrl-C    take back what was typed, or give up what is waited for
  .exit, Ctrl-D     leave; the node goes on
Promises are awaited. Names stay until you leave.`

/** Resolves when the user leaves. Rejects with ERR_SKEIN_NOCONNECTION when the node is gone. */
export const prompt = async (node: SkeinNode, name: string): Promise<void> => {
  const { stdin: input, stdout: output } = process
  const history = await loadHistory()
  let lines: Lines | undefined
  await attachTo(
    node,
    name,
    (text) => lines?.show(text),
    async (remote) => {
      const short = name.split('@', 1)[0] ?? name
      printLine(`attached to ${name}, Node.js ${remote.engine}; .help explains, .exit leaves`)
      const reader = createInterface({
        input,
        output,
        history: [...history],
        historySize: HISTORY_LINES,
        removeHistoryDuplicates: true,
        completer: completerOf(remote),
      })
      let kept = history
      reader.on('history', (newest) => {
        kept = newest
      })
      lines = new Lines(reader, remote, short)
      try {
        const reason = await Promise.race([lines.ended, remote.gone])
        if (reason !== undefined) throw new SkeinError('ERR_SKEIN_NOCONNECTION', `${name} is gone: ${reason}.`)
      } finally {
        reader.close()
        await saveHistory(kept)
      }
    },
  )
}

type Completer = (line: string, done: (error: Error | null, result: [string[], string]) => void) => void

const completerOf =
  (remote: Remote): Completer =>
  (line, done) => {
    if (line.startsWith('.')) {
      done(null, [COMMANDS.filter((command) => command.startsWith(line)), line])
      return
    }
    remote.complete(line).then(
      ({ word, names }) => done(null, [[...names], word]),
      () => done(null, [[], line]),
    )
  }

class Lines {
  /** Resolves when the user leaves. */
  readonly ended: Promise<undefined>
  readonly #reader: Interface
  readonly #remote: Remote
  readonly #prompt: string
  readonly #waiting: string[] = []
  /** Lines of code that is not complete yet. */
  #code = ''
  #isBusy = false
  #isOver = false

  constructor(reader: Interface, remote: Remote, short: string) {
    this.#reader = reader
    this.#remote = remote
    this.#prompt = `${short}> `
    this.ended = new Promise((resolve) => {
      reader.once('close', () => {
        this.#isOver = true
        // Behind what was being typed.
        if (!this.#isBusy) printLine()
        resolve(undefined)
      })
    })
    reader.on('line', (line) => this.#take(line))
    reader.on('SIGINT', () => this.#interrupt())
    this.#ask()
  }

  /** Text between the lines, above what is being typed. */
  show(text: string): void {
    const { stdout } = process
    if (this.#isBusy || this.#isOver) {
      stdout.write(text)
      return
    }
    // To the beginning of the line, and clear it (ECMA-48 section 8.3.41).
    stdout.write(stdout.isTTY ? `\r\u001b[K${text}` : text)
    this.#reader.prompt(true)
  }

  #take(line: string): void {
    if (this.#waiting.length >= MAX_WAITING_LINES) return
    this.#waiting.push(line)
    if (!this.#isBusy) void this.#work()
  }

  async #work(): Promise<void> {
    this.#isBusy = true
    for (let line = this.#waiting.shift(); line !== undefined; line = this.#waiting.shift()) {
      try {
        if (!this.#command(line)) await this.#evaluate(line)
      } catch (error) {
        // Who has left does not wait for what was asked last, which fails then.
        if (!this.#isOver) printLine(visible(safeMessage(error)))
        this.#code = ''
      }
    }
    this.#isBusy = false
    this.#ask()
  }

  /** True: it was one. */
  #command(line: string): boolean {
    switch (line.trim()) {
      case '.exit':
        this.#waiting.length = 0
        this.#reader.close()
        return true
      case '.break':
        this.#code = ''
        return true
      case '.help':
        printLine(HELP)
        return true
      default:
        return this.#code === '' && line.trim() === ''
    }
  }

  async #evaluate(line: string): Promise<void> {
    this.#code = this.#code === '' ? line : `${this.#code}\n${line}`
    const { stdout } = process
    const evaluated = await this.#remote.evaluate(this.#code, {
      format: 'text',
      columns: stdout.columns,
      // The output may go on to another program.
      colours: stdout.isTTY && stdout.hasColors(),
    })
    if (evaluated.type === 'incomplete') return
    this.#code = ''
    printLine(textOf(evaluated))
  }

  #interrupt(): void {
    if (this.#isBusy) {
      this.#waiting.length = 0
      this.#remote.giveUp().catch(() => {})
      return
    }
    const isEmpty = this.#code === '' && this.#reader.line === ''
    this.#code = ''
    printLine(isEmpty ? '\n(.exit or Ctrl-D leaves)' : '')
    // What was typed is taken back: ESC, then the line is killed as by Ctrl-E Ctrl-U.
    this.#reader.write(null, { ctrl: true, name: 'e' })
    this.#reader.write(null, { ctrl: true, name: 'u' })
    this.#ask()
  }

  #ask(): void {
    if (this.#isOver) return
    this.#reader.setPrompt(this.#code === '' ? this.#prompt : '... ')
    this.#reader.prompt()
  }
}

const textOf = (evaluated: Evaluated): string => {
  switch (evaluated.type) {
    case 'text':
      return evaluated.text
    case 'givenUp':
      return 'given up; it goes on over there, if it does'
    case 'data':
      return ''
    default:
      return palette().bad(evaluated.text)
  }
}

const historyFile = (): string => join(configFolder(processEnvironment()), 'attach-history')

/** Newest first. A history that cannot be read is none. */
const loadHistory = async (): Promise<string[]> => {
  try {
    const bytes = await readSecretFile(historyFile(), MAX_HISTORY_BYTES)
    return bytes === undefined ? [] : Buffer.from(bytes).toString('utf8').split('\n').filter(Boolean)
  } catch {
    return []
  }
}

/** Readable by its owner only: code may hold secrets. What cannot be kept is not worth an error to who leaves. */
const saveHistory = async (newest: readonly string[]): Promise<void> => {
  let room = MAX_HISTORY_BYTES
  const kept = newest.filter((line) => {
    room -= Buffer.byteLength(line) + 1
    return room >= 0
  })
  if (kept.length === 0) return
  const text = kept.join('\n')
  await replaceSecretFile(historyFile(), Buffer.from(text)).catch(() => {})
}
