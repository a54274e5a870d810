/**
 * Which blocks of the project's own files have run, by V8's precise block coverage. To be made before the files are
 * loaded: code that was compiled earlier has no counters.
 */
import { type Profiler, Session } from 'node:inspector'

interface Known {
  /** A byte for each character of the function: 1 where it has run. */
  readonly ran: Uint8Array
  /** Ways through it that were seen, as texts. */
  readonly ways: Set<string>
  /** Where its blocks begin. */
  readonly blocks: Set<number>
}

/** A function and a way through it that covers something new. */
interface News {
  readonly key: string
  readonly way: string
  readonly ranges: readonly Profiler.CoverageRange[]
}

export class Coverage {
  readonly #session = new Session()
  readonly #isOwn: (url: string) => boolean
  #functions = new Map<string, Known>()

  constructor(isOwn: (url: string) => boolean) {
    this.#isOwn = isOwn
    this.#session.connect()
    this.#session.post('Profiler.enable')
    this.#session.post('Profiler.startPreciseCoverage', { callCount: false, detailed: true })
  }

  /** What ran since the last look and had never been kept. */
  look(): News[] {
    let scripts: readonly Profiler.ScriptCoverage[] = []
    this.#session.post('Profiler.takePreciseCoverage', (error, taken) => {
      if (error !== null) throw error
      scripts = taken.result
    })
    const news: News[] = []
    for (const { url, functions } of scripts) {
      if (!this.#isOwn(url)) continue
      for (const { ranges } of functions) {
        const [whole] = ranges
        if (whole === undefined || whole.count === 0) continue
        const key = `${url} ${whole.startOffset} ${whole.endOffset}`
        let way = ''
        for (const { startOffset, endOffset, count } of ranges) way += `${startOffset} ${endOffset} ${count},`
        const known = this.#functions.get(key)
        if (known?.ways.has(way)) continue
        if (known === undefined || isNew(known, ranges)) news.push({ key, way, ranges })
        else this.#note(known, way, ranges)
      }
    }
    return news
  }

  keep(news: readonly News[]): void {
    for (const { key, way, ranges } of news) {
      const whole = ranges[0]!
      let known = this.#functions.get(key)
      if (known === undefined) {
        known = { ran: new Uint8Array(whole.endOffset - whole.startOffset), ways: new Set(), blocks: new Set() }
        this.#functions.set(key, known)
      }
      const painted = paint(ranges)
      for (let i = 0; i < painted.length; i++) if (painted[i] === 1) known.ran[i] = 1
      this.#note(known, way, ranges)
    }
  }

  /** Begins anew, as if nothing had run. */
  forget(): void {
    this.look()
    this.#functions = new Map()
  }

  /** Blocks that have run, and all that are known: those of functions that have run. */
  get blocks(): { readonly ran: number; readonly known: number } {
    let ran = 0
    let known = 0
    for (const { ran: bytes, blocks } of this.#functions.values()) {
      known += blocks.size
      for (const start of blocks) ran += bytes[start]!
    }
    return { ran, known }
  }

  #note({ ways, blocks }: Known, way: string, ranges: readonly Profiler.CoverageRange[]): void {
    if (ways.size < MAX_WAYS) ways.add(way)
    const from = ranges[0]!.startOffset
    for (const { startOffset } of ranges) blocks.add(startOffset - from)
  }
}

/** Of one function; beyond that each is looked at again. */
const MAX_WAYS = 256

/** Ranges lie within one another, the inner ones behind the outer ones. */
const paint = (ranges: readonly Profiler.CoverageRange[]): Uint8Array => {
  const { startOffset: from, endOffset: to } = ranges[0]!
  const painted = new Uint8Array(to - from)
  for (const { startOffset, endOffset, count } of ranges) {
    painted.fill(count > 0 ? 1 : 0, startOffset - from, endOffset - from)
  }
  return painted
}

const isNew = ({ ran }: Known, ranges: readonly Profiler.CoverageRange[]): boolean =>
  paint(ranges).some((one, at) => one === 1 && ran[at] === 0)
