#!/usr/bin/env node
/**
 * The command `skein`: reads the arguments, runs one command, and turns how it ended into an exit code.
 *
 * Exit codes: 0 done, 1 failed, 2 bad arguments. What was asked for goes to stdout, everything else to stderr. The
 * program ends by itself when its node has stopped; it is never forced to. New commands are added in program.ts.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  describeFailure,
  describeMisuse,
  EXIT_BAD_ARGUMENTS,
  EXIT_DONE,
  exitCodeFor,
  Failed,
  Misuse,
} from './failure.ts'
import { buildProgram } from './program.ts'

const versionOfPackage = (): string => {
  const file = fileURLToPath(import.meta.resolve('skein/package.json'))
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

const run = async (argv: readonly string[]): Promise<number> => {
  const json = argv.includes('--json')
  try {
    await buildProgram(versionOfPackage(), fileURLToPath(import.meta.url)).parseAsync([...argv])
    return EXIT_DONE
  } catch (error) {
    if (error instanceof Misuse) {
      // The help that was asked for has been printed.
      if (error.exitCode === 0) return EXIT_DONE
      process.stderr.write(describeMisuse(error, json))
      return EXIT_BAD_ARGUMENTS
    }
    if (!(error instanceof Failed)) process.stderr.write(describeFailure(error, json))
    return exitCodeFor(error)
  }
}

// Whoever read our output has gone, as in `skein start | head`: end as if asked to.
process.stdout.on('error', () => process.emit('SIGTERM'))

process.exitCode = await run(process.argv)
