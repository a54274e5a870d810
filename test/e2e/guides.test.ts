/**
 * The guides of docs/ do what they say: every command and program in them runs as a reader would run it, on machines that
 * are network namespaces of the test, and prints what the page shows. How a page is read is told in guide-page.ts.
 */
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { NatLab } from '../nat/lab.ts'
import type { Spawn } from '../src/cli/cli-support.ts'
import { lan } from '../support/lan.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { furnish, GuideMachine, type Running } from './guide-machine.ts'
import { isAlike, type Step, stepsOf } from './guide-page.ts'
import { temporaryFolder } from './support.ts'

const DOCS = fileURLToPath(new URL('../../docs', import.meta.url))

const test = suite('guides', { watchdogMs: 1_500_000 })

/** The machines of a page by name; the first one is where its reader sits. */
type World = (t: TestContext) => Promise<Readonly<Record<string, Host>>>

interface Host {
  readonly spawn: Spawn
}

/** One machine without any network. */
const oneMachine: World = async (t) => {
  const [here] = lan(t, 1, { loopbackOnly: true })
  return { here: here! }
}

/** Two machines of one LAN. */
const twoMachines: World = async (t) => {
  const [left, right] = lan(t, 2)
  return { left: left!, right: right! }
}

/** Three machines with public addresses: 198.51.100.11, 203.0.113.2 and 203.0.113.18, without multicast between them. */
const publicMachines: World = async (t) => {
  const lab = await NatLab.open(t)
  lab.arrange('none', 'none')
  return { bootstrap: lab.servers[0], left: lab.a, right: lab.b }
}

/** One with a public address, 198.51.100.11, two behind NATs of the common kind, and one to which no UDP gets through. */
const behindNats: World = async (t) => {
  const lab = await NatLab.open(t)
  lab.arrange('port', 'port')
  const [open, office] = lab.servers
  office.filter(`table ip wall {
    chain in {
      type filter hook input priority 0;
      iifname != "lo" meta l4proto udp drop
    }
  }`)
  return { public: open, left: lab.a, right: lab.b, office }
}

interface Guide {
  readonly world: World
  /** How many of its blocks cannot run. */
  readonly notRun: number
}

const GUIDES: Readonly<Record<string, Guide>> = {
  'start.md': { world: oneMachine, notRun: 2 },
  'two-machines.md': { world: twoMachines, notRun: 1 },
  'wan.md': { world: publicMachines, notRun: 1 },
  'behind-nat.md': { world: behindNats, notRun: 0 },
  'concepts.md': { world: oneMachine, notRun: 0 },
  'erlang.md': { world: oneMachine, notRun: 0 },
  'noex.md': { world: oneMachine, notRun: 1 },
  'faq.md': { world: oneMachine, notRun: 0 },
}

/** Does the steps of one page. */
class Reader {
  readonly #folder: string
  readonly #machines: ReadonlyMap<string, GuideMachine>
  readonly #terminals = new Map<string, Running>()
  #latest: Running | undefined
  #programs = 0

  constructor(folder: string, machines: ReadonlyMap<string, GuideMachine>) {
    this.#folder = folder
    this.#machines = machines
  }

