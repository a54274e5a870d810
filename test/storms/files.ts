/**
 * A member has few file descriptors, and uses up all of them, while others join, TCP connections come in, nodes are
 * started in its process, and identities and states are to be saved. What cannot be done fails with a code; nobody goes
 * down; afterwards all of it works.
 */
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Starved } from './fixtures/starved.ts'
import { loopbackHosts, type StormHost } from './stage.ts'
import type { Storm } from './storm.ts'

/** Enough to start, and soon used up. */
const DESCRIPTORS = 256
const TCP_PORT = 47_533

/** A shell sets the limit and becomes the process. */
const limited = (host: StormHost): StormHost => ({
  ...host,
  spawn: (command, args, options) =>
    host.spawn('sh', ['-c', `ulimit -n ${DESCRIPTORS} && exec "$@"`, 'sh', command, ...args], options),
})

/** How a TCP connection to a node without descriptors ends. */
const knock = (host: string): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect({ host, port: TCP_PORT })
    const end = (how: string): void => {
      socket.destroy()
      resolve(how)
    }
    socket.setTimeout(500, () => end('left waiting'))
    socket.once('error', () => end('refused'))
    socket.once('close', () => end('closed'))
  })

export const files: Storm = {
  name: 'files',
  what: 'File descriptors run out while members join, TCP knocks, and identities and states are saved.',
  proof: [
    'descriptors used up',
    'members that joined meanwhile',
    'TCP connections: closed',
    'tries without descriptors refused: identity',
    'tries without descriptors refused: start',
    'tries without descriptors refused: state',
  ],
  run: async (stage) => {
    const [first, ...rest] = loopbackHosts(stage.options.members)
    await stage.open({ hosts: [limited(first as StormHost), ...rest] })
    const { members } = stage
    const starving = members[0]!
    const { host } = stage.addressOf(starving)
    const last = members.length - 1
    const folder = join(starving.options.identity, '..', 'starved')
    const options = { folder, host, port: TCP_PORT, cookie: stage.cookie }
    let isOver = false
    const starved = stage.role<Starved>(starving, 'starved', stage.seconds * 1000, options).finally(() => {
      isOver = true
    })
    stage.cause({ touches: [last] })
    const joins = async (): Promise<void> => {
      while (!isOver) {
        const next = stage.newMember(last, members[last])
        await next.prepare()
        await members[last]!.kill()
        members[last] = next
        await next.start()
        stage.tally('members that joined meanwhile')
        await stage.sleep(500)
      }
    }
    const knocks = async (): Promise<void> => {
      await stage.sleep(500)
      while (!isOver) stage.tally(`TCP connections: ${await knock(host)}`)
    }
    const [{ held, codes, refused, worked, wrong }] = await Promise.all([starved, joins(), knocks()])
    stage.tally('descriptors used up', held)
    for (const code of codes) stage.tally(`refused ${code}`)
    for (const [what, count] of Object.entries(refused))
      stage.tally(`tries without descriptors refused: ${what}`, count)
    stage.tally('tries that worked by a descriptor that came free', worked)
    for (const text of wrong) stage.violation(`${starving.name}: ${text}`)
    return stage.close()
  },
}
