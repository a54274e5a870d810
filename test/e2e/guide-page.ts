/**
 * A page of docs/ as steps that can be done: what its code blocks say to write, to run, and what is to be seen then.
 *
 * | Block | Step |
 * |---|---|
 * | `ts` that begins with `// name.ts` | a file of that name is written |
 * | any other `ts` | a program runs to its end, without an error |
 * | `sh` | commands run to their end, without an error |
 * | `text` | these lines are printed, in this order, by the block before |
 *
 * Where a program says `console.log(...) // 7`, that line is printed. A comment right before a block says more about it:
 * `<!-- on: left; terminal: 1 -->`.
 *
 * | Word | Means |
 * |---|---|
 * | `on` | the machine; without it the first one of the page |
 * | `terminal` | the command of this block stays, under this name; a `text` block is what it prints |
 * | `exit` | the commands end with this exit code |
 * | `not run` | with the reason, and no other word |
 *
 * Blocks in a language of OTHERS are there to be read. Any other language, word or order of blocks is an error: a block
 * that nobody runs must not go unnoticed.
 */

/** What others write, beside which our own stands. */
const OTHERS: readonly string[] = ['erlang', 'elixir']

const BLOCK = /(?:^<!-- (?<words>[^\n]*) -->\n)?^```(?<language>\w*)\n(?<code>.*?)^```$/gms
const FILE_NAME = /^\/\/ ([\w.-]+\.ts)\n/
const SAYS = /console\.log\(.*\) \/\/ (.+)$/gm
const WORDS: readonly string[] = ['on', 'terminal', 'exit']
const NOT_RUN = 'not run: '

export type Step =
  | { readonly type: 'write'; readonly file: string; readonly text: string }
  | {
      readonly type: 'program'
      readonly on: string | undefined
      readonly text: string
      readonly prints: readonly string[]
    }
  | {
      readonly type: 'commands'
      readonly on: string | undefined
      readonly text: string
      /** Undefined: they run to their end. */
      readonly terminal: string | undefined
      readonly exitCode: number
    }
  /** By the block before, unless a terminal is named. */
  | { readonly type: 'printed'; readonly terminal: string | undefined; readonly lines: readonly string[] }
  | { readonly type: 'notRun'; readonly reason: string }

/** The steps of a page. Throws where it has a block that means nothing. */
export const stepsOf = (page: string): Step[] => {
  const steps = Array.from(page.matchAll(BLOCK), ({ groups = {} }) => {
    const { words = '', language = '', code = '' } = groups
    return stepOf(wordsOf(words), language, code)
  })
  const fences = page.match(/^```/gm)?.length ?? 0
  if (fences !== steps.length * 2) throw new Error(`${fences} fences, but ${steps.length} blocks`)
  return steps
}

const stepOf = (words: ReadonlyMap<string, string>, language: string, code: string): Step => {
  const reason = words.get('not run') ?? (OTHERS.includes(language) ? language : undefined)
  if (reason !== undefined) return { type: 'notRun', reason }
  const on = words.get('on')
  const terminal = words.get('terminal')
  switch (language) {
    case 'ts': {
      const file = FILE_NAME.exec(code)?.[1]
      if (file !== undefined) return { type: 'write', file, text: code }
      return { type: 'program', on, text: code, prints: Array.from(code.matchAll(SAYS), ([, line = '']) => line) }
    }
    case 'sh':
      return { type: 'commands', on, text: code, terminal, exitCode: Number(words.get('exit') ?? 0) }
    case 'text':
      return { type: 'printed', terminal, lines: code.split('\n').filter((line) => line.trim() !== '') }
    default:
      throw new Error(`a block in the language "${language}" is neither run nor said to be not run:\n${code}`)
  }
}

const wordsOf = (text: string): ReadonlyMap<string, string> => {
  // A reason is a sentence, which may have any signs.
  if (text.startsWith(NOT_RUN)) return new Map([['not run', text.slice(NOT_RUN.length)]])
  const pairs = text === '' ? [] : text.split('; ').map((pair) => pair.split(': ', 2) as [string, string])
  for (const [word, value] of pairs) {
    if (!WORDS.includes(word) || value === undefined) throw new Error(`"${word}" is no word about a block: ${text}`)
  }
  return new Map(pairs)
}

/** Whether a line that was printed is what a page shows, but for what differs from run to run: "..." is anything. */
export const isAlike = (printed: string, shown: string): boolean => {
  const pattern = general(shown).split('...').map(escaped).join('.*')
  return new RegExp(`^${pattern}$`).test(general(printed))
}

const escaped = (text: string): string => text.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&')

/** Hosts, ids, ports, times of day and durations differ; how wide a column is does not matter. */
const general = (line: string): string =>
  line
    .trim()
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/@[\w-]+(\.[\w-]+)*/g, '@host')
    .replaceAll(/\b[a-z2-7]{32}\b/g, 'id')
    .replaceAll(/\b[0-9a-f]{16}\b/g, 'incarnation')
    .replaceAll(/\b\d\d:\d\d:\d\d\b/g, 'time')
    .replaceAll(/\b\d+(\.\d+)? m?s\b/g, 'duration')
    .replaceAll(/:\d{4,5}\b/g, ':port')
