/**
 * `skein chaos` as a user runs it, and that it notices when something goes wrong.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import * as assert from 'uvu/assert'
import { suite, type TestContext } from '../../support/suite.ts'
import { Cli, jsonLines, runCli, type Spawn } from './cli-support.ts'

/** Each node of the chaos compiles itself first, each time that it comes back. */
const DEADLINE_MS = 600_000
/** The end of a process that is nobody's child here can only be looked for. */
const LOOK_INTERVAL_MS = 100

const test = suite('chaos', { watchdogMs: 1_900_000 })

/** The command in a process of its own, and its pid. */
const startChaos = (t: TestContext): { readonly cli: Cli; readonly pid: number } => {
  let child: ChildProcess | undefined
  const run: Spawn = (command, args, options) => {
    child = spawn(command, args, options)
    return child
  }
  const cli = new Cli(t, ['chaos', '--nodes', '3', '--for', '10m', '--seed', '5'], {}, run)
  return { cli, pid: child?.pid ?? 0 }
}

const isNode = (pid: number): boolean => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('chaos-node')
  } catch {
    return false
  }
}

/** Processes of its nodes. Compilers may be among its children as well. */
const nodesOf = (pid: number): number[] => {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number)
  return children.filter(isNode)
}

test(
  'nodes are killed, restarted, stopped and frozen, and all that is promised holds',
  async (t) => {
    const cli = new Cli(t, ['chaos', '--nodes', '3', '--for', '10m', '--seed', '5', '--json'], {})
    const started = await cli.printed({ type: 'started' })
    assert.equal([started.nodes, started.seed], [3, 5])
    const first = await cli.printed({ type: 'round', round: 1 })
    const faults = first.faults as { kind: string; node: string }[]
    assert.is(faults.length, 1, 'of three nodes two are left alone')
    assert.match(`${faults[0]?.kind} ${faults[0]?.node}`, /^(kill|restart|stop|pause) n[123]$/)
    await cli.printed({ type: 'round', round: 2 })
    cli.signal('SIGINT')
    const { code, stdout, stderr } = await cli.ended
    assert.equal([code, stderr], [0, ''], stdout)
    const ended = jsonLines(stdout).at(-1)
    assert.equal([ended?.type, ended?.violations], ['ended', 0])
    assert.ok(Number(ended?.rounds) >= 2)
    assert.ok(Number(ended?.answered) > 0)
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'a node process that somebody else kills is a violation, and the command fails',
  async (t) => {
    if (process.platform !== 'linux') t.skip('child processes are looked up in /proc')
    const { cli, pid } = startChaos(t)
    await cli.line((line) => line.includes('all agree'))
    const [victim] = nodesOf(pid)
    if (victim === undefined) throw new Error('no node process was found')
    process.kill(victim, 'SIGKILL')
    await cli.line((line) => /VIOLATION the process of n\d ended: SIGKILL/.test(line))
    cli.signal('SIGINT')
    const { code, stdout } = await cli.ended
    assert.is(code, 1)
    assert.match(stdout, /\d rounds?, [1-9]\d* violations?\n$/)
    assert.match(stdout, 'seed 5')
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'its nodes end with the command, also if it is killed while one of them is frozen',
  async (t) => {
    if (process.platform !== 'linux') t.skip('child processes are looked up in /proc')
    const { cli, pid } = startChaos(t)
    await cli.line((line) => line.includes('all agree'))
    const nodes = nodesOf(pid)
    const [frozen] = nodes
    if (frozen === undefined) throw new Error('no node process was found')
    t.defer(() => {
      for (const node of nodes.filter(isNode)) process.kill(node, 'SIGKILL')
    })
    // One after the other, without a pause in which it could be woken as planned.
    process.kill(frozen, 'SIGSTOP')
    cli.signal('SIGKILL')
    while (nodes.some(isNode)) await sleep(LOOK_INTERVAL_MS)
    assert.ok(nodes.length >= 2)
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'wrong arguments say what may be given, and help shows how it is used',
  async (t) => {
    const [few, many, seed, span, help] = await Promise.all([
      runCli(t, ['chaos', '--nodes', '2']),
      runCli(t, ['chaos', '--nodes', '99']),
      runCli(t, ['chaos', '--seed', 'x', '--json']),
      runCli(t, ['chaos', '--for', '5']),
      runCli(t, ['chaos', '--help']),
    ])
    assert.equal(
      [few, many, seed, span].map(({ code, stdout }) => [code, stdout]),
      Array(4).fill([2, '']),
    )
    assert.match(few.stderr, 'It must be 3 to 16.')
    assert.match(many.stderr, 'It must be 3 to 16.')
    assert.match(String(jsonLines(seed.stderr)[0]?.message), 'It must be 0 to 4294967295.')
    assert.match(span.stderr, 'such as 30s, 10m or 2h')
    assert.is(help.code, 0)
    assert.match(help.stdout, 'skein chaos --nodes 9 --for 10m')
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()
