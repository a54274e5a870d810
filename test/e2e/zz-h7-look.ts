import { NatLab } from '../nat/lab.ts'
import { lan } from '../support/lan.ts'
import { Cli } from '../src/cli/cli-support.ts'
import { nodeOn, openSettings } from './doctor-support.ts'
const cleanUps: (() => unknown)[] = []
const t = { defer: (f: () => unknown) => { cleanUps.push(f) }, skip: (r: string): never => { throw new Error(r) }, missing: (r: string): never => { throw new Error(r) } }
const show = async (title: string, machine: any, args: string[], settings: any) => {
  const startMs = performance.now()
  const { stdout, stderr, code } = await new Cli(t, ['doctor', ...args], settings, (...run) => machine.spawn(...run)).ended
  console.log(`\n=== ${title} (exit ${code}, ${Math.round(performance.now() - startMs)} ms)\n${stdout}${stderr}`)
}
try {
  if (process.argv[2] !== 'nat') {
    const [here, there] = lan(t, 2)
    const settings = openSettings('both')
    await nodeOn(t, there!, ['--name', 'a@there'], settings)
    await show('healthy', here, ['--seed', '10.77.0.2', '--dht', '10.77.0.2', 'a@there'], settings)
    await show('at the node', there, [], settings)
    here!.filter(t, 'table inet d {\n chain input {\n type filter hook input priority 0;\n iifname eth0 meta l4proto udp drop\n }\n }')
    await show('blocked', here, ['--seed', '10.77.0.2', 'a@there'], settings)
  } else {
    const lab = await NatLab.open(t)
    const settings = openSettings('dht')
    const [s1, s2] = lab.servers
    await nodeOn(t, s1, ['--name', 's1@one'], settings)
    await nodeOn(t, s2, ['--name', 's2@two', '--seed', '198.51.100.11:4433'], settings)
    lab.arrange('sym', 'sym')
    const seeds = ['--seed', '198.51.100.11:4433', '--seed', '198.51.100.12:4433']
    const a = await nodeOn(t, lab.a, ['--name', 'a@left', ...seeds], settings)
    const b = await nodeOn(t, lab.b, ['--name', 'b@right', ...seeds], settings)
    for (const n of [a, b]) for (const name of ['s1@one', 's2@two']) await n.printed({ type: 'nodeup', node: name })
    await show('outside', s1, ['a@left', 'b@right', ...seeds], settings)
    await show('inside', lab.a, ['b@right', '--seed', '198.51.100.11:4433', '--dht', '198.51.100.11:4433', '--dht', '198.51.100.12:4433'], settings)
  }
} finally { for (const f of cleanUps.reverse()) await f() }
