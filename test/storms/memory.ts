/**
 * A member with little memory is sent more than it can hold, by all others at once, dense messages among it, to a process
 * that takes none: its bounds hold the senders back, and it lives. Then the program of another one uses all memory up
 * itself: that member dies, the others see it go, go on, and take in its successor.
 */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fed } from './fixtures/feeder.ts'
import { loopbackHosts, type StormHost } from './stage.ts'
import type { Storm } from './storm.ts'

const HEAP_MIB = 160
const DEATH_LIMIT_MS = 60_000

const small = (host: StormHost): StormHost => ({
  ...host,
  spawn: (command, args, options) => host.spawn(command, [`--max-old-space-size=${HEAP_MIB}`, ...args], options),
})

export const memory: Storm = {
  name: 'memory',
  what: `A member with ${HEAP_MIB} MiB of heap is sent more than that; the program of another uses all of its memory up.`,
  proof: ['messages sent to it', 'senders held back', 'members that died of their own program'],
  run: async (stage) => {
    const hosts = loopbackHosts(stage.options.members)
    const exits: Promise<unknown>[] = []
    const watched = (host: StormHost): StormHost => ({
      ...host,
      spawn: (command, args, options) => {
        // The last words of one that dies of memory are long, and expected.
        const child = host.spawn(command, args, { ...options, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
        exits.push(once(child, 'exit'))
        return child
      },
    })
    const last = hosts.length - 1
    await stage.open({
      hosts: hosts.map((host, i) => (i === 0 ? small(host) : i === last ? watched(small(host)) : host)),
    })
    const { members } = stage
    const [thin, ...others] = members
    const to = thin!.name
    await stage.role(thin!, 'glutton', 'deaf')
    const fed = await Promise.all(others.map((member) => stage.role<Fed>(member, 'feeder', to, stage.seconds * 500)))
    for (const { sent, heldBack } of fed) {
      stage.tally('messages sent to it', sent)
      stage.tally('senders held back', heldBack)
    }
    await stage.role(thin!, 'glutton', 'sated')
    await stage.whole()
    stage.cause({ touches: [last] })
    const dying = members[last]!
    dying.state = 'leaving'
    await stage.role(dying, 'glutton', 'greedy')
    const died = new AbortController()
    const patience = sleep(DEATH_LIMIT_MS, undefined, { signal: died.signal }).catch(() => {})
    await Promise.race([exits[0], patience])
    died.abort()
    const next = stage.newMember(last, dying)
    await next.prepare()
    await dying.kill()
    members[last] = next
    await next.start()
    stage.tally('members that died of their own program')
    return stage.close()
  },
}
