/**
 * Wrong arguments of every command: an option, a value, an argument that is missing or one too many. Whoever adds a command
 * or an option finds it here, since the cases follow from the tree of commands, and a value that is judged must be in the
 * table.
 */
import type { Argument, Command, Option } from 'commander'
import * as assert from 'uvu/assert'
import { describeMisuse, type Misuse } from '../../../src/cli/failure.ts'
import { appended } from '../../../src/cli/options.ts'
import { suite } from '../../support/suite.ts'
import { freshSettings, jsonLines, runCli } from './cli-support.ts'
import { misuseOf, program, shown } from './program-support.ts'

/** Each command is a process that compiles itself first. */
const DEADLINE_MS = 240_000

const test = suite('cli wrong arguments', { watchdogMs: 400_000 })

/** Every command that does something. */
const commands = (): [path: string, command: Command][] =>
  shown(program()).filter(([path, command]) => path === ' dht' || command.commands.length === 0)

const wordsOf = (path: string): string[] => path.trim().split(' ')

/** What stands behind `find` is taken by `dht` too, which has the same options, and judged there. */
const judgeOf = (path: string): string => (path === ' dht find' ? ' dht' : path)

const longsOf = (command: Command): Option[] => command.options.filter(({ hidden }) => !hidden)

/** Two neighbours that differ change places; the first two letters of a word are seldom mistyped. */
const misspelt = (word: string): string => {
  for (let i = word.length - 2; i >= 2; i--) {
    const [one, other] = [word[i], word[i + 1]]
    if (one !== other) return `${word.slice(0, i)}${other}${one}${word.slice(i + 2)}`
  }
  throw new Error(`${word} is too short`)
}

/** In both forms: what is wrong, what was meant, and whose help tells more. */
const assertTold = (misuse: Misuse, path: string, what: RegExp, meant?: string): void => {
  const forPeople = describeMisuse(misuse, false)
  const [first = '', ...hints] = forPeople.trimEnd().split('\n')
  assert.match(first, what, path)
  assert.is(hints.at(-1), `(skein${path} --help explains)`)
  if (meant !== undefined) assert.match(hints[0] ?? '', meant, path)
  const forPrograms = jsonLines(describeMisuse(misuse, true))
  assert.equal(forPrograms, [
    {
      code: 'ERR_SKEIN_BAD_ARGUMENT',
      message: first.replace('error: ', ''),
      hint: hints.join(' '),
      attempts: [],
    },
  ])
}

test('a misspelt option is answered with the right one, each option of each command', async () => {
  let cases = 0
  for (const [path, command] of commands()) {
    for (const { long } of longsOf(command)) {
      const wrong = misspelt(long ?? '')
      const misuse = await misuseOf([...wordsOf(path), wrong])
      assertTold(misuse, path, new RegExp(`^error: unknown option '${wrong}'$`), long ?? '')
      cases++
    }
  }
  assert.ok(cases > 150, String(cases))
})

test('an option without its value says which value', async () => {
  for (const [path, command] of commands()) {
    for (const { flags, long, required } of longsOf(command)) {
      if (!required) continue
      const misuse = await misuseOf([...wordsOf(path), long ?? ''])
      assertTold(misuse, judgeOf(path), /^error: option '.*' argument missing$/)
      assert.match(misuse.message, `'${flags}'`)
    }
  }
})

test('a missing argument is named, and one too many is counted', async () => {
  let [missing, many] = [0, 0]
  for (const [path, command] of commands()) {
    const taken = command.registeredArguments
    const needed = taken.filter(({ required }) => required)
    for (const [index, argument] of needed.entries()) {
      const given = sound(path, taken).slice(0, index)
      const misuse = await misuseOf([...wordsOf(path), ...given])
      assertTold(misuse, path, new RegExp(`^error: missing required argument '${argument.name()}'$`))
      missing++
    }
    if (taken.some(({ variadic }) => variadic)) continue
    const misuse = await misuseOf([...wordsOf(path), ...sound(path, taken), 'more'])
    assertTold(misuse, path, new RegExp(`^error: too many arguments.* Expected ${taken.length} argument`))
    many++
  }
  assert.ok(missing >= 12 && many >= 15, `${missing} ${many}`)
})

/** Arguments that are taken. */
const sound = (path: string, taken: readonly Argument[]): string[] =>
  taken.map((one) => (path === ' completion' ? 'bash' : one.name() === 'json' ? '1' : 'b'))

const PORT = 'It must be 0 to 65535.'
const SPAN = 'It must be a time from 1s to 24h, such as 30s, 10m or 2h.'
const MILLISECONDS = 'It must be a whole number of milliseconds.'
const DAYS = 'It must be 1 to 36500.'
const NAME = 'It must be 1 to 64 letters, digits, "-", "_" or ".".'
const JSON_VALUE = `It must be JSON, such as '"hi"' or '{"count": 1}'.`

