/**
 * Writes docs/errors.md from the table in certs/errors.ts: `npm run docs`. With `-- --check` it only compares, and ends
 * with exit code 1 if the page is out of date.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ERRORS } from '../certs/errors.ts'

const page = fileURLToPath(new URL('../docs/errors.md', import.meta.url))

const introduction = `# Errors

Every error that Skein raises on purpose is a \`SkeinError\` with a stable \`code\`, a \`message\` for people, a \`hint\` that
says what to do, the \`cause\` if another error led to it, and \`attempts\` if several things were tried. A code never
changes its meaning.

This page is generated from \`certs/errors.ts\` by \`npm run docs\`.
`

const sections = Object.entries(ERRORS).map(
  ([code, { meaning, hint }]) => `\n## ${code}\n\n${meaning}\n\n*What to do:* ${hint}\n`,
)
const text = introduction + sections.join('')

if (!process.argv.includes('--check')) writeFileSync(page, text)
else if (readFileSync(page, 'utf8') !== text) {
  console.error('docs/errors.md is out of date: run "npm run docs"')
  process.exitCode = 1
}
