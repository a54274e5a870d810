/**
 * Who holds a UDP port on Linux: from the kernel's table of sockets to the process that has the socket open.
 *
 * Without root the processes of other users cannot be looked into; then their user is all that can be told.
 */
import { readdir, readFile, readlink } from 'node:fs/promises'

/** A machine may have many processes, and this is a look, not a search. */
const MAX_PROCESSES = 4096
const MAX_COMMAND = 120

export interface PortHolder {
  /** Undefined where this process may not look into it. */
  readonly processId: number | undefined
  readonly command: string | undefined
  readonly userId: number
}

/** Undefined where nobody holds it in this network namespace, or the system does not tell. Never rejects. */
export const holderOf = async (port: number): Promise<PortHolder | undefined> => {
  const tables = await Promise.all(['/proc/net/udp', '/proc/net/udp6'].map((file) => readText(file)))
  const sockets = tables.flatMap((table) => socketsOf(table, port))
  const [first] = sockets
  if (first === undefined) return undefined
  const processId = await processWith(new Set(sockets.map(({ inode }) => `socket:[${inode}]`)))
  if (processId === undefined) return { processId, command: undefined, userId: first.userId }
  const command = (await readText(`/proc/${processId}/cmdline`)).replaceAll('\0', ' ').trim().slice(0, MAX_COMMAND)
  return { processId, command: command === '' ? undefined : command, userId: first.userId }
}

/** Rows of /proc/net/udp whose local port it is (proc(5)). */
export const socketsOf = (table: string, port: number): { readonly inode: string; readonly userId: number }[] =>
  table.split('\n').flatMap((row) => {
    const [, local, , , , , , userId, , inode] = row.trim().split(/\s+/)
    if (local === undefined || inode === undefined || !local.includes(':')) return []
    return Number.parseInt(local.split(':')[1] ?? '', 16) === port ? [{ inode, userId: Number(userId) }] : []
  })

const processWith = async (links: ReadonlySet<string>): Promise<number | undefined> => {
  const ids = (await list('/proc')).filter((name) => /^\d+$/.test(name)).slice(0, MAX_PROCESSES)
  for (const id of ids) {
    for (const descriptor of await list(`/proc/${id}/fd`)) {
      const link = await readlink(`/proc/${id}/fd/${descriptor}`).catch(() => '')
      if (links.has(link)) return Number(id)
    }
  }
  return undefined
}

const list = (folder: string): Promise<string[]> => readdir(folder).catch(() => [])

const readText = (file: string): Promise<string> => readFile(file, 'utf8').catch(() => '')
