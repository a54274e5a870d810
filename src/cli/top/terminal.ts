/**
 * The terminal as a canvas: the other screen buffer, no cursor, keys one by one, and all of it given back at the end.
 *
 * Escape sequences are those of ECMA-48 and of xterm's private modes (1049 the other buffer, 25 the cursor), which every
 * terminal of today has. Whatever ends the program while the canvas is open, an exit or a signal, the terminal is restored.
 */
import { emitKeypressEvents } from 'node:readline'
import type { Size } from './screen.ts'

const OPEN = '\u001b[?1049h\u001b[?25l'
const CLOSE = '\u001b[?25h\u001b[?1049l'
const HOME = '\u001b[H'
/** In front of a line: behind one that is as wide as the terminal it would take the last character. */
const CLEAR_LINE = '\u001b[K'
/** What a terminal has that does not say. */
const DEFAULT_SIZE: Size = { columns: 80, rows: 24 }

interface Key {
  readonly name?: string
  readonly ctrl?: boolean
}

export interface Canvas {
  readonly size: Size
  /** As many lines as there are rows. */
  draw(lines: readonly string[]): void
  /** Gives the terminal back. Idempotent. */
  close(): void
}

/** Opens it. `onKey` is given the name of a key, or its character; `onResize` is called when the size has changed. */
export const openCanvas = (onKey: (key: string) => void, onResize: () => void): Canvas => {
  const { stdin, stdout } = process
  let isOpen = false
  const enter = (): void => {
    isOpen = true
    stdin.setRawMode(true)
    stdout.write(OPEN)
  }
  const leave = (): void => {
    if (!isOpen) return
    isOpen = false
    stdout.write(CLOSE)
    stdin.setRawMode(false)
  }
  const again = (): void => {
    enter()
    onResize()
  }
  const keypress = (text: string | undefined, key: Key): void => {
    if (key.ctrl === true && key.name === 'z') {
      // Windows has no such signal.
      if (process.platform === 'win32') return
      // As the shell would: it gets its terminal back until it lets us go on.
      leave()
      process.once('SIGCONT', again)
      process.kill(process.pid, 'SIGTSTP')
      return
    }
    if (key.ctrl === true) onKey(`ctrl-${key.name}`)
    else onKey(text !== undefined && /^[!-~]$/.test(text) ? text : (key.name ?? ''))
  }
  emitKeypressEvents(stdin)
  stdin.on('keypress', keypress)
  stdin.resume()
  stdout.on('resize', onResize)
  process.on('exit', leave)
  enter()
  return {
    get size() {
      const { columns, rows } = stdout
      return columns > 0 && rows > 0 ? { columns, rows } : DEFAULT_SIZE
    },
    draw: (lines) => {
      if (isOpen) stdout.write(HOME + lines.map((line) => CLEAR_LINE + line).join('\r\n'))
    },
    close: () => {
      leave()
      stdin.removeListener('keypress', keypress)
      stdin.pause()
      stdout.removeListener('resize', onResize)
      process.removeListener('SIGCONT', again)
      process.removeListener('exit', leave)
    },
  }
}
