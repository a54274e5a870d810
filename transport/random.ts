/**
 * Randomness as the protocol cores see it: injected. `systemRandom` is cryptographic; `seededRandom` is reproducible and
 * only for simulation.
 */
import { randomBytes } from 'node:crypto'

/** Chance, of the machine (`systemRandom`) or repeatable (`seededRandom`). */
export interface Random {
  /** `count` fresh bytes. */
  bytes(count: number): Uint8Array
  /** Uniform in [0, 1). */
  float(): number
}

export const systemRandom: Random = {
  bytes: (count) => randomBytes(count),
  float: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
}

/** sfc32: 128 bits of state, passes PractRand; the same seed gives the same sequence on every machine. */
export const seededRandom = (seed: number): Random => {
  let a = 0x9e3779b9
  let b = seed >>> 0
  let c = Math.floor(seed / 2 ** 32) >>> 0
  let counter = 1
  const next = (): number => {
    const t = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + t) | 0
    return t >>> 0
  }
  for (let i = 0; i < 12; i++) next()
  return {
    bytes: (count) => {
      const out = new Uint8Array(count)
      for (let i = 0; i < count; i++) out[i] = next() & 0xff
      return out
    },
    float: () => next() / 2 ** 32,
  }
}
