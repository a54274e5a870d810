/**
 * A store in a folder, one file for each key, named by the key's hash: any key is safe, also where names know no case.
 *
 * A save writes a temporary file beside the old one, has it reach the disk, renames it into place and has the folder reach
 * the disk (certs/secret-file.ts): whatever happens, the old or the new state is there. Files are 0600, the folder is made
 * 0700. A file that is not whole is an error, never half a state. Saves of one key wait for each other and the latest wins.
 */
import { createHash } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { SkeinError } from '../../../certs/errors.ts'
import { clearTemporaryFiles, readSecretFile, replaceSecretFile, syncFolder } from '../../../certs/secret-file.ts'
import { type Clock, systemClock } from '../../../transport/clock.ts'
import { GuardedStore } from './guarded-store.ts'
import { type PendingWrite, PendingWrites, type Written } from './pending-writes.ts'
import { decodeRecord, encodeRecord, MAX_RECORD_BYTES } from './record.ts'
import type { StateStore } from './store.ts'
import { Turnstile } from './turnstile.ts'

/** A temporary file untouched for so long was left by a process that died. Younger ones may be a save of another store. */
const LEFTOVER_AGE_MS = 60_000
const STATE_FILE = /^[0-9a-f]{64}\.state$/

/** What `fileStore` takes beside its folder. */
export interface FileStoreOptions {
  readonly clock?: Clock
}

export const fileStore = (folder: string, options: FileStoreOptions = {}): StateStore => {
  if (typeof folder !== 'string' || folder === '') {
    throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'a file store needs the path of a folder')
  }
  return new GuardedStore(new FileStore(resolve(folder), options.clock ?? systemClock))
}

class FileStore implements StateStore {
  readonly #folder: string
  readonly #clock: Clock
  readonly #turnstile = new Turnstile()
  /** Writes that wait, and the one of each key that is on its way to the disk. */
  readonly #pending = new PendingWrites()
  readonly #writing = new Map<string, PendingWrite>()
  /** Keys for which a loop takes one pending write after the other. */
  readonly #writers = new Set<string>()
  #prepared: Promise<void> | undefined

  constructor(folder: string, clock: Clock) {
    this.#folder = folder
    this.#clock = clock
  }

  async load(key: string): Promise<Uint8Array | undefined> {
    const write = this.#pending.get(key) ?? this.#writing.get(key)
    // A failed save is told to who saved; what was there before still counts.
    await write?.done.catch(() => {})
    return this.#turnstile.pass(async () => {
      await this.#prepare()
      const file = this.#fileOf(key)
      const bytes = await readSecretFile(file, MAX_RECORD_BYTES)
      if (bytes === undefined) return undefined
      const record = decodeRecord(key, bytes)
      if (record.kind === 'state') return record.state
      throw new SkeinError('ERR_SKEIN_STORE_CORRUPT', `${file} ${record.what}`)
    })
  }

  save(key: string, bytes: Uint8Array): Promise<void> {
    return this.#write(key, bytes)
  }

  remove(key: string): Promise<void> {
    return this.#write(key, undefined)
  }

  async close(): Promise<void> {}

  async #write(key: string, value: Written): Promise<void> {
    const done = this.#pending.put(key, value)
    if (!this.#writers.has(key)) this.#writeInOrder(key)
    return done
  }

  /** Never rejects: every write is settled one way or the other. */
  async #writeInOrder(key: string): Promise<void> {
    this.#writers.add(key)
    while (this.#pending.get(key) !== undefined) {
      try {
        await this.#turnstile.pass(() => this.#writeNext(key))
      } catch (error) {
        this.#pending.take(key)?.fail(error)
      }
    }
    this.#writers.delete(key)
  }

  /** The write is taken only now: until its turn comes, a newer one may replace it. */
  async #writeNext(key: string): Promise<void> {
    const write = this.#pending.take(key)
    if (write === undefined) return
    this.#writing.set(key, write)
    try {
      await this.#prepare()
      await this.#toDisk(this.#fileOf(key), key, write.value)
      write.succeed()
    } catch (error) {
      write.fail(error)
    } finally {
      this.#writing.delete(key)
    }
  }

  async #toDisk(file: string, key: string, value: Written): Promise<void> {
    if (value !== undefined) return replaceSecretFile(file, encodeRecord(key, value))
    await rm(file, { force: true })
    await syncFolder(this.#folder)
  }

  /** Once, before anything else; tried again if it failed. */
  #prepare(): Promise<void> {
    this.#prepared ??= this.#makeFolder().catch((error) => {
      this.#prepared = undefined
      throw error
    })
    return this.#prepared
  }

  async #makeFolder(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    await clearTemporaryFiles(this.#folder, {
      of: STATE_FILE,
      untouchedSinceMs: this.#clock.wallNow() - LEFTOVER_AGE_MS,
    })
  }

  #fileOf(key: string): string {
    return join(this.#folder, `${createHash('sha256').update(key).digest('hex')}.state`)
  }
}
