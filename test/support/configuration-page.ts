/**
 * docs/configuration.md as the table of src/config.ts makes it. Run as a program it prints the page:
 * npx tsx test/support/configuration-page.ts > docs/configuration.md
 */
import { pathToFileURL } from 'node:url'
import { OPTIONS } from '../../src/config.ts'
import { FILE_KEYS } from '../../src/config-file.ts'

const INTRODUCTION = `# Configuration

Options are given by code (\`startNode({ name: 'a' })\`), by environment variable (\`SKEIN_NAME=a\`) or in a
[file](#the-file) (\`{ "name": "a" }\`). Code beats environment beats file beats default. An unknown option or a bad value
is an error that names it, and the nearest known name (\`ERR_SKEIN_BAD_OPTION\`); nothing is ignored. A variable that is
empty counts as absent. This page is made from the table in \`src/config.ts\`.

| Option | Variable | In a file | Values | Default | Meaning |
|---|---|---|---|---|---|
`

/** How an option goes into a file where it does not go by its own name. */
const IN_FILE: Readonly<Record<string, string>> = { cookie: '`cookieFile`', acceptCookies: '`acceptCookiesFile`' }

/** A file that a test reads, too. */
export const EXAMPLE_FILE = {
  name: 'app1',
  cluster: 'shop',
  cookieFile: 'cookie',
  identity: 'identity.pem',
  port: 4433,
  discovery: { mdns: false, seeds: ['10.0.0.7:4433'], dht: { contactsFile: 'contacts' } },
  liveness: 'wan',
  allow: 'strict',
}

const THE_FILE = `
## The file

One JSON object, named by the option \`configFile\`, by \`SKEIN_CONFIG\`, or for a command by \`--config\`:

\`\`\`json
${JSON.stringify(EXAMPLE_FILE, undefined, 2)}
\`\`\`

- File names in it count from the folder of the file itself.
- Secrets do not belong in it: it names the file that holds the cookie, which only its owner may be able to read.
- Of \`discovery\` and \`strategy\` each entry is overridden by itself, every other option as a whole: an \`allow\` by code
  replaces the one of the file.
- A file that every user can change is refused (\`ERR_SKEIN_INSECURE_FILE\`).
- The file is checked as a whole before anything of it is used, also what code or environment then override; the error
  names the file. A file that cannot be read, or is no JSON object, is \`ERR_SKEIN_CONFIG_FILE\`.
- A hidden node, as the tools of \`skein\` are, does not take \`name\`, \`port\`, \`identity\` and \`contactsFile\` from a file: they
  belong to the node that the file is about.
- It is read at the start; a change counts from the next one. What can change in a running node has a method:
  \`node.cookies\`, \`node.revoke\`.
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
    const inFile = IN_FILE[name] ?? (FILE_KEYS.includes(name) ? 'yes' : 'no')
    return `| \`${name}\` | ${variables} | ${inFile} | ${option.values} | ${option.default} | ${option.meaning} |\n`
  })
  return INTRODUCTION + rows.join('') + THE_FILE
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.stdout.write(configurationPage())
