/** A state that shows by itself whether it is whole: a number, repeated throughout. */

export const SAVED_KEY = 'counter'
/** 8 MiB: a save takes long enough to be interrupted. */
const WORDS = 2 * 1024 * 1024

export const stateOf = (value: number): Uint8Array => new Uint8Array(new Uint32Array(WORDS).fill(value).buffer)

/** Throws if the state is not whole. */
export const valueIn = (state: Uint8Array): number => {
  const words = new Uint32Array(state.slice().buffer)
  const value = words[0] ?? -1
  if (words.length !== WORDS) throw new Error(`a torn state of ${state.length} bytes`)
  const stray = words.findIndex((word) => word !== value)
  if (stray >= 0) throw new Error(`a torn state: ${value} at first, ${words[stray]} at word ${stray}`)
  return value
}
