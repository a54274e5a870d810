/**
 * The cluster as a picture: nodes on a ring, the connections between them with round trip and loss.
 *
 * @import { NodeView, LinkView } from '../messages.ts'
 * @import { Child } from './dom.js'
 */
import { h } from './dom.js'
import { milliseconds, plural, STATES, shortName } from './format.js'

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
/** And where it may stand if that is taken. */
const OTHER_PLACES = [0.5, 0.42, 0.55, 0.3, 0.65, 0.24, 0.72, 0.18, 0.8]
/** How far beside the line it may stand then, in parts of half of it: it still touches the line. */
const ASIDE = [
  [0, 0],
  ...[0.4, -0.4, 0.8, -0.8].flatMap((part) => [
    [part, 0],
    [0, part],
    [part, part],
    [part, -part],
  ]),
]
/** What characters are wide at most, on average: names, what stands below them, labels. */
const [NAME_CHAR, BELOW_CHAR, LABEL_CHAR] = [9.5, 8, 7]
/** From the edge of a node down to the lines of its name and of what stands below. */
const [NAME_LINE, BELOW_LINE] = [22, 38]
/** Around a node. */
const HALO = 6
/** What of a text is below its line. */
const DESCENT = 6
/** As a label with six characters, which most have: so it does not move with each round trip. */
const LEAST_LABEL_WIDTH = 56
const LABEL_HEIGHT = 20
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
    isLabelled && linkLabels(drawn, nodes, places, frame),
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

/**
 * Each where it covers no node, no text of one, and no other label; or as little of them as can be.
 *
 * @param {readonly Line[]} links @param {readonly NodeView[]} nodes @param {Places} places @param {typeof DESK} frame
 * @returns {Child}
 */
const linkLabels = (links, nodes, places, { width: end, height }) => {
  const beside = [
    { left: -end, right: 0, top: 0, bottom: height },
    { left: end, right: 2 * end, top: 0, bottom: height },
  ]
  const taken = [...beside, ...nodes.flatMap((node) => nodeBoxes(node, places, nodes.length))]
  return links.map(({ key, from, to, link }, index) => {
    const [a, b] = [places.get(from), places.get(to)]
    if (a === undefined || b === undefined) return false
    const isLossy = link.lost > 0 && !isNarrow.matches
    const text = isLossy ? `${milliseconds(link.rttMs)} · ${link.lost} lost` : milliseconds(link.rttMs)
    const width = text.length * LABEL_CHAR + 14
    const room = Math.max(width, LEAST_LABEL_WIDTH) / 2
    /** @type {{ x: number, y: number, box: Box, covered: number } | undefined} */
    let best
    for (const [aside = 0, up = 0] of ASIDE) {
      for (const part of [LABEL_PLACES[index % LABEL_PLACES.length] ?? 0.5, ...OTHER_PLACES]) {
        if (best?.covered === 0) break
        const [x, y] = [a.x + (b.x - a.x) * part + aside * room, a.y + (b.y - a.y) * part - up * LABEL_HEIGHT]
        const box = { left: x - room, right: x + room, top: y - LABEL_HEIGHT / 2, bottom: y + LABEL_HEIGHT / 2 }
        const covered = taken.reduce((sum, other) => sum + overlap(box, other), 0)
        if (best === undefined || covered < best.covered) best = { x, y, box, covered }
      }
    }
    if (best === undefined) return false
    const { x, y } = best
    taken.push(best.box)
    return h(
      'g',
      { key: `label ${key}`, class: `link-label ${qualityOf(link)}` },
      h('rect', { x: x - width / 2, y: y - LABEL_HEIGHT / 2, width, height: LABEL_HEIGHT, rx: LABEL_HEIGHT / 2 }),
      h('text', { x, y: y + 4, 'text-anchor': 'middle' }, text),
    )
  })
}

/** @typedef {{ left: number, right: number, top: number, bottom: number }} Box */

/** @param {Box} one @param {Box} other */
const overlap = (one, other) =>
  Math.max(0, Math.min(one.right, other.right) - Math.max(one.left, other.left)) *
  Math.max(0, Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top))

/** What a node takes, and its texts. @param {NodeView} node @param {Places} places @param {number} number @returns {Box[]} */
const nodeBoxes = (node, places, number) => {
  const { x, y, size } = places.get(node.name) ?? { x: 0, y: 0, size: 0 }
  const { name, below } = textsOf(node, number)
  const halo = size + HALO
  const room = Math.max(name.length * NAME_CHAR, below.length * BELOW_CHAR) / 2
  const bottom = y + size + (below !== '' ? BELOW_LINE : name !== '' ? NAME_LINE : 0) + DESCENT
  return [
    { left: x - halo, right: x + halo, top: y - halo, bottom: y + halo },
    { left: x - room, right: x + room, top: y + size, bottom },
  ]
}

/** What is written at a node; empty where there is no room. @param {NodeView} node @param {number} number of nodes */
const textsOf = ({ name, state, figures }, number) => {
  const isWordy = number <= MAX_WORDY_NODES
  const processes = figures === undefined ? '' : plural(figures.processes, 'process', 'processes')
  return {
    name: number > MAX_NAMED_NODES ? '' : shortName(name).slice(0, isWordy ? 24 : 14),
    below: !isWordy ? '' : state === 'up' ? processes : STATES[state],
  }
}

/** @param {NodeView} node @param {Places} places @param {number} number of nodes @returns {Child} */
const nodeMark = (node, places, number) => {
  const { name, state } = node
  const { x, y, size } = places.get(name) ?? { x: 0, y: 0, size: 0 }
  const texts = textsOf(node, number)
  const arm = size * 0.36
  return h(
    'a',
    {
      key: `node ${name}`,
      class: `node ${state}`,
      href: `#/node/${encodeURIComponent(name)}`,
    },
    // What is written beside it where there is room for that.
    number > MAX_WORDY_NODES && h('title', {}, `${name}: ${STATES[state]}`),
    h('circle', { class: 'halo', cx: x, cy: y, r: size + HALO }),
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
    texts.name !== '' && h('text', { class: 'name', x, y: y + size + NAME_LINE, 'text-anchor': 'middle' }, texts.name),
    texts.below !== '' &&
      h('text', { class: 'under', x, y: y + size + BELOW_LINE, 'text-anchor': 'middle' }, texts.below),
  )
}
