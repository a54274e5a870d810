/** `skein top` on real nodes: plain tables and JSON in pipes, the screen on a terminal, and how it fails. */
import { hostname } from 'node:os'
import * as assert from 'uvu/assert'
import { Pty } from '../../support/pty.ts'
import { suite } from '../../support/suite.ts'
import { Cli, freshSettings, jsonLines, runCli, startCli } from './cli-support.ts'

/** Each command is a process that compiles itself first. */
const DEADLINE_MS = 300_000

const test = suite('skein top', { watchdogMs: 1_800_000 })

test(
  'once: tables for people, snapshots for programs, of all nodes or one',
  async (t) => {
    const settings = freshSettings()
    const a = await startCli(t, ['--name', 'a'], settings)
    const b = await startCli(t, ['--name', 'b', '--seed', a.address], settings)
    await b.cli.printed({ type: 'nodeup', node: `a@${hostname()}` })
    const top = (...args: string[]) => runCli(t, ['top', '--once', '--seed', a.address, ...args], settings)
    const people = await top()
    assert.equal([people.code, people.stderr], [0, ''])
    assert.match(people.stdout, new RegExp(`cluster ${settings.SKEIN_CLUSTER}: 2 nodes, \\d+ processes`))
    for (const pattern of [/^ {2}NODE +UP +CPU/m, /^ {2}a +\d+[sm] +\d+%/m, /^ {2}a +b +port +[\d.]+ ms/m]) {
      assert.match(people.stdout, pattern)
    }
    assert.not.match(people.stdout, '\u001b')
    const json = await top('--json')
    assert.equal([json.code, json.stderr], [0, ''])
    const [line, ...more] = jsonLines(json.stdout)
    assert.equal(more, [])
    const nodes = (line?.nodes ?? []) as { node: string; snapshot: { connections: { list: { node: string }[] } } }[]
    assert.equal(
      nodes.map(({ node }) => node),
      [`a@${hostname()}`, `b@${hostname()}`],
    )
    assert.ok(nodes[0]?.snapshot.connections.list.some(({ node }) => node === `b@${hostname()}`))
    const one = await top('b')
    assert.match(one.stdout, /^ {2}b +\d+ +echo +waiting/m)
    assert.match(one.stdout, `cluster ${settings.SKEIN_CLUSTER}: 1 node,`)
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'in a pipe: one look after the other, until it is interrupted; a node that dies is told',
  async (t) => {
    const settings = freshSettings()
    const a = await startCli(t, ['--name', 'a'], settings)
    const b = await startCli(t, ['--name', 'b', '--seed', a.address], settings)
    await b.cli.printed({ type: 'nodeup', node: `a@${hostname()}` })
    const top = new Cli(t, ['top', '--seed', a.address], settings)
    await top.line((line) => line.includes('2 nodes,'))
    b.cli.signal('SIGKILL')
    await top.line((line) => line.includes('1 node, 1 gone'))
    await top.line((line) => /^ {2}b: [A-Z_]+ /.test(line))
    top.signal('SIGINT')
    const { code, stderr } = await top.ended
    assert.equal([code, stderr], [0, ''])
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'on a terminal: a screen that follows keys and sizes, and gives the terminal back',
  async (t) => {
    const settings = freshSettings()
    const a = await startCli(t, ['--name', 'a'], settings)
    const command = [process.execPath, '--import', 'tsx', 'src/cli/main.ts', 'top', '--seed', a.address]
    const top = new Pty(t, command, settings, { rows: 24, columns: 80 })
    await top.until('the first picture', () => top.screen().some((line) => line.startsWith('> a')))
    assert.is(top.screen().length, 24)
    assert.ok(top.screen().every((line) => line.length <= 80))
    top.type('\r')
    await top.until('the processes of a', () => top.screen().some((line) => line.includes(`of a@${hostname()}`)))
    await top.until('its process echo', () => top.screen().some((line) => line.includes(' echo ')))
    while (!top.screen().some((line) => /^>.* echo /.test(line))) {
      const before = top.screen().find((line) => line.startsWith('>'))
      top.type('\u001b[B')
      await top.until('the cursor moves', () => top.screen().find((line) => line.startsWith('>')) !== before)
    }
    top.type('\r')
    const hasDetails = (): boolean => top.screen().some((line) => /^ {2}names +echo$/.test(line))
    await top.until('details of a process', hasDetails)
    top.type('\u007f ')
    await top.until('the held picture', () => !hasDetails() && top.screen().some((line) => line.startsWith('HELD')))
    top.type('\r')
    await top.until('details, though the picture is held', hasDetails)
    await top.resize(10, 60)
    // Rows and columns change one after the other, and a picture may be drawn in between.
    const fits = (): boolean => top.screen().length === 10 && top.screen().every((line) => line.length <= 60)
    await top.until('the new size', fits)
    top.type('q')
    const { code, text } = await top.ended
    assert.is(code, 0)
    assert.is(text.split('\u001b[?1049h').length, 2, 'opened once')
    assert.ok(text.trimEnd().endsWith('\u001b[?25h\u001b[?1049l'), JSON.stringify(text.slice(-100)))
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'whatever ends it, the terminal is given back; without colours where none are wanted',
  async (t) => {
    const settings = freshSettings()
    const a = await startCli(t, ['--name', 'a'], settings)
    const command = [process.execPath, '--import', 'tsx', 'src/cli/main.ts', 'top', '--seed', a.address]
    const ends: readonly (readonly [string, (pty: Pty) => void])[] = [
      ['Ctrl-C', (pty) => pty.type('\u0003')],
      ['SIGTERM', (pty) => pty.signal('SIGTERM')],
    ]
    for (const [how, end] of ends) {
      const top = new Pty(t, command, { ...settings, NO_COLOR: '1' }, { rows: 24, columns: 80 })
      await top.until('a picture', () => top.screen().some((line) => line.startsWith('> a')))
      end(top)
      const { code, text } = await top.ended
      assert.is(code, 0, how)
      assert.not.match(text, /\[\d+m/)
      assert.ok(text.trimEnd().endsWith('\u001b[?25h\u001b[?1049l'), how)
    }
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'help, wrong arguments and nobody there',
  async (t) => {
    const [help, every, word, option, nobody] = await Promise.all([
      runCli(t, ['top', '--help']),
      runCli(t, ['top', '--every', 'soon']),
      runCli(t, ['topp']),
      runCli(t, ['top', '--onec', '--json']),
      runCli(t, ['top', '--once', '--json']),
    ])
    assert.equal([help.code, help.stderr], [0, ''])
    for (const text of ['Examples:', 'skein top --once', '--every']) assert.match(help.stdout, text)
    assert.equal([every.code, every.stdout], [2, ''])
    assert.match(every.stderr, 'It must be a time')
    assert.is(word.code, 2)
    assert.match(word.stderr, 'Did you mean top?')
    assert.is(option.code, 2)
    assert.match(String(jsonLines(option.stderr)[0]?.hint), '--once')
    assert.is(nobody.code, 1)
    assert.is(jsonLines(nobody.stderr)[0]?.code, 'ERR_SKEIN_CONNECT_FAILED')
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()
