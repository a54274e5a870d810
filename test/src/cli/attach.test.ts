/** `skein attach` on real nodes: one evaluation, code from a pipe, the prompt on a terminal, and who is refused. */
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import * as assert from 'uvu/assert'
import { Pty } from '../../support/pty.ts'
import { suite, type TestContext } from '../../support/suite.ts'
import { freshSettings, jsonLines, runCli, startCli } from './cli-support.ts'

/** Each command is a process that compiles itself first. */
const DEADLINE_MS = 300_000

const test = suite('skein attach', { watchdogMs: 1_800_000 })

const temporaryFolder = async (t: TestContext): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-attach-'))
  t.defer(() => rm(folder, { recursive: true }))
  return folder
}

test(
  'one evaluation: its value, what it printed, how it failed; and the node tells of each',
  async (t) => {
    const settings = freshSettings()
    const a = await startCli(t, ['--name', 'a', '--attach'], settings)
    const attach = (...args: string[]) => runCli(t, ['attach', 'a', '--seed', a.address, ...args], settings)
    const [value, json, threw, threwJson] = await Promise.all([
      attach('--eval', 'console.log("hello"); const info = await node.call("skein", { type: "ping" }); info'),
      attach('--eval', '({ name: node.name, big: 2n ** 70n })', '--json'),
      attach('--eval', 'nothing.here'),
      attach('--eval', '(', '--json'),
    ])
    assert.equal([value.code, value.stderr], [0, ''])
    assert.is(value.stdout, `hello\nundefined\n`)
    assert.equal([json.code, json.stderr], [0, ''])
    const name = `a@${hostname()}`
    assert.equal(jsonLines(json.stdout), [{ node: name, value: { name, big: '1180591620717411303424' } }])
    assert.equal([threw.code, threw.stdout], [1, ''])
    assert.match(threw.stderr, /^ERR_SKEIN_EVALUATION: ReferenceError: nothing is not defined\n {4}at attach:1:1\n/)
    assert.is(threwJson.code, 1)
    const [failure] = jsonLines(threwJson.stderr)
    assert.equal([failure?.code, failure?.message], ['ERR_SKEIN_EVALUATION', 'SyntaxError: Unexpected end of input'])
    const told = await a.cli.printed({ type: 'attach', action: 'evaluated', code: 'nothing.here' })
    assert.match(String(told.node), /^skein-tool-/)
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'code from a pipe; and an endless promise is given up by Ctrl-C',
  async (t) => {
    const settings = freshSettings()
    const a = await startCli(t, ['--name', 'a', '--attach'], settings)
    const command = [process.execPath, '--import', 'tsx', 'src/cli/main.ts', 'attach', 'a', '--seed', a.address]
    const pipe = new Pty(t, ['/bin/sh', '-c', `printf 'const x = 6\\nx * 7\\n' | "$@"`, 'sh', ...command], settings, {
      rows: 24,
      columns: 80,
    })
    const piped = await pipe.ended
    assert.is(piped.code, 0)
    assert.match(stripVTControlCharacters(piped.text), /^42\r?$/m)
    const endless = new Pty(t, [...command, '--eval', 'new Promise(() => {})'], settings, { rows: 24, columns: 80 })
    await a.cli.printed({ type: 'attach', action: 'evaluated', code: 'new Promise(() => {})' })
    endless.type('\u0003')
    const { code, text } = await endless.ended
    assert.is(code, 1)
    assert.match(text, 'ERR_SKEIN_EVALUATION: It was given up')
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'the prompt: lines that go on, completion, Ctrl-C, a history that only its owner can read',
  async (t) => {
    const folder = await temporaryFolder(t)
    const settings = { ...freshSettings(), XDG_CONFIG_HOME: folder }
    const a = await startCli(t, ['--name', 'a', '--attach'], settings)
    const command = [process.execPath, '--import', 'tsx', 'src/cli/main.ts', 'attach', 'a', '--seed', a.address]
    const pty = new Pty(t, command, settings, { rows: 24, columns: 80 })
    const until = (what: string | RegExp): Promise<void> =>
      pty.until(String(what), ({ text }) => (typeof what === 'string' ? text.includes(what) : what.test(text)))
    await until('a> ')
    pty.type('const twice = (x) => {\r')
    await until('... ')
    pty.type('return x + x }\r')
    await until('undefined')
    pty.type('twice(node.na\t')
    await until('twice(node.name')
    pty.type('.length)\r')
    await until(String(2 * `a@${hostname()}`.length))
    pty.type('new Promise(() => {})\r')
    await a.cli.printed({ type: 'attach', action: 'evaluated', code: 'new Promise(() => {})' })
    pty.type('\u0003')
    await until('given up')
    pty.type('nonsense(\u0003')
    pty.type('"still" + " there"\r')
    await until("'still there'")
    pty.type('.exit\r')
    assert.is((await pty.ended).code, 0)
    const file = join(folder, 'skein', 'attach-history')
    assert.match(await readFile(file, 'utf8'), 'const twice = (x) => {')
    assert.is((await stat(file)).mode & 0o777, 0o600)
    await a.cli.printed({ type: 'attach', action: 'closed' })

    const again = new Pty(t, command, settings, { rows: 24, columns: 80 })
    await again.until('the prompt', ({ text }) => text.includes('a> '))
    a.cli.signal('SIGKILL')
    const { code, text } = await again.ended
    assert.is(code, 1)
    assert.match(text, new RegExp(`ERR_SKEIN_NOCONNECTION: a@${hostname()} is gone: `))
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'a prompt whose output goes on to another program evaluates as well, without colours',
  async (t) => {
    const folder = await temporaryFolder(t)
    const settings = { ...freshSettings(), XDG_CONFIG_HOME: folder }
    const a = await startCli(t, ['--name', 'a', '--attach'], settings)
    const attach = `'${process.execPath}' --import tsx src/cli/main.ts attach a --seed ${a.address} 2>&1`
    const pty = new Pty(t, ['sh', '-c', `${attach} | cat`], settings, { rows: 24, columns: 80 })
    await pty.until('the prompt', ({ text }) => text.includes('a> '))
    pty.type('setTimeout(() => console.log("pri" + "nted"), 1); 20 + 22\r')
    await pty.until('the value', ({ text }) => /^42\r?$/m.test(text))
    await pty.until('what was printed', ({ text }) => text.includes('printed'))
    pty.type('.exit\r')
    const { code, text } = await pty.ended
    assert.is(code, 0)
    assert.not.match(text, '\u001b')
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'refused where the node does not allow it; help and wrong arguments',
  async (t) => {
    const settings = freshSettings()
    const a = await startCli(t, ['--name', 'a'], settings)
    const folder = await temporaryFolder(t)
    const tool = (...args: string[]) => runCli(t, ['attach', ...args, '--seed', a.address], settings)
    // One after the other: a tool has a few seconds to find its node, also on a busy machine.
    const refused = await tool('a', '--eval', '1', '--json', '--identity', join(folder, 'key'))
    const unknown = await tool('zoe', '--eval', '1')
    const help = await runCli(t, ['attach', '--help'])
    assert.equal([refused.code, refused.stdout], [1, ''])
    const [error] = jsonLines(refused.stderr)
    assert.equal([error?.code, error?.message], ['ERR_SKEIN_FORBIDDEN', `a@${hostname()} lets nobody attach.`])
    assert.match(String(error?.hint), 'skein start --attach')
    assert.match(await readFile(join(folder, 'key'), 'utf8'), 'PRIVATE KEY')
    assert.is(unknown.code, 1)
    assert.match(unknown.stderr, 'ERR_SKEIN_NODE_UNKNOWN')
    assert.equal([help.code, help.stderr], [0, ''])
    for (const text of ['Examples:', '--eval', 'Nodes refuse it unless']) assert.match(help.stdout, text)
    const [missing, option] = await Promise.all([runCli(t, ['attach']), runCli(t, ['attach', 'a', '--evil', '1'])])
    assert.equal([missing.code, option.code], [2, 2])
    assert.match(missing.stderr, "missing required argument 'name'")
    assert.match(option.stderr, 'Did you mean --eval?')
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()
