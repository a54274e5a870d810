/** A program that is driven by lines: its answers find who asked, and its end is heard by all who wait. */
import { type ChildProcess, spawn } from 'node:child_process'
import * as assert from 'uvu/assert'
import { type LineAnswer, LineProgram } from './line-program.ts'
import { suite, type TestContext } from './suite.ts'

const test = suite('line program')

/** Says it is ready; answers `later` only after the next request; ends at `end`. */
const PROGRAM = `
console.log(JSON.stringify({ id: 0 }))
const later = []
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, word } = JSON.parse(line)
  if (word === 'end') { console.error('I was told to end.'); process.exit(3) }
  if (word === 'later') return later.push(id)
  console.log(JSON.stringify(word === 'fail' ? { id, error: 'as asked' } : { id, value: word }))
  for (const one of later.splice(0)) console.log(JSON.stringify({ id: one, value: 'at last' }))
})`

const programOf = (t: TestContext, child: ChildProcess): LineProgram => {
  const program = new LineProgram('the program', child, (line) => JSON.parse(line) as LineAnswer)
  t.defer(() => program.kill())
  return program
}

const start = async (t: TestContext): Promise<LineProgram> => {
  const program = programOf(t, spawn(process.execPath, ['-e', PROGRAM], { stdio: 'pipe' }))
  await program.ready()
  return program
}

const ask = (program: LineProgram, word: string): Promise<unknown> =>
  program.ask((id) => JSON.stringify({ id, word })).catch((error: Error) => error.message)

test('each request gets its own answer, in whatever order they come', async (t) => {
  const program = await start(t)
  const answers = await Promise.all(['later', 'now', 'fail'].map((word) => ask(program, word)))
  assert.equal(answers, ['at last', 'now', 'the program: as asked'])
})

test('its end is told to those who wait and to those who ask afterwards, with its last words', async (t) => {
  const program = await start(t)
  const ended = 'the program has ended. I was told to end.'
  assert.equal(await Promise.all(['later', 'end'].map((word) => ask(program, word))), [ended, ended])
  assert.is(await ask(program, 'now'), ended)
})

test('one that is stopped ends by itself', async (t) => {
  const program = await start(t)
  await program.stop()
  assert.is(await ask(program, 'now'), 'the program has ended.')
})

test('what is under way when it is killed is answered', async (t) => {
  const program = await start(t)
  const waiting = ask(program, 'later')
  await program.kill()
  assert.is(await waiting, 'killed')
})

test('one that is not there fails who waits for it', async (t) => {
  const program = programOf(t, spawn('/no/such/program', [], { stdio: 'pipe' }))
  const failed = await program.ready().then(
    () => 'ready',
    (error: Error) => error.message,
  )
  assert.match(failed, 'the program did not start')
})

test.run()
