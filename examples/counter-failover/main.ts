/**
 * A counter on three nodes, each in a process of its own: it runs on one of them and goes on elsewhere, with its state, when
 * that one is killed. Run it with: npx tsx examples/counter-failover/main.ts
 */
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Command, Counted, Ready } from './protocol.ts'

const cookie = randomBytes(32).toString('hex')

class Member {
  readonly child: ChildProcess
  readonly ready: Ready

  private constructor(child: ChildProcess, ready: Ready) {
    this.child = child
    this.ready = ready
  }

  static async start(name: string, ...seeds: string[]): Promise<Member> {
    const child = fork(fileURLToPath(new URL('node.ts', import.meta.url)), [name, cookie, ...seeds])
    const [ready] = (await once(child, 'message')) as [Ready]
    return new Member(child, ready)
  }

  /** Adds one to the counter, wherever it runs; waits until it runs somewhere. */
  async count(): Promise<Counted> {
    const answered = once(this.child, 'message') as Promise<[Counted]>
    this.child.send('count' satisfies Command)
    const [counted] = await answered
    return counted
  }

  async end(how: 'kill -9' | 'stop'): Promise<void> {
    const ended = once(this.child, 'exit')
    if (how === 'stop') this.child.send('stop' satisfies Command)
    else this.child.kill('SIGKILL')
    await ended
  }
}

const members: Member[] = []
for (const name of ['one', 'two', 'three']) {
  members.push(await Member.start(name, ...members.map(({ ready }) => ready.address)))
}

let total = 0
for (let round = 1; round <= 2; round++) {
  let node = ''
  for (let i = 0; i < 10; i++) {
    const counted = await (members[i % members.length] as Member).count()
    if (counted.total !== total + 1) throw new Error(`after ${total} came ${counted.total}`)
    total = counted.total
    node = counted.node
  }
  console.log(`the counter on ${node.split('@')[0]} says ${total}`)
  if (round === 2) break
  const [victim] = members.splice(
    members.findIndex(({ ready }) => ready.node === node),
    1,
  )
  await victim?.end('kill -9')
  console.log(`${victim?.ready.node.split('@')[0]} was killed`)
}
for (const member of members) await member.end('stop')
