/**
 * What is plotted of a node, over the last five minutes; and small plots without axes.
 *
 * @import { Child } from './dom.js'
 * @import { Point } from '../messages.ts'
 */
import { h } from './dom.js'
import { bytes, bytesPerSecond, count, percent, perSecond } from './format.js'

const WIDTH = 480
const HEIGHT = 150
const LEFT = 4
const TOP = 14
const BOTTOM = 20
/** What the width stands for: no more than there is to show. */
const SPANS_MIN = [1, 2, 5]
const MAX_SPAN_MIN = 5
/** Points further apart are not joined: the node did not answer meanwhile. */
const GAP_MS = 6000
/** Small values make no full height. */
const STEPS = [1, 2, 5, 10]

/** @param {number} value the next round number that is not below it */
const roundUp = (value) => {
  const power = 10 ** Math.floor(Math.log10(value))
  return (STEPS.find((step) => step * power >= value) ?? 10) * power
}

/**
 * @typedef {object} Plot
 * @property {string} title
 * @property {(value: number) => string} format
 * @property {number} atLeast what fills the height when everything is smaller
 * @property {readonly { name: string, at: number, style: 'one' | 'two' | 'three' }[]} series `at` is the index in a point
 */

/** @type {readonly Plot[]} */
const PLOTS = [
  {
    title: 'Messages',
    format: perSecond,
    atLeast: 10,
    series: [
      { name: 'sent', at: 1, style: 'one' },
      { name: 'received', at: 2, style: 'two' },
      { name: 'local', at: 3, style: 'three' },
    ],
  },
  {
    title: 'Traffic',
    format: bytesPerSecond,
    atLeast: 1000,
    series: [
      { name: 'out', at: 4, style: 'one' },
      { name: 'in', at: 5, style: 'two' },
    ],
  },
  {
    title: 'Lanes',
    format: count,
    atLeast: 5,
    series: [
      { name: 'of heavy senders', at: 11, style: 'one' },
      { name: 'held by full mailboxes', at: 12, style: 'two' },
    ],
  },
  { title: 'Backlog', format: bytes, atLeast: 1000, series: [{ name: 'waits to be sent', at: 13, style: 'one' }] },
  { title: 'Mailboxes', format: count, atLeast: 10, series: [{ name: 'messages waiting', at: 10, style: 'one' }] },
  { title: 'Event loop', format: percent, atLeast: 1, series: [{ name: 'busy', at: 6, style: 'one' }] },
]

/** @param {readonly Point[]} points those of the last five minutes are shown @returns {Child} */
export const nodePlots = (points) =>
  h(
    'div',
    { class: 'plots' },
    PLOTS.map((one) => plot(one, points)),
  )

/** @param {Plot} plot @param {readonly Point[]} all @returns {Child} */
const plot = ({ title, series, format, atLeast }, all) => {
  const end = all.at(-1)?.[0] ?? 0
  const points = all.filter(([at = 0]) => end - at <= MAX_SPAN_MIN * 60_000)
  const length = (end - (points[0]?.[0] ?? end)) / 60_000
  const minutes = SPANS_MIN.find((span) => length <= span) ?? MAX_SPAN_MIN
  const top = roundUp(Math.max(atLeast, ...points.flatMap((point) => series.map(({ at }) => point[at] ?? 0))))
  /** @param {number} at */
  const x = (at) => LEFT + (WIDTH - 2 * LEFT) * (1 - (end - at) / (minutes * 60_000))
  /** @param {number} value */
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top)
  const now = points.at(-1)
  const spoken = series.map(({ name, at }) => `${name} ${format(now?.[at] ?? 0)}`).join(', ')
  return h(
    'figure',
    { class: 'card plot', key: title },
    h(
      'figcaption',
      {},
      h('h2', {}, title),
      h(
        'ul',
        { class: 'legend' },
        series.map(({ name, at, style }) =>
          h(
            'li',
            { class: `series ${style}` },
            h('span', {}, name),
            h('strong', {}, now === undefined ? '–' : format(now[at] ?? 0)),
          ),
        ),
      ),
    ),
    h(
      'svg',
      {
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        role: 'img',
        'aria-label': `${title} of the last ${minutes} minutes. Now: ${spoken}`,
      },
      [0, 0.5, 1].map((part) => h('line', { class: 'grid', x1: 0, x2: WIDTH, y1: y(top * part), y2: y(top * part) })),
      h('text', { class: 'axis', x: 0, y: y(top) - 4 }, format(top)),
      h('text', { class: 'axis', x: 0, y: HEIGHT - 4 }, `${minutes} min ago`),
      h('text', { class: 'axis', x: WIDTH, y: HEIGHT - 4, 'text-anchor': 'end' }, 'now'),
      series.map(({ at, style, name }) => [
        h('path', { key: `area ${name}`, class: `area ${style}`, d: path(points, at, x, y, y(0)) }),
        h('path', { key: `line ${name}`, class: `curve ${style}`, d: path(points, at, x, y) }),
      ]),
    ),
  )
}

/**
 * @param {readonly Point[]} points @param {number} at @param {(at: number) => number} x @param {(value: number) => number} y
 * @param {number} [ground] closes the path down to there
 */
const path = (points, at, x, y, ground) => {
  /** @type {string[]} */
  const parts = []
  let lastMs = Number.NEGATIVE_INFINITY
  let lastX = ''
  for (const point of points) {
    const [ms = 0, value = 0] = [point[0], point[at]]
    const isGap = ms - lastMs > GAP_MS
    const [px, py] = [x(ms).toFixed(1), y(value).toFixed(1)]
    if (isGap && ground !== undefined && lastX !== '') parts.push(`L${lastX} ${ground}Z`)
    if (isGap) parts.push(ground === undefined ? `M${px} ${py}` : `M${px} ${ground}L${px} ${py}`)
    else parts.push(`L${px} ${py}`)
    lastMs = ms
    lastX = px
  }
  if (ground !== undefined && lastX !== '') parts.push(`L${lastX} ${ground}Z`)
  return parts.join('')
}

const SPARK = { width: 96, height: 22 }

/** @param {readonly number[]} values oldest first @param {string} label @returns {Child} */
export const sparkline = (values, label) => {
  const top = Math.max(4, ...values)
  const step = SPARK.width / 59
  const start = SPARK.width - (values.length - 1) * step
  const points = values.map((value, index) => {
    const y = SPARK.height - 2 - (value / top) * (SPARK.height - 4)
    return `${(start + index * step).toFixed(1)},${y.toFixed(1)}`
  })
  return h(
    'svg',
    { class: 'sparkline', viewBox: `0 0 ${SPARK.width} ${SPARK.height}`, role: 'img', 'aria-label': label },
    h('polyline', { class: 'curve one', points: points.join(' ') }),
  )
}
