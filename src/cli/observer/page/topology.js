/**
 * The cluster as a picture: nodes on a ring, the connections between them with round trip and loss.
 *
 * @import { NodeView, LinkView } from '../messages.ts'
 * @import { Child } from './dom.js'
 */
import { h } from './dom.js'
import { milliseconds, plural, shortName } from './format.js'

/** As wide as the picture is on a desk and on a phone, so that texts have the size of the others there. */
const DESK = { width: 620, height: 410 }
const PHONE = { width: 360, height: 400 }
const isNarrow = matchMedia('(max-width: 640px)')
/** With more, texts would lie on top of each other. */
const MAX_NAMED_NODES = 28
/** And up to so many have room for their state and processes. */
const MAX_WORDY_NODES = 8
const MAX_LABELLED_LINKS = 10
const MAX_LABELLED_LINKS_PHONE = 6
/** Where on a line its label stands, by turns: in the middle most lines cross. */
const LABEL_PLACES = [0.36, 0.6, 0.46]
/** With more the lines are one grey area. */
const MAX_LINKS = 600
/** Round trips up to here are short, up to there middling. */
const [NEAR_MS, FAR_MS] = [10, 80]

/** @param {readonly NodeView[]} nodes @returns {Child} */
export const topology = (nodes) => {
  const frame = isNarrow.matches ? PHONE : DESK
  const places = placesOf(nodes, frame)
  const links = linksOf(nodes)
  const drawn = links.slice(0, MAX_LINKS)
  const isLabelled = drawn.length <= (isNarrow.matches ? MAX_LABELLED_LINKS_PHONE : MAX_LABELLED_LINKS)
  return h(
    'svg',
    {
      class: 'topology',
      viewBox: `0 0 ${frame.width} ${frame.height}`,
      role: 'group',
      'aria-label': `${plural(nodes.length, 'node')} and their connections`,
    },
    drawn.map((link) => linkLine(link, places)),
    isLabelled && drawn.map((link, index) => linkLabel(link, places, LABEL_PLACES[index % LABEL_PLACES.length] ?? 0.5)),
    nodes.map((node) => nodeMark(node, places, nodes.length)),
  )
}

/** @typedef {{ key: string, from: string, to: string, link: LinkView }} Line */
/** @typedef {ReadonlyMap<string, { x: number, y: number, size: number }>} Places */

/** @param {readonly NodeView[]} nodes @param {typeof DESK} frame @returns {Places} */
const placesOf = (nodes, { width, height }) => {
  const size = nodes.length <= MAX_WORDY_NODES ? 17 : nodes.length <= MAX_NAMED_NODES ? 12 : nodes.length <= 80 ? 7 : 4
  const [radiusX, radiusY] = nodes.length === 1 ? [0, 0] : [width / 2 - 70, height / 2 - 55]
  return new Map(
    nodes.map(({ name }, index) => {
      const angle = -Math.PI / 2 + (2 * Math.PI * index) / nodes.length
      const y = height / 2 - 18 + radiusY * Math.sin(angle)
      return [name, { x: width / 2 + radiusX * Math.cos(angle), y, size }]
    }),
  )
}

/** One for each pair, from whichever end answers. @param {readonly NodeView[]} nodes @returns {Line[]} */
const linksOf = (nodes) => {
  const answering = new Set(nodes.filter(({ state }) => state === 'up').map(({ name }) => name))
  const shown = new Set(nodes.filter(({ state }) => state !== 'left' && state !== 'down').map(({ name }) => name))
  /** @type {Map<string, Line>} */
  const lines = new Map()
  for (const { name, links } of nodes) {
    if (!answering.has(name)) continue
    for (const link of links) {
      if (!shown.has(link.to)) continue
      const [from, to] = name < link.to ? [name, link.to] : [link.to, name]
      const key = `${from} ${to}`
      const known = lines.get(key)
      if (known === undefined || link.lost > known.link.lost) lines.set(key, { key, from, to, link })
    }
  }
  return [...lines.values()]
}

