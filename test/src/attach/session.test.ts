/** A session of `skein attach`: values, errors, promises, code that does not end, and what is shown of all that. */
import * as assert from 'uvu/assert'
import { MAX_COMPLETIONS, MAX_TEXT_LENGTH } from '../../../src/attach/protocol.ts'
import { Session } from '../../../src/attach/session.ts'
import { suite } from '../../support/suite.ts'

const test = suite('attach session')

const open = (node: object = { name: 'a@here' }) => {
  const printed: string[] = []
  const session = new Session(node, (text) => printed.push(text))
  const evaluate = (code: string, format: 'text' | 'data' = 'text') =>
    session.evaluate({ type: 'evaluate', code, format, columns: 80, colours: false })
  const text = async (code: string): Promise<string> => {
    const reply = await evaluate(code)
    return 'text' in reply ? reply.text : reply.type
  }
  return { session, evaluate, text, printed }
}

test('names stay, _ is what was given last, and node is at hand', async () => {
  const { text } = open()
  assert.is(await text('const x = 20; let y = 1; function f() { return x + y }'), 'undefined')
  assert.is(await text('f() * 2'), '42')
  assert.is(await text('_ + 1'), '43')
  assert.is(await text('node.name'), "'a@here'")
  assert.is(await text('{ a: x }'), '{ a: 20 }')
  assert.is(await text('require("node:path").basename("/a/b")'), "'b'")
  assert.is(await text('(await import("node:path")).basename("/a/c")'), "'c'")
  assert.is(await text('typeof Buffer + typeof setTimeout + typeof global.URL'), "'functionfunctionfunction'")
})

test('sessions do not see each other, nor do they change the globals of the program', async () => {
  const [one, other] = [open(), open()]
  assert.is(await one.text('var seen = 1; globalThis.also = 2; seen + also'), '3')
  assert.is(await other.text('typeof seen + typeof also'), "'undefinedundefined'")
  assert.not('also' in globalThis)
})

test('promises are awaited, and what await gives can be named', async () => {
  const { text } = open()
  assert.is(await text('Promise.resolve([1])'), '[ 1 ]')
  assert.is(await text('await Promise.resolve(2)'), '2')
  assert.is(await text('const { a, b } = await Promise.resolve({ a: 1, b: 2 });'), 'undefined')
  assert.is(await text('a + b'), '3')
  assert.is(await text('const c = await 5; return c * 2'), '10')
})

test('what is thrown is told, without the frames that are ours', async () => {
  const { evaluate } = open()
  const thrown = await evaluate('function f() { throw new TypeError("no") }\nf()')
  assert.is(thrown.type, 'threw')
  assert.ok(
    thrown.type === 'threw' && /^TypeError: no\n {4}at f \(attach:1:22\)\n {4}at attach:2:1$/.test(thrown.text),
    JSON.stringify(thrown),
  )
  assert.equal(await evaluate('throw 5'), { type: 'threw', text: 'Thrown: 5' })
  assert.equal(await evaluate('Promise.reject("late")'), { type: 'threw', text: "Thrown: 'late'" })
  assert.equal(await evaluate('foo bar'), { type: 'threw', text: "SyntaxError: Unexpected identifier 'bar'" })
  assert.is((await evaluate('foo(')).type, 'incomplete')
})

test('what cannot be shown says why', async () => {
  const { evaluate } = open()
  const hostile = '({ [Symbol.for("nodejs.util.inspect.custom")]() { throw new Error("not me") } })'
  const reply = await evaluate(hostile)
  assert.ok(reply.type === 'threw' && reply.text.startsWith('Error: not me'), JSON.stringify(reply))
  assert.is((await evaluate('throw new Proxy({}, { get() { throw 1 } })')).type, 'threw')
  const error = 'throw Object.defineProperty(new Error("x"), "stack", { get() { throw 2 } })'
  assert.is((await evaluate(error)).type, 'threw')
})

test('code that does not end is ended, and showing it too; the session goes on', async () => {
  const { text } = open()
  assert.match(await text('while (true) {}'), /timed out after 1000ms/)
  assert.match(
    await text('({ [Symbol.for("nodejs.util.inspect.custom")]() { for (;;) {} } })'),
    /timed out after 1000ms/,
  )
  assert.is(await text('1 + 1'), '2')
})

test('a promise that is never settled can be given up; that it fails later harms nobody', async () => {
  const { session, evaluate, text } = open()
  const endless = evaluate('var fail; new Promise((_, reject) => { fail = reject })')
  assert.ok(session.isBusy)
  session.giveUp()
  assert.equal(await endless, { type: 'givenUp' })
  assert.not(session.isBusy)
  assert.is(await text('fail(new Error("late"))'), 'undefined')
})

test('what is shown is bounded', async () => {
  const { evaluate, text, printed } = open()
  const long = await text('"x".repeat(1e6)')
  assert.ok(long.length < 11_000)
  const wide = await text('Object.fromEntries(Array.from({ length: 20000 }, (_, i) => ["key" + i, i]))')
  assert.ok(wide.length < MAX_TEXT_LENGTH + 100)
  assert.match(wide.slice(-60), /\.\.\. \d+ more characters$/)
  await text('console.log("y".repeat(1e6))')
  assert.ok(printed.join('').length < MAX_TEXT_LENGTH + 100)
  const data = await evaluate('new Array(1e5).fill({ a: 1n, b: new Map([["k", new Set([1])]]) })', 'data')
  assert.ok(data.type === 'data' && JSON.stringify(data.value).length < 100_000)
})

test('as data, values are plain', async () => {
  const { evaluate } = open()
  assert.equal(await evaluate('({ a: 1n, s: new Set([1]), f() {}, n: null })', 'data'), {
    type: 'data',
    value: { a: '1', s: [1], f: undefined, n: null },
  })
})

test('what code prints goes to whoever attached', async () => {
  const { text, printed } = open()
  assert.is(await text('console.log("a", { b: 1 }); console.error("c")'), 'undefined')
  assert.is(printed.join(''), 'a { b: 1 }\nc\n')
})

test('words are completed, by what the object has', async () => {
  class Made {
    get inner() {
      return { deep: 1 }
    }
    method(): void {}
    get broken(): never {
      throw new Error('no')
    }
  }
  const { session, text } = open(new Made())
  assert.equal(session.complete('node.me'), { type: 'completions', word: 'me', names: ['method'] })
  assert.equal(session.complete('f(node.inner.').names.includes('deep'), true)
  assert.equal(session.complete('x = no').names, ['node'])
  assert.ok(session.complete('Arr').names.includes('Array'))
  assert.equal(session.complete('node.broken.').names, [])
  assert.equal(session.complete('nothing.at.').names, [])
  assert.equal(session.complete('1 + ').word, '')
  await text('var large = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => ["key" + i, i]))')
  assert.is(session.complete('large.').names.length, MAX_COMPLETIONS)
})

test.run()
