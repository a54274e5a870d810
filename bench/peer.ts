/** The other process of a benchmark: forked with the name of its part, told its arguments, stopped when its parent is done. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface Peer {
  /** What the part said of itself when it was ready. */
  readonly ready: Record<string, unknown>
  stop(): Promise<void>
}

const START_TIMEOUT_MS = 60_000

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
    child.once('exit', (code) => reject(new Error(`${file.pathname} ended with ${code}`)))
    child.once('message', (ready) => {
      clearTimeout(timer)
      resolve({
        ready: ready as Record<string, unknown>,
        stop: async () => {
          if (child.connected) child.disconnect()
          await ended
        },
      })
    })
  })

/** In the forked module: run, say what the parent needs to know, and end when it is gone. */
export const serve = async (
  run: (args: Record<string, unknown>) => Promise<{ ready: Record<string, unknown>; stop: () => Promise<void> }>,
): Promise<void> => {
  const { ready, stop } = await run(JSON.parse(process.argv[2] ?? '{}'))
  process.once('disconnect', () => void stop().then(() => process.exit(0)))
  process.send?.(ready)
}
