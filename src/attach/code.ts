/**
 * Code that somebody typed, as a script for V8: object literals, await outside of a function, and code that goes on.
 *
 * V8 takes `await` at the top of modules only. So code with it becomes the body of an async function: a declaration as an
 * assignment, so that the name stays; an expression with its value; anything else as statements, whose own names are gone
 * afterwards. Sans-io; nothing is run here.
 */
import { constants, Script } from 'node:vm'

/** Shown in the stack of errors. */
const FILE_NAME = 'attach'

export type Parsed =
  | { readonly type: 'script'; readonly script: Script }
  /** It ends too early: more may follow. */
  | { readonly type: 'incomplete'; readonly error: Error }
  | { readonly type: 'bad'; readonly error: Error }

export const parse = (code: string): Parsed => {
  const literal = /^\s*\{[\s\S]*\}\s*$/.test(code) ? compile(`(${code}\n)`) : undefined
  if (literal instanceof Script) return { type: 'script', script: literal }
  const plain = compile(code)
  if (plain instanceof Script) return { type: 'script', script: plain }
  if (!/\bawait\b/.test(code)) return endsEarly(plain) ? { type: 'incomplete', error: plain } : bad(plain)
  const text = code.trim().replace(/;$/, '')
  const [, assignment] = /^(?:const|let|var)\s+([\s\S]+)$/.exec(text) ?? []
  const statements = compile(`(async () => {\n${code}\n})()`)
  const forms = [
    ...(assignment === undefined ? [] : [compile(`(async () => void (${assignment}\n))()`)]),
    compile(`(async () => (${text}\n))()`),
    statements,
  ]
  const script = forms.find((form) => form instanceof Script)
  if (script !== undefined) return { type: 'script', script }
  // Whether it ends too early is seen where await is a word like any other.
  const without = compile(code.replaceAll(/\bawait\b/g, 'void '))
  if (!(without instanceof Script) && endsEarly(without)) return { type: 'incomplete', error: without }
  return bad(statements instanceof Script ? plain : statements)
}

const bad = (error: Error): Parsed => ({ type: 'bad', error })

const compile = (code: string): Script | Error => {
  try {
    // As in a file of the program. Node.js warns of it as experimental, so it is asked for where it is needed.
    const imports = /\bimport\b/.test(code)
    return new Script(code, {
      filename: FILE_NAME,
      ...(imports && { importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER }),
    })
  } catch (error) {
    return error as Error
  }
}

/** V8 has no other sign of it than what it says, and where. */
const endsEarly = ({ message, stack = '' }: Error): boolean => {
  if (message === 'Unexpected end of input' || message === 'Unterminated template literal') return true
  if (message !== 'missing ) after argument list') return false
  // It marks the place below the line: at its end nothing is wrong yet.
  const lines = stack.split('\n')
  const mark = lines.findIndex((line) => /^\s*\^+\s*$/.test(line))
  return mark > 0 && (lines[mark - 1] ?? '').trimEnd().length <= (lines[mark] ?? '').trimEnd().length
}
