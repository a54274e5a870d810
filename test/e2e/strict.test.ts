/**
 * A node with the preset strict: what a member without a rule tries and comes to, and what one with rules does. Real
 * processes over QUIC. The table in docs/security.md is what this test saw; UPDATE_DOCS=1 writes it anew.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import type { AllowRule, StartOptions } from '../../src/index.ts'
import { COOKIE } from '../support/node-process.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { ATTEMPTS, type HostFacts } from './strict-attempts.ts'

const test = suite('the preset strict')

const PAGE = new URL('../../docs/security.md', import.meta.url)
const [BEGIN, END] = ['<!-- what a strict node refuses -->', '<!-- end of what a strict node refuses -->']
/** Starting three processes, and all that each of two of them tries. */
const DEADLINE_MS = 120_000
/** Between two looks at what has come of an attempt, and looks. */
const LOOK_MS = 20
const MAX_LOOKS = 500
/** How long nothing more may come of what was refused. */
const QUIET_MS = 100

/** What the allowed member may do. */
const RULE = {
  spawn: ['page'],
  send: ['orders', 'ledger', 'doomed-*', 'page-*'],
  register: ['till*'],
  groups: ['chat'],
  rooms: ['lobby'],
  observe: 'all',
  supervise: ['sup', 'theirs'],
  unnamed: 'all',
} as const satisfies Omit<AllowRule, 'nodes'>

interface Seen {
  readonly counted: readonly string[]
  readonly told: readonly string[]
  readonly got: readonly string[]
}

class Child {
  readonly #child: ChildProcess
  #last = 0

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start(t: TestContext, file: string, args: readonly string[]): Promise<[Child, unknown]> {
    const path = fileURLToPath(new URL(`fixtures/${file}`, import.meta.url))
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SKEIN_')))
    const child = fork(path, [...args], { execArgv: ['--import', 'tsx'], env })
    t.defer(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    })
    const self = new Child(child)
    return [self, await self.#answer(0)]
  }

  ask(ask: string | number, ...args: readonly string[]): Promise<unknown> {
    const id = ++this.#last
    const answer = this.#answer(id)
    this.#child.send({ id, ask, args })
    return answer
  }

  #answer(id: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const over = (): void => {
        this.#child.off('message', heard)
        this.#child.off('exit', ended)
      }
      const heard = (message: { id: number; value?: unknown; error?: string }): void => {
        if (message.id !== id) return
        over()
        if (message.error === undefined) resolve(message.value)
        else reject(new Error(message.error))
      }
      const ended = (): void => {
        over()
        reject(new Error('the process ended'))
      }
      this.#child.on('message', heard as (message: unknown) => void)
      this.#child.on('exit', ended)
    })
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Looks until that has come of it, and whether more does. */
const seenBy = async (host: Child, isThere: (seen: Seen) => boolean): Promise<Seen> => {
  for (let looks = 0; looks < MAX_LOOKS; looks++) {
    if (isThere((await host.ask('seen')) as Seen)) break
    await pause(LOOK_MS)
  }
  await pause(QUIET_MS)
  const seen = (await host.ask('seen')) as Seen
  await host.ask('clear')
  return seen
}

const listed = (parts: readonly string[]): string => {
  const counts = new Map<string, number>()
  for (const part of parts) counts.set(part, (counts.get(part) ?? 0) + 1)
  return Array.from(counts, ([part, count]) => (count === 1 ? part : `${part} (${count})`)).join(', ')
}

const cell = (text: string): string => text.replaceAll(/(ERR_SKEIN_[A-Z_]+)/g, '`$1`') || 'nothing'

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

/** Each attempt, on one member. */
const attemptAll = async (host: Child, member: Child, isAllowed: boolean): Promise<readonly (readonly string[])[]> => {
  const outcomes: (readonly string[])[] = []
  for (const [index, { what, counts = 1, gets = 0 }] of ATTEMPTS.entries()) {
    await host.ask('clear')
    const outcome = String(await member.ask(index))
    const wanted = isAllowed ? ({ got }: Seen) => got.length >= gets : ({ counted }: Seen) => counted.length >= counts
    const { counted, told, got } = await seenBy(host, wanted)
    if (!isAllowed && counts > 0) assert.equal(got, [], `${what}: nothing comes of it`)
    if (!isAllowed) assert.is(counted.length, counts, `${what}: ${counted.join()}`)
    if (isAllowed) assert.ok(got.length >= gets, `${what}: ${got.join()}`)
    outcomes.push([
      outcome,
      listed(counted.map((one) => `\`${one}\``)),
      listed(told.filter((one) => one !== 'forbidden')),
      listed(got),
    ])
  }
  return outcomes
}

test(
  'what a member without a rule tries comes to nothing, and a member with rules may; the page shows it',
  async (t) => {
    const shared: StartOptions = { host: '127.0.0.1', port: 0, cookie: COOKIE, logLevel: 'silent' }
    const quiet = { mdns: false, dht: false }
    const options = {
      ...shared,
      name: 'host@test',
      discovery: quiet,
      allow: { preset: 'strict', rules: [{ nodes: 'friend@test', ...RULE }] },
    } satisfies StartOptions
    const [host] = await Child.start(t, 'strict-host.ts', [JSON.stringify(options)])
    for (let looks = 0; looks < MAX_LOOKS && (await host.ask('leads')) !== true; looks++) await pause(LOOK_MS)
    const facts = (await host.ask('facts')) as HostFacts
    const discovery = { ...quiet, seeds: [`127.0.0.1:${facts.port}`] }
    const join = async (name: string, kind: string): Promise<Child> => {
      const member = { ...shared, name, discovery }
      const args = [JSON.stringify(member), JSON.stringify(facts), kind]
      const [child] = await Child.start(t, 'strict-member.ts', args)
      return child
    }
    const stranger = await join('stranger@test', 'refused')
    const refused = await attemptAll(host, stranger, false)
    const counted = Number(await host.ask('count'))
    assert.is(
      counted,
      ATTEMPTS.reduce((sum, { counts = 1 }) => sum + counts, 0),
    )
    assert.is(await host.ask('own', 'call', 'stranger@test'), 'an answer', 'it may answer what it is called with')
    assert.is(await host.ask('own', 'down', 'stranger@test'), 'DOWN killed', 'and its end is told')
    const friend = await join('friend@test', 'allowed')
    const allowed = await attemptAll(host, friend, true)

    const lines = [
      row(['Attempt of a member', 'without a rule it sees', 'counted as, told as', 'allowed by', 'and then']),
      row(['---', '---', '---', '---', '---']),
      ...ATTEMPTS.map(({ what, rule }, index) => {
        const [seen = '', counts = '', told = '', got = ''] = refused[index] ?? []
        const [ok = '', , , then = ''] = allowed[index] ?? []
        const here = [counts, told, got].filter((one) => one !== '').join('; ')
        const after = [ok, then].filter((one) => one !== '' && one !== 'nothing').join('; ')
        return row([what, cell(seen), cell(here), rule, cell(after)])
      }),
    ]
    const page = await readFile(PAGE, 'utf8')
    const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)]
    assert.ok(from >= 0 && to > from, 'the markers')
    const written = `${page.slice(0, from)}${BEGIN}\n${lines.join('\n')}\n${page.slice(to)}`
    if (process.env.UPDATE_DOCS === '1') await writeFile(PAGE, written)
    else
      assert.is(page, written, 'docs/security.md shows something else: UPDATE_DOCS=1 npx tsx test/e2e/strict.test.ts')
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()
