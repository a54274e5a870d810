/**
 * The disk of a member is full, again and again, whenever identity, cookie, contacts of the DHT and states of behaviours
 * are to be saved: a small file system in memory that only this member sees. What was saved before stays whole, the error
 * has a code, the member goes on, and saves when there is room.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FullDisk } from './fixtures/full-disk.ts'
import { loopbackHosts, type StormHost } from './stage.ts'
import type { Storm } from './storm.ts'

const DISK_KIB = 256

export const disk: Storm = {
  name: 'disk',
  what: 'The disk is full where state is saved. Needs root and Linux, for a small file system of its own.',
  proof: ['saves that failed', 'saves that worked when there was room'],
  run: async (stage) => {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) stage.options.context.missing('root on Linux')
    const folder = mkdtempSync(join(tmpdir(), 'skein-disk-'))
    stage.options.context.defer(() => rmSync(folder, { recursive: true, force: true }))
    mkdirSync(folder, { recursive: true })
    const mount = `mount -t tmpfs -o size=${DISK_KIB}k tmpfs ${folder} && exec "$@"`
    const narrow = (host: StormHost): StormHost => ({
      ...host,
      spawn: (command, args, options) =>
        host.spawn('unshare', ['-m', '--', 'sh', '-c', mount, 'sh', command, ...args], options),
    })
    const [first, ...rest] = loopbackHosts(stage.options.members)
    await stage.open({ hosts: [narrow(first as StormHost), ...rest] })
    const [full] = stage.members
    const { rounds, codes, saved, wrong } = await stage.role<FullDisk>(full!, 'full-disk', folder, stage.seconds * 1000)
    stage.tally('times the disk was full', rounds)
    for (const code of codes) stage.tally(`refused ${code}`)
    stage.tally('saves that failed', rounds * codes.length)
    stage.tally('saves that worked when there was room', saved)
    for (const text of new Set(wrong)) stage.violation(`${full!.name}: ${text}`)
    return stage.close()
  },
}
