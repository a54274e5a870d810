/**
 * A key-value store on three nodes, each in a process of its own and with a copy of everything. One of them is killed; what
 * was written there is on the others, and on a fourth that joins later. Run it with:
 * npx tsx examples/replicated-key-value/main.ts
 */
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Answer, Command } from './protocol.ts'

const PATIENCE_MS = 20_000
const cookie = randomBytes(32).toString('hex')

class Member {
  readonly child: ChildProcess
  address = ''

  private constructor(child: ChildProcess) {
    this.child = child
  }

  static async start(name: string, ...seeds: string[]): Promise<Member> {
    const child = fork(fileURLToPath(new URL('node.ts', import.meta.url)), [name, cookie, ...seeds])
    const member = new Member(child)
    const [ready] = (await once(child, 'message')) as [Answer]
    if ('address' in ready) member.address = ready.address
    return member
  }

  /** One command at a time. */
  async do(command: Command): Promise<unknown> {
    const answered = once(this.child, 'message') as Promise<[Answer]>
    this.child.send(command)
    const [answer] = await answered
    return 'value' in answer ? answer.value : undefined
  }

  /** Asks until this is the answer: replicas hear of each other, and of values, a moment later. */
  async until(command: Command, wanted: unknown): Promise<void> {
    for (const endMs = Date.now() + PATIENCE_MS; (await this.do(command)) !== wanted; await pause(20)) {
      if (Date.now() > endMs) throw new Error(`${JSON.stringify(command)} does not give ${wanted}`)
    }
  }

  async end(how: 'kill -9' | 'stop'): Promise<void> {
    const ended = once(this.child, 'exit')
    if (how === 'stop') this.child.send('stop')
    else this.child.kill('SIGKILL')
    await ended
  }
}

const one = await Member.start('one')
const two = await Member.start('two', one.address)
const three = await Member.start('three', one.address, two.address)
for (const member of [one, two, three]) await member.until('replicas', 3)
console.log('three replicas see each other')

console.log('one writes', await one.do({ put: 'tea', value: 'green' }))
await two.do({ put: 'cake', value: 'apple' })
for (const member of [two, three]) await member.until({ get: 'tea' }, 'green')
console.log('two and three have it')

await one.end('kill -9')
for (const member of [two, three]) await member.until('replicas', 2)
console.log('one was killed; three still says', await three.do({ get: 'tea' }))

await three.do({ put: 'tea', value: 'black' })
await two.until({ get: 'tea' }, 'black')
const four = await Member.start('four', two.address, three.address)
await four.until({ get: 'tea' }, 'black')
await four.until({ get: 'cake' }, 'apple')
console.log(
  'four joined and has everything: tea',
  await four.do({ get: 'tea' }),
  'and cake',
  await four.do({ get: 'cake' }),
)

await Promise.all([two, three, four].map((member) => member.end('stop')))
