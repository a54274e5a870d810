/** `npm run bench -- NAME [--json]`: runs one benchmark, or all of them, against baselines measured in the same run. */
import { type Baselines, startBaselines } from './baselines.ts'
import { cluster } from './cluster.ts'
import { codec } from './codec.ts'
import { connect } from './connect.ts'
import { dht } from './dht.ts'
import { growth } from './growth.ts'
import { guard } from './guard.ts'
import { local } from './local.ts'
import { lossy, lossyRounds } from './lossy.ts'
import { mdns } from './mdns.ts'
import { memory } from './memory.ts'
import { messages } from './messages.ts'
import { comparison, comparisonOptions } from './peers/comparison.ts'
import { pictured } from './peers/picture.ts'
import { type Measurement, print } from './report.ts'
import { strangers, strangersRounds } from './strangers.ts'
import { streams } from './streams.ts'
import { wire } from './wire.ts'

let started: Promise<Baselines> | undefined
const baselines = (): Promise<Baselines> => {
  started ??= startBaselines()
  return started
}
const benches: Readonly<Record<string, () => Promise<AsyncGenerator<Measurement>>>> = {
  wire: async () => wire(await baselines()),
  messages: async () => messages(await baselines()),
  streams: async () => streams(),
  local: async () => local(),
  mdns: async () => mdns(),
  dht: async () => dht(),
  cluster: async () => cluster(),
  connect: async () => connect(),
  growth: async () => growth(args),
  memory: async () => memory(),
  lossy: async () => lossy(lossyRounds(args)),
  strangers: async () => strangers(strangersRounds(args)),
  codec: async () => codec(),
  peers: async () => {
    const measurements = comparison(comparisonOptions(args))
    return args.includes('--plots') ? pictured(measurements) : measurements
  },
  guard: async () => guard(args),
}

const args = process.argv.slice(2)
const asJson = args.includes('--json')
/** Options of a benchmark that are followed by a value. */
const WITH_VALUE: readonly (string | undefined)[] = ['--rounds', '--only']
const names = args.filter((arg, i) => !arg.startsWith('--') && !WITH_VALUE.includes(args[i - 1]))
const unknown = names.filter((name) => !(name in benches))
if (unknown.length > 0) {
  process.stderr.write(`there is no benchmark ${unknown.join(', ')}; there are ${Object.keys(benches).join(', ')}\n`)
  process.exit(2)
}
for (const name of names.length > 0 ? names : Object.keys(benches)) {
  for await (const measurement of await benches[name]!()) print(measurement, asJson)
}
await (await started)?.stop()
