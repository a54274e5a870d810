/**
 * A chat across terminals. In two of them, on one machine or on two of a network that share a cookie:
 *
 *   npx tsx examples/terminal-chat/main.ts anna
 *   npx tsx examples/terminal-chat/main.ts bert
 *
 * Without a name it plays one with three terminals, each a process of its own, one of which is killed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { openTerminal } from './terminal.ts'

/** A terminal that somebody else types in. */
class Played {
  readonly name: string
  readonly #child: ChildProcess
  readonly #screen: AsyncIterator<string>

  constructor(name: string, env: NodeJS.ProcessEnv) {
    this.name = name
    const program = [...process.execArgv, fileURLToPath(import.meta.url), name]
    this.#child = spawn(process.execPath, program, { env, stdio: ['pipe', 'pipe', 'inherit'] })
    this.#screen = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]()
  }

  type(text: string): void {
    this.#child.stdin?.write(`${text}\n`)
  }

  /** Shows the screen up to a line that has these words. */
  async until(words: string): Promise<string> {
    for (;;) {
      const { value: line, done } = await this.#screen.next()
      if (done) throw new Error(`${this.name} ended before it read "${words}"`)
      console.log(`${this.name} reads  ${line}`)
      if (line.includes(words)) return line
    }
  }

  async end(how: 'Ctrl-D' | 'kill -9'): Promise<void> {
    const ended = once(this.#child, 'exit')
    if (how === 'Ctrl-D') this.#child.stdin?.end()
    else this.#child.kill('SIGKILL')
    const [code] = await ended
    console.log(`${this.name} has left (${how}), exit code ${code ?? 'none'}`)
  }
}

const play = async (): Promise<void> => {
  // A cookie of our own and the loopback, so that this never meets a chat of yours.
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    SKEIN_COOKIE: randomBytes(32).toString('hex'),
    SKEIN_HOST: '127.0.0.1',
    SKEIN_PORT: '0',
    SKEIN_DISCOVERY: 'none',
  }
  const anna = new Played('anna', env)
  const [address] = /127\.0\.0\.1:\d+/.exec(await anna.until('you are')) ?? []
  const seeded = { ...env, SKEIN_SEEDS: address }
  const bert = new Played('bert', seeded)
  await anna.until('bert is here')
  await bert.until('anna is here')
  anna.type('hello bert')
  await bert.until('hello bert')
  const cleo = new Played('cleo', seeded)
  await bert.until('cleo is here')
  await anna.until('cleo is here')
  await cleo.until('bert is here')
  cleo.type('good evening')
  await Promise.all([anna.until('good evening'), bert.until('good evening')])
  bert.type('/who')
  await bert.until('here: anna, bert, cleo')
  await bert.end('kill -9')
  await anna.until('bert is gone')
  await anna.end('Ctrl-D')
  await cleo.until('anna is gone')
  await cleo.end('Ctrl-D')
}

const [name] = process.argv.slice(2)
await (name === undefined ? play() : openTerminal(name))
