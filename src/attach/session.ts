/**
 * One session of `skein attach`: a context with globals of its own, in which code runs in the process of the node.
 *
 * Names that the code declares stay in the context; `node`, `require`, `console` and `_`, the last result, are there from
 * the start, and whatever the program has made global. What is shown of a result is bounded. Code that does not come back
 * is ended after a second by V8, which keeps it from making the node look dead; code that goes on after an await is past
 * that guard. What it does not do: protect the process from the code, which may do anything that the program may.
 */
import { Console } from 'node:console'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { inspect, types } from 'node:util'
import { type Context, createContext, Script } from 'node:vm'
import { plain } from '../observe/plain.ts'
import { safeText } from '../safe-text.ts'
import { parse } from './code.ts'
import { type AttachReply, type AttachRequest, MAX_COMPLETIONS, MAX_TEXT_LENGTH } from './protocol.ts'

/** Code that neither ends nor awaits: well below the silence after which a node counts as down. */
const MAX_BUSY_MS = 1000
/** As in a REPL of Node.js, and a little more. */
const SHOWN_DEPTH = 3
const SHOWN_MEMBERS = 100
const SHOWN_STRING = 10_000
const DEFAULT_COLUMNS = 80

type Evaluation = Extract<AttachRequest, { type: 'evaluate' }>

/** Runs `work()`, which it is given as a global, in a context that holds nothing else. */
const GUARDED = new Script('work()', { filename: 'skein' })
const GLOBAL = new Script('globalThis')

export class Session {
  readonly #context: Context
  #giveUp: (() => void) | undefined
  #isClosed = false

  /** `print` is given what the code writes to its console. */
  constructor(node: object, print: (text: string) => void) {
    const stdout = new Writable({
      decodeStrings: false,
      write: (chunk, _encoding, done) => {
        // Timers of the code go on when nobody is attached any more.
        if (!this.#isClosed) print(cut(String(chunk)))
        done()
      },
    })
    this.#context = createContext({}, { name: 'skein attach' })
    const known = new Set(Object.getOwnPropertyNames(this.#global))
    // What Node.js and the program have made global: a context has the names of the language alone.
    for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(globalThis))) {
      if (!known.has(name)) Object.defineProperty(this.#context, name, property)
    }
    Object.assign(this.#context, {
      node,
      require: createRequire(join(process.cwd(), 'attach')),
      console: new Console({ stdout, colorMode: false }),
    })
    this.#define('global', this.#global)
  }

  /** As the code sees it. */
  get #global(): object {
    return GLOBAL.runInContext(this.#context) as object
  }

  /** An evaluation is not through yet. */
  get isBusy(): boolean {
    return this.#giveUp !== undefined
  }

  /** Never rejects. */
  async evaluate(evaluation: Evaluation): Promise<AttachReply> {
    const parsed = parse(evaluation.code)
    if (parsed.type === 'incomplete') return { type: 'incomplete', text: safeText(parsed.error) }
    if (parsed.type === 'bad') return { type: 'threw', text: safeText(parsed.error) }
    try {
      const given: unknown = this.#guarded(() => parsed.script.runInContext(this.#context, { displayErrors: false }))
      const value = types.isPromise(given) ? await this.#settled(given) : given
      if (value === GIVEN_UP) return { type: 'givenUp' }
      this.#define('_', value)
      return this.#shown(value, evaluation)
    } catch (error) {
      return { type: 'threw', text: this.#told(error, evaluation) }
    }
  }

  /** What is awaited is awaited no longer; it goes on by itself. */
  giveUp(): void {
    this.#giveUp?.()
  }

  /** Nobody is told anything any more. */
  close(): void {
    this.#isClosed = true
    this.giveUp()
  }

  /** What the word at the end of the line may become. Getters on the way are asked, as in a REPL. */
  complete(line: string): Extract<AttachReply, { type: 'completions' }> {
    const [, path = '', word = ''] =
      /((?:[\p{ID_Start}$_][\p{ID_Continue}$]*\??\.)*)([\p{ID_Start}$_][\p{ID_Continue}$]*)?$/u.exec(line) ?? []
    let names: string[] = []
    try {
      names = this.#guarded(() => {
        const target: unknown =
          path === '' ? this.#global : new Script(path.replace(/\??\.$/, '')).runInContext(this.#context)
        return target === undefined || target === null ? [] : namesOf(Object(target) as object)
      })
    } catch {
      // Nothing of that name, or a getter that fails: there is nothing to propose.
    }
    const fitting = names.filter((name) => name.startsWith(word)).sort()
    return { type: 'completions', word, names: fitting.slice(0, MAX_COMPLETIONS) }
  }

  /** A promise of the code, or GIVEN_UP. A rejection that comes later has been seen to. */
  #settled(promise: Promise<unknown>): Promise<unknown> {
    const givenUp = new Promise<unknown>((resolve) => {
      this.#giveUp = () => resolve(GIVEN_UP)
    })
    return Promise.race([promise, givenUp]).finally(() => {
      this.#giveUp = undefined
    })
  }

  #shown(value: unknown, { format, columns, colours = false }: Evaluation): AttachReply {
    if (format === 'data') return { type: 'data', value: this.#guarded(() => plain(value)) }
    const text = this.#guarded(() =>
      inspect(value, {
        depth: SHOWN_DEPTH,
        maxArrayLength: SHOWN_MEMBERS,
        maxStringLength: SHOWN_STRING,
        breakLength: columns ?? DEFAULT_COLUMNS,
        colors: colours,
      }),
    )
    return { type: 'text', text: cut(text) }
  }

  /** An error without the frames that are ours: those below the last one of the code. */
  #told(error: unknown, evaluation: Evaluation): string {
    const text = this.#shownSafely(error, evaluation)
    if (!types.isNativeError(error)) return `Thrown: ${text}`
    return text.replace(/^([\s\S]*\battach:\d+:\d+\)?)(?:\n {4}at .*)+/, '$1')
  }

  #shownSafely(value: unknown, evaluation: Evaluation): string {
    try {
      const shown = this.#shown(value, { ...evaluation, format: 'text' })
      return shown.type === 'text' ? shown.text : ''
    } catch (error) {
      return safeText(error)
    }
  }

  #guarded<T>(work: () => T): T {
    return GUARDED.runInContext(createContext({ work }), { timeout: MAX_BUSY_MS, displayErrors: false }) as T
  }

  #define(name: string, value: unknown): void {
    Object.defineProperty(this.#context, name, { value, writable: true, configurable: true, enumerable: false })
  }
}

const GIVEN_UP = Symbol('given up')

/** Own and inherited names that can stand behind a dot. */
const namesOf = (target: object): string[] => {
  const names = new Set<string>()
  for (let holder: object | null = target; holder !== null; holder = Object.getPrototypeOf(holder) as object | null) {
    for (const name of Object.getOwnPropertyNames(holder)) {
      if (/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name)) names.add(name)
    }
  }
  return [...names]
}

const cut = (text: string): string =>
  text.length <= MAX_TEXT_LENGTH
    ? text
    : `${text.slice(0, MAX_TEXT_LENGTH)}\n... ${text.length - MAX_TEXT_LENGTH} more characters`
