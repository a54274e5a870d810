/** The other process of a benchmark: forked with the name of its part, told its arguments, stopped when its parent is done. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface Peer {
  /** What the part said of itself when it was ready. */
  readonly ready: Record<string, unknown>
  /** Asks a part that answers (see `serve`). One request at a time. */
  ask(request: unknown): Promise<unknown>
  stop(): Promise<void>
}

/** What goes between the two processes after `ready`. */
type Answer = { readonly value: unknown } | { readonly error: string }

const START_TIMEOUT_MS = 240_000
const ASK_TIMEOUT_MS = 120_000

/** Forks `file` (a module that calls `serve`), with these flags for Node, and waits until it is ready. */
export const startPeer = (file: URL, args: Record<string, unknown>, flags: readonly string[] = []): Promise<Peer> =>
  new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(file), [JSON.stringify(args)], {
      stdio: ['ignore', 2, 2, 'ipc'],
      execArgv: [...process.execArgv, ...flags],
    })
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`${file.pathname} was not ready in time`))
    }, START_TIMEOUT_MS)
    const ended = new Promise<void>((done) => child.once('exit', () => done()))
    child.once('exit', (code) => {
      clearTimeout(timer)
      reject(new Error(`${file.pathname} ended with ${code}`))
    })
    child.once('message', (ready) => {
      clearTimeout(timer)
      resolve({
        ready: ready as Record<string, unknown>,
        ask: (request) => ask(child, file, request),
        stop: async () => {
          if (child.connected) child.disconnect()
          await ended
        },
      })
    })
  })

const ask = (child: ChildProcess, file: URL, request: unknown): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const settle = (settled: () => void): void => {
      clearTimeout(timer)
      child.off('exit', ended).off('message', answered)
      settled()
    }
    const fail = (why: string): void => settle(() => reject(new Error(`${file.pathname} ${why}`)))
    const ended = (): void => fail('ended')
    const answered = (message: unknown): void => {
      const answer = message as Answer
      if ('error' in answer) fail(`failed: ${answer.error}`)
      else settle(() => resolve(answer.value))
    }
    const timer = setTimeout(() => fail('did not answer in time'), ASK_TIMEOUT_MS)
    child.once('exit', ended).once('message', answered)
    child.send({ request }, (error) => {
      if (error !== null) fail(`is gone: ${error.message}`)
    })
  })

interface Part {
  readonly ready: Record<string, unknown>
  readonly stop: () => Promise<void>
  /** What it does when asked. */
  readonly answer?: (request: unknown) => Promise<unknown>
}

/** In the forked module: run, say what the parent needs to know, answer what it asks, and end when it is gone. */
export const serve = async (run: (args: Record<string, unknown>) => Promise<Part>): Promise<void> => {
  const { ready, stop, answer } = await run(JSON.parse(process.argv[2] ?? '{}'))
  const reply = (message: Answer): void => void process.send?.(message)
  process.once('disconnect', () => void stop().then(() => process.exit(0)))
  if (answer !== undefined) {
    process.on('message', ({ request }: { request: unknown }) => {
      answer(request).then(
        (value) => reply({ value }),
        (error: unknown) => reply({ error: error instanceof Error ? String(error.stack) : String(error) }),
      )
    })
  }
  process.send?.(ready)
}
