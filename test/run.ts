/**
 * The test command: `tsx test/run.ts [FILE...]` runs the files named, or every test file below test/, each in a process
 * of its own, and prints `N passed, N failed` last. Exit code 1 if anything failed or nothing ran.
 */
import { readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type FileResult, runFile } from './support/file-run.ts'

/** Two files side by side suit the smallest machine; more would stretch deadlines that mean something. */
const FILES_AT_ONCE = 2

const testFolder = dirname(fileURLToPath(import.meta.url))

const allTestFiles = (): string[] =>
  readdirSync(testFolder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => relative(process.cwd(), join(testFolder, file)))
    .sort()

const printResult = ({ file, passed, failures, skips, output, tookMs }: FileResult): void => {
  const counts = [`${passed} passed`]
  if (failures.length > 0) counts.push(`${failures.length} failed`)
  if (skips.length > 0) counts.push(`${skips.length} skipped`)
  console.log(
    `${failures.length > 0 ? 'FAILED' : 'ok    '} ${file}: ${counts.join(', ')} (${(tookMs / 1000).toFixed(1)} s)`,
  )
  for (const { title, reason } of skips) console.log(`       skipped "${title}": ${reason}`)
  if (failures.length === 0) return
  for (const failure of failures) console.log(`       failed ${failure}`)
  console.log(output.replace(/^/gm, '       | '))
}

const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => interrupted.abort())

const named = process.argv.slice(2)
const waiting = named.length > 0 ? [...named] : allTestFiles()
let [passed, failed, skipped] = [0, 0, 0]

const runWaiting = async (): Promise<void> => {
  for (let file = waiting.shift(); file !== undefined && !interrupted.signal.aborted; file = waiting.shift()) {
    const result = await runFile(file, { signal: interrupted.signal })
    printResult(result)
    passed += result.passed
    failed += result.failures.length
    skipped += result.skips.length
  }
}
await Promise.all(Array.from({ length: FILES_AT_ONCE }, runWaiting))

if (interrupted.signal.aborted) console.log('interrupted')
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exitCode = failed > 0 || passed === 0 || interrupted.signal.aborted ? 1 : 0
