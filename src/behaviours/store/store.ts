/**
 * Where the state of a GenServer outlives its process: bytes under a key. The GenServer encodes and decodes. What every
 * adapter promises stands at the interface.
 *
 * Nothing is promised between two stores on the same place, beyond that each reads whole values: give every node its own.
 */

/** In UTF-8. Room for a name with a path in front; no adapter uses keys as file names. */
export const MAX_STORE_KEY_BYTES = 1024

/** A state is written whole each time: far larger ones belong into a database of their own design. */
export const MAX_STATE_BYTES = 64 * 1024 * 1024

/**
 * Where states are kept: a `memoryStore`, `fileStore`, `sqliteStore`, or one of your own, which promises four things. A save
 * resolves when the bytes, or later ones of the same key, are durable. Operations on one key take effect in the order of the
 * calls, so a load sees every save called before it. A crash at any moment leaves the old or the new bytes, whole. Every
 * rejection is a SkeinError.
 */
export interface StateStore {
  /** The bytes of the key, the caller's to keep, or undefined if there are none. */
  load(key: string): Promise<Uint8Array | undefined>
  /** Copies the bytes before it returns: the caller may use the buffer again at once. */
  save(key: string, bytes: Uint8Array): Promise<void>
  /** Resolves also if there was nothing to remove. */
  remove(key: string): Promise<void>
  /** Waits for what was begun; whatever is called after rejects with ERR_SKEIN_STORE_CLOSED. Idempotent. */
  close(): Promise<void>
}
