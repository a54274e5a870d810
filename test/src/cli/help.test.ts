/** The help of every command, and the man page that is made from it. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Command } from 'commander'
import * as assert from 'uvu/assert'
import { SkeinError } from '../../../certs/errors.ts'
import { manPage } from '../../../scripts/man-page.ts'
import { flattened, treeOf } from '../../../src/cli/command-tree.ts'
import { describeFailure, describeMisuse, hintAmong } from '../../../src/cli/failure.ts'
import { suite } from '../../support/suite.ts'
import { misuseOf, program, shown } from './program-support.ts'

const test = suite('cli help')

const ROOT = new URL('../../../', import.meta.url)
const PAGE = new URL('docs/man/skein.1', ROOT)
const DEADLINE_MS = 60_000

const helpOf = (command: Command): string => {
  let text = ''
  command.configureOutput({ writeOut: (more) => (text += more), getOutHelpWidth: () => 80 })
  command.outputHelp()
  return text
}

test('every command has a description, examples of itself, and --json unless it prints a script or a page', () => {
  const commands = shown(program())
  assert.ok(commands.length > 15)
  for (const [path, command] of commands) {
    const text = helpOf(command)
    assert.ok(command.description() !== '', path)
    assert.match(text, `\nExamples:\n`, path)
    assert.match(text.slice(text.indexOf('\nExamples:\n')), `skein${path}`, path)
    const hasAction = command.commands.length === 0
    if (hasAction && path !== ' completion') assert.match(text, '--json', path)
  }
})

test('an option that is shown is described, and no help is wider than a terminal but for examples', () => {
  for (const { path, options } of flattened(treeOf(program()))) {
    for (const { flags, description } of options) assert.ok(description.length > 0, `${path.join(' ')} ${flags}`)
  }
  for (const [path, command] of shown(program())) {
    const text = helpOf(command)
    const lines = text.slice(0, text.indexOf('\nExamples:\n')).split('\n')
    assert.equal(
      lines.filter((line) => line.length > 80),
      [],
      path,
    )
  }
})

test('misspelt commands, options and values are answered with the nearest right ones', async () => {
  const cases: readonly (readonly [args: readonly string[], meant: string, command: string])[] = [
    [['strat'], 'start', 'skein'],
    [['evnets'], 'events', 'skein'],
    [['certs', 'isue', 'a.pem'], 'issue', 'skein certs'],
    [['dht', 'fnd', 'b'], 'find', 'skein dht'],
    [['dht', 'find', 'b', '--jsno'], '--json', 'skein dht find'],
    [['start', '--nmae', 'a'], '--name', 'skein start'],
    [['nodes', '--jason'], '--json', 'skein nodes'],
    [['nodes', '--log-level', 'wran'], 'warn', 'skein nodes'],
  ]
  for (const [args, meant, command] of cases) {
    const misuse = await misuseOf(args)
    const text = describeMisuse(misuse, false)
    assert.match(text, /^error: .*\n/, args.join(' '))
    assert.is(text.slice(text.indexOf('\n') + 1), `(Did you mean ${meant}?)\n(${command} --help explains)\n`)
    const { code, message, hint } = JSON.parse(describeMisuse(misuse, true)) as Record<string, string>
    assert.is(code, 'ERR_SKEIN_BAD_ARGUMENT')
    assert.is(text.slice(0, text.indexOf('\n')), `error: ${message}`)
    assert.is(hint, `(Did you mean ${meant}?) (${command} --help explains)`)
  }
  const far = describeMisuse(await misuseOf(['dht', 'b']), false)
  assert.match(far, /^error: too many arguments for 'dht'.*\n\(skein dht --help explains\)\n$/)
  const { message } = JSON.parse(describeMisuse(await misuseOf([]), true)) as { message: string }
  assert.is(message, 'A command is missing.')
})

test('what other nodes said in an error does not steer the terminal', () => {
  const error = new SkeinError('ERR_SKEIN_NOPROC', 'a \u001b[2J', {
    hint: 'b has \u009b2J\n\u202ex',
    attempts: [{ what: '\u0007', code: 'E\u007f', message: '\r' }],
  })
  assert.is(describeFailure(error, false), 'ERR_SKEIN_NOPROC: a ?[2J\n  tried ?: ? (E?)\n  hint: b has ?2J\n?x\n')
  const forPrograms = describeFailure(error, true)
  assert.not.match(forPrograms.trimEnd(), /\p{Cc}/u)
  assert.is((JSON.parse(forPrograms) as { hint: string }).hint, error.hint)
})

test('a hint names what was meant, and not all of a long list', () => {
  assert.is(hintAmong('ehco', ['counter', 'echo'], 'b has'), 'Did you mean echo? b has counter, echo.')
  assert.is(hintAmong('echo', [], 'b has'), 'b has nothing.')
  const many = Array.from({ length: 3000 }, (_, i) => `process-${i}`)
  assert.match(hintAmong('echo', many, 'b has'), /^b has process-0, .*, process-19 and 2980 more\.$/)
})

test('docs/man/skein.1 is up to date (npm run docs:man)', () => {
  const { version } = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')) as { version: string }
  assert.is(readFileSync(PAGE, 'utf8'), manPage(version))
})

test(
  'groff takes the man page without a warning, and shows every command',
  async (t) => {
    const run = promisify(execFile)('groff', ['-man', '-Tutf8', '-ww', fileURLToPath(PAGE)], {
      env: { ...process.env, GROFF_NO_SGR: '1' },
    })
    const { stdout, stderr } = await run.catch((error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT' ? t.missing('groff-base') : Promise.reject(error),
    )
    assert.is(stderr, '')
    // Without overstriking, by which grotty makes bold and underlined letters.
    const text = stdout.replaceAll(new RegExp(`.${'\u0008'}`, 'g'), '')
    for (const { path } of flattened(treeOf(program())).filter(({ path }) => !path.includes('help'))) {
      assert.match(text, path.join(' '))
    }
    assert.match(text, `skein call b echo '{"hello": 1}'`)
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()