/** By command and option, or by command and argument: what is refused, and what would be right. */
const VALUES: Readonly<Record<string, readonly [values: readonly string[], says: string]>> = {
  ' start --port': [['70000', '-1', 'x', ''], PORT],
  ' start --health-port': [['65536', '1.5'], PORT],
  ' join --port': [['70000'], PORT],
  ' join --health-port': [['x'], PORT],
  ' invite --port': [['x'], PORT],
  ' invite --for': [['10 minutes', '0s', '25h', '5', '9999999h'], SPAN],
  ' doctor --port': [['x'], PORT],
  ' doctor --timeout': [['soon', '0', '-5', '1e3'], MILLISECONDS],
  ' observer --page-port': [['x'], PORT],
  ' observer --page-host': [['localhost', '1.2.3'], 'It must be an IP address, such as 127.0.0.1 or 0.0.0.0.'],
  ' top --every': [['soon', '500ms'], SPAN],
  ' events --type': [['nodup'], 'It must be one of nodeup, nodedown, '],
  ' call --timeout': [['soon', '0'], MILLISECONDS],
  ' call json': [['{x', '', 'hi'], JSON_VALUE],
  ' spawn --timeout': [['soon'], MILLISECONDS],
  ' spawn --as': [['a b', '', 'x'.repeat(65)], NAME],
  ' spawn json': [['{x'], JSON_VALUE],
  ' bench --for': [['long'], SPAN],
  ' bench --process': [['a b', ''], NAME],
  ' chaos --nodes': [['2', '17', 'x'], 'It must be 3 to 16.'],
  ' chaos --for': [['5'], SPAN],
  ' chaos --seed': [['x', '4294967296', '-1'], 'It must be 0 to 4294967295.'],
  ' certs ca --days': [['0', '36501', 'x'], DAYS],
  ' certs issue --days': [['0'], DAYS],
  ' certs renew --days': [['0'], DAYS],
  ' completion shell': [['bsh'], 'Allowed choices are bash, zsh, fish.'],
}

const LOG_LEVEL = 'It must be one of '

/** Whatever else is done with a value than to keep it. */
const isJudged = (one: Option | Argument): boolean => one.parseArg !== undefined && one.parseArg !== appended

test('a value that cannot be says what could be, each judged option and argument of each command', async () => {
  const left = new Set(Object.keys(VALUES))
  for (const [path, command] of commands()) {
    for (const option of longsOf(command).filter(isJudged)) {
      const key = `${path} ${option.long}`
      left.delete(key)
      const [values, says] = option.long === '--log-level' ? [['loud'], LOG_LEVEL] : (VALUES[key] ?? missing(key))
      for (const value of values) {
        const misuse = await misuseOf([...wordsOf(path), option.long ?? '', value])
        assertTold(
          misuse,
          judgeOf(path),
          new RegExp(`^error: option '${escaped(option.flags)}' argument '.*' is invalid\\. `),
        )
        assert.ok(misuse.message.includes(says), misuse.message)
      }
    }
    for (const [index, argument] of command.registeredArguments.entries()) {
      if (!isJudged(argument)) continue
      const key = `${path} ${argument.name()}`
      left.delete(key)
      const [values, says] = VALUES[key] ?? missing(key)
      for (const value of values) {
        const before = sound(path, command.registeredArguments).slice(0, index)
        const misuse = await misuseOf([...wordsOf(path), ...before, value])
        assertTold(misuse, path, /^error: command-argument value '.*' is invalid for argument '/)
        assert.ok(misuse.message.includes(says), misuse.message)
      }
    }
  }
  assert.equal([...left], [], 'is of no command')
})

const missing = (key: string): never => {
  throw new Error(`no wrong value of${key} is in the table`)
}

const escaped = (text: string): string => text.replaceAll(/[<>.[\]-]/g, '\\$&')

test('the groups name what is in them, and a misspelt command the right one, each command', async () => {
  for (const [path] of shown(program()).filter(([path]) => path !== '')) {
    const words = wordsOf(path)
    const name = words.at(-1) ?? ''
    const above = words.slice(0, -1)
    const misuse = await misuseOf([...above, misspelt(`__${name}`).slice(2)])
    assertTold(misuse, [...above].map((word) => ` ${word}`).join(''), /^error: (?:unknown command|too many)/, name)
  }
  for (const path of ['', ' certs']) {
    const misuse = await misuseOf(path === '' ? [] : wordsOf(path))
    assert.is(misuse.code, 'commander.help')
    const [told] = jsonLines(describeMisuse(misuse, true))
    assert.is(told?.hint, `skein${path} --help lists them.`)
  }
})

test(
  'the process says it on stderr, nothing on stdout, and ends with 2: for people, for programs, and a group alone',
  async (t) => {
    const settings = freshSettings()
    const [people, programs, group] = await Promise.all([
      runCli(t, ['certs', 'issue', 'a.pem', '--dyas', '7'], settings),
      runCli(t, ['events', '--json', '--type', 'nodup'], settings),
      runCli(t, ['certs'], settings),
    ])
    assert.equal(
      [people, programs, group].map(({ code, stdout }) => [code, stdout]),
      Array(3).fill([2, '']),
    )
    assert.is(
      people.stderr,
      "error: unknown option '--dyas'\n(Did you mean --days?)\n(skein certs issue --help explains)\n",
    )
    assert.match(String(jsonLines(programs.stderr)[0]?.hint), 'Did you mean nodeup?')
    assert.match(group.stderr, 'Usage: skein certs')
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()