  async do(step: Step): Promise<void> {
    switch (step.type) {
      case 'notRun':
        return
      case 'write':
        return writeFileSync(join(this.#folder, step.file), step.text)
      case 'program': {
        const file = `program-${++this.#programs}.ts`
        writeFileSync(join(this.#folder, file), step.text)
        const program = this.#run(step.on, `npx tsx ${file}`)
        assert.is(await program.end(), 0, `${step.text}${program.told()}`)
        for (const line of step.prints) {
          assert.ok(
            program.has((printed) => isAlike(printed, line)),
            `"${line}" was not printed:\n${step.text}${program.told()}`,
          )
        }
        return
      }
      case 'commands': {
        const commands = this.#run(step.on, step.text)
        if (step.terminal !== undefined) this.#terminals.set(step.terminal, commands)
        else assert.is(await commands.end(), step.exitCode, `${step.text}${commands.told()}`)
        return
      }
      case 'printed': {
        const running = step.terminal === undefined ? this.#latest : this.#terminals.get(step.terminal)
        if (running === undefined) throw new Error(`nothing ran that could have printed ${step.lines[0]}`)
        for (const line of step.lines) await running.line(line, (printed) => isAlike(printed, line))
      }
    }
  }

  /** Ctrl-C in every terminal. */
  async leave(): Promise<void> {
    await Promise.all(Array.from(this.#terminals.values(), (running) => running.interrupt()))
  }

  #run(on: string | undefined, commands: string): Running {
    const machine = on === undefined ? [...this.#machines.values()][0] : this.#machines.get(on)
    if (machine === undefined) throw new Error(`there is no machine "${on}"`)
    this.#latest = machine.run(commands)
    return this.#latest
  }
}

/** Does all steps; rejects where the page is not true. */
const follow = async (t: TestContext, steps: readonly Step[], hosts: Readonly<Record<string, Host>>): Promise<void> => {
  const folder = await temporaryFolder(t)
  furnish(folder)
  const machines = Object.entries(hosts).map(
    ([name, host]) => [name, new GuideMachine(t, folder, name, (...run) => host.spawn(...run))] as const,
  )
  const reader = new Reader(folder, new Map(machines))
  for (const step of steps) await reader.do(step)
  await reader.leave()
}

for (const [page, { world, notRun }] of Object.entries(GUIDES)) {
  test(
    `docs/${page}`,
    async (t) => {
      const steps = stepsOf(readFileSync(join(DOCS, page), 'utf8'))
      const left = steps.flatMap((step) => (step.type === 'notRun' ? [step.reason] : []))
      assert.is(left.length, notRun, left.join('; '))
      assert.ok(steps.length > left.length, 'something runs')
      await follow(t, steps, await world(t))
      console.log(`${page}: ${steps.length - left.length} blocks done, ${left.length} not run`)
    },
    { deadlineMs: 400_000 },
  )
}

test('a page whose block is neither run nor said to be not run is refused', () => {
  assert.throws(() => stepsOf('```rust\nfn main() {}\n```\n'), /language "rust"/)
  assert.throws(() => stepsOf('<!-- onn: left -->\n```sh\ntrue\n```\n'), /"onn" is no word/)
  assert.throws(() => stepsOf('```sh\ntrue\n'), /1 fences, but 0 blocks/)
})

const UNTRUE: readonly string[] = [
  '```sh\nfalse\ntrue\n```\n',
  '<!-- exit: 1 -->\n```sh\ntrue\n```\n',
  '```sh\necho one\n```\n\n```text\ntwo\n```\n',
  '```sh\nprintf "two\\none\\n"\n```\n\n```text\none\ntwo\n```\n',
  '<!-- terminal: t -->\n```sh\necho one\n```\n\n<!-- terminal: t -->\n```text\ntwo\n```\n',
  '```text\nby nobody\n```\n',
  '<!-- on: nowhere -->\n```sh\ntrue\n```\n',
  '```ts\nconsole.log(1 + 1) // 3\n```\n',
  "```ts\nthrow new Error('it does not work')\n```\n",
]

test(
  'a page that is not true is refused',
  async (t) => {
    const followed = UNTRUE.map((page) =>
      follow(t, stepsOf(page), { here: { spawn } }).then(
        () => page,
        () => undefined,
      ),
    )
    assert.equal(
      (await Promise.all(followed)).filter((page) => page !== undefined),
      [],
    )
  },
  { deadlineMs: 60_000 },
)

test('what a page shows is compared but for what differs from run to run', () => {
  const shown = 'b@vm  at 127.0.0.1:40121, 0.57 ms'
  assert.ok(isAlike('b@other-host at 127.0.0.1:4433, 1.20 s', shown))
  assert.not.ok(isAlike('c@vm at 127.0.0.1:4433, 12 ms', shown))
  assert.not.ok(isAlike('total: 5', 'total: 4'))
  assert.ok(isAlike('id dbv63alsuapfbsvbetdakrygsywm66h4 (a tool)', 'id zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz ...'))
})

test.run()
