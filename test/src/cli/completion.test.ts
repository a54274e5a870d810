/** Completion scripts, in the shells that they are for. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import * as assert from 'uvu/assert'
import { treeOf } from '../../../src/cli/command-tree.ts'
import { bashScript, fishScript, zshScript } from '../../../src/cli/completion-scripts.ts'
import { LOG_LEVELS } from '../../../src/config.ts'
import { suite, type TestContext } from '../../support/suite.ts'
import { runCli } from './cli-support.ts'
import { program } from './program-support.ts'

const DEADLINE_MS = 120_000

const test = suite('cli completion', { watchdogMs: 600_000 })

/** The script in a file, in a folder with one more file. */
const scriptFile = async (t: TestContext, text: string): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-completion-'))
  t.defer(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'identity.pem'), '')
  await writeFile(join(folder, 'script'), `${text}\n`)
  return folder
}

const run = async (t: TestContext, shell: string, folder: string, args: readonly string[]): Promise<string> => {
  try {
    return (await promisify(execFile)(shell, args, { cwd: folder })).stdout
  } catch (error) {
    const { code, stderr } = error as { code: unknown; stderr: string }
    if (code === 'ENOENT') return t.missing(shell)
    throw new Error(`${shell} ended with ${code}: ${stderr}`)
  }
}

/** What is typed, and what is offered for the last word. */
const CASES: readonly (readonly [typed: readonly string[], offered: readonly string[]])[] = [
  [['sta'], ['start']],
  [['certs', 'i'], ['issue']],
  [['dht', 'fi'], ['find']],
  [['start', '--health-'], ['--health-port']],
  // The options of the command stand for its place in the tree, whatever stands between.
  [['dht', '--json', 'find', '--cook'], ['--cookie-file']],
  [['nodes', '--log-level', ''], [...LOG_LEVELS]],
  [['completion', 'z'], ['zsh']],
]

test(
  'bash',
  async (t) => {
    const folder = await scriptFile(t, bashScript(treeOf(program())))
    const offered = async (typed: readonly string[]): Promise<string[]> => {
      const words = ['skein', ...typed].map((word) => `'${word}'`).join(' ')
      // compopt works while a completion is under way only.
      const code = `compopt() { :; }; source ./script; COMP_WORDS=(${words}); COMP_CWORD=${typed.length}; _skein; printf '%s\\n' "\${COMPREPLY[@]}"`
      return (await run(t, 'bash', folder, ['--norc', '-c', code])).trim().split('\n')
    }
    for (const [typed, expected] of CASES) assert.equal(await offered(typed), expected, typed.join(' '))
    assert.equal(await offered(['start', '--identity', 'id']), ['identity.pem'])
    assert.equal(await offered(['start', '--name', '']), [''])
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'fish',
  async (t) => {
    const folder = await scriptFile(t, fishScript(treeOf(program())))
    const offered = async (typed: readonly string[]): Promise<string[]> => {
      const line = `skein ${typed.join(' ')}`
      const shown = await run(t, 'fish', folder, ['--no-config', '-c', `source ./script; complete -C '${line}'`])
      return shown
        .trim()
        .split('\n')
        .map((one) => one.split('\t', 1)[0] ?? '')
    }
    for (const [typed, expected] of CASES) {
      assert.equal((await offered(typed)).sort(), [...expected].sort(), typed.join(' '))
    }
    assert.equal(await offered(['start', '--identity', 'id']), ['identity.pem'])
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'zsh',
  async (t) => {
    const folder = await scriptFile(t, zshScript(treeOf(program())))
    // What the script hands to zsh, which keeps what begins like the word.
    const stubs = `compdef() { :; }
      compadd() { shift; print -l -- "$@"; }
      _describe() { local -a them; them=("\${(@P)2}"); print -l -- "\${(@)them%%:*}"; }
      _files() { print -l -- *; }`
    const offered = async (typed: readonly string[]): Promise<string[]> => {
      const words = ['skein', ...typed].map((word) => `'${word}'`).join(' ')
      const code = `${stubs}\nsource ./script; words=(${words}); CURRENT=${typed.length + 1}; _skein`
      const shown = await run(t, 'zsh', folder, ['-f', '-c', code])
      return shown.split('\n').filter((one) => one !== '' && one.startsWith(typed.at(-1) ?? ''))
    }
    for (const [typed, expected] of CASES) assert.equal(await offered(typed), expected, typed.join(' '))
    assert.equal(await offered(['start', '--identity', 'id']), ['identity.pem'])
    // And with its own completion, on a terminal of its own: Tab finishes the word.
    const setUp = `PS1=; autoload -U compinit; compinit -D -u; source ./script
      skein() { print "ran:$*:" }
      print is"" ready`
    await writeFile(join(folder, 'set-up'), setUp)
    const session = [
      'zmodload zsh/zpty',
      'zpty skein zsh -f -i',
      "zpty -w skein 'source ./set-up'",
      "zpty -r -m skein answer '*is ready*'",
      `zpty -w -n skein $'skein certs iss\\t--fol\\tx\\n'`,
      `zpty -r -m skein answer '*ran:*:*'; print -r -- "$answer"`,
    ]
    assert.match(await run(t, 'zsh', folder, ['-f', '-c', session.join('\n')]), 'ran:certs issue --folder x:')
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'the command prints the script, has help, and names the right shells for a wrong one',
  async (t) => {
    const [printed, wrong] = await Promise.all([runCli(t, ['completion', 'bash']), runCli(t, ['completion', 'bsh'])])
    assert.equal([printed.code, printed.stderr], [0, ''])
    assert.match(printed.stdout, 'complete -o default -F _skein skein\n')
    assert.is(wrong.code, 2)
    assert.match(wrong.stderr, 'bash, zsh, fish')
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()
