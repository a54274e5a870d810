/** `npm run bench -- NAME [--json]`: runs one benchmark, or all of them, against baselines measured in the same run. */
import { type Baselines, startBaselines } from './baselines.ts'
import { messages } from './messages.ts'
import { type Measurement, print } from './report.ts'
import { wire } from './wire.ts'

const benches: Readonly<Record<string, (baselines: Baselines) => AsyncGenerator<Measurement>>> = { wire, messages }

const args = process.argv.slice(2)
const asJson = args.includes('--json')
const names = args.filter((arg) => !arg.startsWith('--'))
const unknown = names.filter((name) => !(name in benches))
if (unknown.length > 0) {
  process.stderr.write(`there is no benchmark ${unknown.join(', ')}; there are ${Object.keys(benches).join(', ')}\n`)
  process.exit(2)
}
const baselines = await startBaselines()
for (const name of names.length > 0 ? names : Object.keys(benches)) {
  for await (const measurement of benches[name]!(baselines)) print(measurement, asJson)
}
await baselines.stop()
