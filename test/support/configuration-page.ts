/**
 * docs/configuration.md as the table of src/config.ts makes it. Run as a program it prints the page:
 * npx tsx test/support/configuration-page.ts > docs/configuration.md
 */
import { pathToFileURL } from 'node:url'
import { OPTIONS } from '../../src/config.ts'

const INTRODUCTION = `# Configuration

Options of \`startNode\`, each with the environment variable that stands in for it. Code beats environment beats default.
An unknown option or a bad value is an error that names it (\`ERR_SKEIN_BAD_OPTION\`), never ignored. A variable that is
empty counts as absent. This page is made from the table in \`src/config.ts\`.

| Option | Variable | Values | Default | Meaning |
|---|---|---|---|---|
`

export const configurationPage = (): string => {
  const rows = Object.entries(OPTIONS).map(([name, option]) => {
    const variables =
      'variable' in option
        ? option.variable
            .split(', ')
            .map((one) => `\`${one}\``)
            .join(', ')
        : ''
    return `| \`${name}\` | ${variables} | ${option.values} | ${option.default} | ${option.meaning} |\n`
  })
  return INTRODUCTION + rows.join('')
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.stdout.write(configurationPage())
