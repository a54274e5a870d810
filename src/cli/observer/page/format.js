/**
 * Figures as people read them.
 */

/** @param {number} value */
const short = (value) => (value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1))

/** 1234567 as 1.2 M. @param {number} value */
export const count = (value) => {
  if (value < 10_000) return value >= 100 ? value.toFixed(0) : short(value)
  return value < 1e6 ? `${short(value / 1e3)} k` : value < 1e9 ? `${short(value / 1e6)} M` : `${short(value / 1e9)} G`
}

/** @param {number} value */
export const bytes = (value) => {
  if (value < 1000) return `${value.toFixed(0)} B`
  if (value < 1e6) return `${short(value / 1e3)} kB`
  return value < 1e9 ? `${short(value / 1e6)} MB` : `${short(value / 1e9)} GB`
}

/** @param {number} value */
export const perSecond = (value) => `${count(value)}/s`

/** @param {number} value */
export const bytesPerSecond = (value) => `${bytes(value)}/s`

/** @param {number | undefined} ms */
export const milliseconds = (ms) => {
  if (ms === undefined) return '–'
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`
  return ms < 1 ? '< 1 ms' : `${ms < 10 ? ms.toFixed(1).replace(/\.0$/, '') : ms.toFixed(0)} ms`
}

/** 3 d 4 h, 5 min 6 s. @param {number} ms */
export const span = (ms) => {
  const s = Math.max(0, Math.floor(ms / 1000))
  const [d, hours, min] = [Math.floor(s / 86_400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60]
  if (d > 0) return `${d} d ${hours} h`
  if (hours > 0) return `${hours} h ${min} min`
  return min > 0 ? `${min} min ${s % 60} s` : `${s} s`
}

/** The first part of it: 3 d, 5 min. @param {number} ms */
export const briefly = (ms) => span(ms).split(' ').slice(0, 2).join(' ')

/** @param {number} part */
export const percent = (part) => `${(part * 100).toFixed(part < 0.0995 && part > 0 ? 1 : 0)} %`

/** @param {number} at */
export const clock = (at) => new Date(at).toTimeString().slice(0, 8)

/** The first number and its thing: 1 node, 2 nodes. @param {number} number @param {string} one @param {string} [many] */
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`

/** The part before the @. @param {string} name */
export const shortName = (name) => name.split('@', 1)[0] || name

/** The state of a node in words. */
export const STATES = { up: 'up', joining: 'not reached', silent: 'no answer', down: 'down', left: 'left' }