/** @param {LinkView} link */
const qualityOf = ({ lost, rttMs }) =>
  lost > 0 ? 'lossy' : rttMs <= NEAR_MS ? 'near' : rttMs <= FAR_MS ? 'middling' : 'far'

/** @param {Line} line @param {Places} places @returns {Child} */
const linkLine = ({ key, from, to, link }, places) => {
  const [a, b] = [places.get(from), places.get(to)]
  if (a === undefined || b === undefined) return false
  const straight = link.way === 'port' || link.way === 'socket'
  return h(
    'line',
    {
      key: `line ${key}`,
      class: `link ${qualityOf(link)}${straight ? '' : ' detour'}`,
      x1: a.x,
      y1: a.y,
      x2: b.x,
      y2: b.y,
    },
    h(
      'title',
      {},
      `${from} – ${to}: ${milliseconds(link.rttMs)}, ${plural(link.lost, 'packet')} lost in the last minute, way: ${link.way}`,
    ),
  )
}

/** @param {Line} line @param {Places} places @param {number} part @returns {Child} */
const linkLabel = ({ key, from, to, link }, places, part) => {
  const [a, b] = [places.get(from), places.get(to)]
  if (a === undefined || b === undefined) return false
  const text =
    link.lost > 0 && !isNarrow.matches ? `${milliseconds(link.rttMs)} · ${link.lost} lost` : milliseconds(link.rttMs)
  const [x, y] = [a.x + (b.x - a.x) * part, a.y + (b.y - a.y) * part]
  const width = text.length * 7 + 14
  return h(
    'g',
    { key: `label ${key}`, class: `link-label ${qualityOf(link)}` },
    h('rect', { x: x - width / 2, y: y - 10, width, height: 20, rx: 10 }),
    h('text', { x, y: y + 4, 'text-anchor': 'middle' }, text),
  )
}

const STATE_TEXT = { up: '', joining: 'not reached', silent: 'no answer', down: 'down', left: 'has left' }

/** @param {NodeView} node @param {Places} places @param {number} number of nodes @returns {Child} */
const nodeMark = ({ name, state, figures }, places, number) => {
  const { x, y, size } = places.get(name) ?? { x: 0, y: 0, size: 0 }
  const stateText = STATE_TEXT[state]
  const below = stateText || (figures === undefined ? '' : plural(figures.processes, 'process', 'processes'))
  const isNamed = number <= MAX_NAMED_NODES
  const arm = size * 0.36
  return h(
    'a',
    {
      key: `node ${name}`,
      class: `node ${state}`,
      href: `#/node/${encodeURIComponent(name)}`,
    },
    // What is written beside it where there is room for that.
    number > MAX_WORDY_NODES && h('title', {}, `${name}: ${stateText || 'up'}`),
    h('circle', { class: 'halo', cx: x, cy: y, r: size + 6 }),
    h('circle', { class: 'body', cx: x, cy: y, r: size }),
    // Not by colour alone.
    (state === 'down' || state === 'silent') &&
      h('path', {
        class: 'mark',
        d: `M${x - arm} ${y - arm}l${2 * arm} ${2 * arm}M${x + arm} ${y - arm}l${-2 * arm} ${2 * arm}`,
      }),
    state === 'up' &&
      size > 10 &&
      h('path', {
        class: 'mark',
        d: `M${x - arm} ${y + arm * 0.1}l${arm * 0.7} ${arm * 0.75}l${arm * 1.3} ${-arm * 1.6}`,
      }),
    isNamed &&
      h(
        'text',
        { class: 'name', x, y: y + size + 22, 'text-anchor': 'middle' },
        shortName(name).slice(0, number > MAX_WORDY_NODES ? 14 : 24),
      ),
    number <= MAX_WORDY_NODES && h('text', { class: 'under', x, y: y + size + 38, 'text-anchor': 'middle' }, below),
  )
}
