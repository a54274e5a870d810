/**
 * Files that hold a secret: small, 0600, in a directory of 0700, and never seen half written.
 *
 * A new file is written under another name and linked into place: linking fails if the name exists, so of several
 * processes that start at once exactly one makes the file and the others read what it holds. A file that other users can
 * read is refused: a secret they have seen is none. Windows has no such modes; there the user's profile protects it.
 */
import { randomBytes } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { type FileHandle, link, mkdir, open, opendir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { SkeinError } from './errors.ts'

/** Far above any cookie or identity; what is larger is some other file, unless the caller knows better. */
export const MAX_SECRET_FILE_BYTES = 16 * 1024

const OWNER_ONLY_FILE = 0o600
const OWNER_ONLY_DIRECTORY = 0o700
const ANYTHING_FOR_OTHERS = 0o077
/** What is too much for a file of root that its group may read: any more than reading, or anything for the world. */
const MORE_THAN_GROUP_READ = 0o037

const TEMPORARY_NAME = /^\.(.+)\.[0-9a-f]{16}$/
/** File systems that cannot sync a folder say so with one of these. */
const CANNOT_SYNC: readonly unknown[] = ['EINVAL', 'ENOTSUP']

/**
 * The bytes of the file, or undefined if there is none. Throws ERR_SKEIN_INSECURE_FILE if others can read it, a plain
 * Error for anything that is not a small regular file, and the system's error if it cannot be read.
 */
export const readSecretFile = async (
  file: string,
  maxBytes = MAX_SECRET_FILE_BYTES,
): Promise<Uint8Array | undefined> => {
  const handle = await openIfThere(file)
  if (handle === undefined) return undefined
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) throw new Error(`${file} is not a regular file`)
    refuseIfShared(file, stats)
    if (stats.size > maxBytes) throw new Error(`${file} is larger than ${maxBytes} bytes`)
    return new Uint8Array(await handle.readFile())
  } finally {
    await handle.close()
  }
}

/** Makes the file unless it exists. Returns what it holds afterwards, which may be another process's content. */
export const makeSecretFile = async (file: string, content: Uint8Array): Promise<Uint8Array> => {
  try {
    await viaTemporary(file, content, (temporary) => link(temporary, file))
    return content
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
  }
  const found = await readSecretFile(file)
  if (found === undefined) throw new Error(`${file} was there and vanished`)
  return found
}

/** Puts new content in the file's place; readers see the old or the new, whole. It is on the disk afterwards. */
export const replaceSecretFile = (file: string, content: Uint8Array): Promise<void> =>
  viaTemporary(file, content, (temporary) => rename(temporary, file))

/** Has the names in a folder reach the disk, as fsync does for the content of a file. Windows does that by itself. */
export const syncFolder = async (folder: string): Promise<void> => {
  if (process.platform === 'win32') return
  const handle = await open(folder, constants.O_RDONLY)
  try {
    await handle.sync()
  } catch (error) {
    if (!CANNOT_SYNC.includes(systemCode(error))) throw error
  } finally {
    await handle.close()
  }
}

/** Removes temporary files that a process left when it died: those for files of these names, not touched since then. */
export const clearTemporaryFiles = async (
  folder: string,
  { of, untouchedSinceMs }: { readonly of: RegExp; readonly untouchedSinceMs: number },
): Promise<void> => {
  for await (const { name } of await opendir(folder)) {
    const target = TEMPORARY_NAME.exec(name)?.[1]
    if (target === undefined || !of.test(target)) continue
    const path = join(folder, name)
    try {
      if ((await stat(path)).mtimeMs < untouchedSinceMs) await rm(path, { force: true })
    } catch (error) {
      // Its owner has put it into place, or another process has cleared it.
      if (systemCode(error) !== 'ENOENT') throw error
    }
  }
}

/** O_NONBLOCK: opening a pipe must not wait for somebody to write into it. Windows has no such flag. */
const openIfThere = async (file: string): Promise<FileHandle | undefined> => {
  try {
    return await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/**
 * Nobody but the owner may do anything with the file. Where root owns it and this process is another user, its group may
 * read it: that is how orchestrators hand secrets to an unprivileged process (PostgreSQL judges its key file likewise).
 */
const refuseIfShared = (file: string, stats: Stats): void => {
  if (process.platform === 'win32') return
  const handedOverByRoot = stats.uid === 0 && process.geteuid?.() !== 0
  if ((stats.mode & (handedOverByRoot ? MORE_THAN_GROUP_READ : ANYTHING_FOR_OTHERS)) === 0) return
  const mode = (stats.mode & 0o777).toString(8).padStart(4, '0')
  throw new SkeinError('ERR_SKEIN_INSECURE_FILE', `${file} is open to other users (mode ${mode})`, {
    hint: `Run chmod 600 ${file}`,
  })
}

const viaTemporary = async <T>(file: string, content: Uint8Array, place: (temporary: string) => Promise<T>) => {
  const directory = dirname(file)
  await mkdir(directory, { recursive: true, mode: OWNER_ONLY_DIRECTORY })
  const temporary = join(directory, `.${basename(file)}.${randomBytes(8).toString('hex')}`)
  try {
    await writeFile(temporary, content, { flag: 'wx', mode: OWNER_ONLY_FILE, flush: true })
    const placed = await place(temporary)
    await syncFolder(directory)
    return placed
  } finally {
    await rm(temporary, { force: true })
  }
}

const systemCode = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined)
