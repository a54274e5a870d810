/**
 * The first page: the cluster as a whole.
 *
 * @import { NodeView } from '../messages.ts'
 * @import { Child } from './dom.js'
 * @import { Known } from './stream.js'
 */
import { h } from './dom.js'
import { eventTable } from './events-page.js'
import {
  briefly,
  bytes,
  bytesPerSecond,
  count,
  milliseconds,
  percent,
  perSecond,
  plural,
  STATES,
  shortName,
} from './format.js'
import { sparkline } from './plots.js'
import { topology } from './topology.js'

const RECENT_EVENTS = 8

/** @param {Known} known @returns {Child} */
export const clusterPage = ({ cluster, log }) => {
  if (cluster === undefined) return h('p', { class: 'empty card' }, 'Waiting for the observer …')
  const { nodes, leftOut } = cluster
  if (nodes.length === 0) return h('p', { class: 'empty card' }, 'No node of the cluster is known yet.')
  return [
    h('h1', { class: 'unseen', key: 'title' }, `Cluster ${cluster.cluster}`),
    summary(nodes),
    leftOut > 0 &&
      h('p', { class: 'note', key: 'left out' }, `${plural(leftOut, 'more node')} not shown: an observer shows 200.`),
    h(
      'div',
      { class: 'columns', key: 'columns' },
      h(
        'section',
        { class: 'card', 'aria-labelledby': 'topology' },
        h('div', { class: 'card-head' }, h('h2', { id: 'topology' }, 'Topology'), legend()),
        topology(nodes),
      ),
      h(
        'section',
        { class: 'card', 'aria-labelledby': 'nodes' },
        h('div', { class: 'card-head' }, h('h2', { id: 'nodes' }, 'Nodes')),
        nodeTable(nodes),
      ),
    ),
    h(
      'section',
      { class: 'card', 'aria-labelledby': 'recent', key: 'recent' },
      h(
        'div',
        { class: 'card-head' },
        h('h2', { id: 'recent' }, 'Latest events'),
        h('a', { href: '#/events' }, 'All events'),
      ),
      eventTable(log.slice(-RECENT_EVENTS).reverse(), 'Nothing has happened since this observer was started.'),
    ),
  ]
}

/** @param {readonly NodeView[]} nodes @returns {Child} */
const summary = (nodes) => {
  const answering = nodes.filter(({ state }) => state === 'up')
  const missing = nodes.filter(({ state }) => state === 'down' || state === 'silent')
  const figures = answering.flatMap(({ figures }) => (figures === undefined ? [] : [figures]))
  /** @param {(figures: NonNullable<NodeView['figures']>) => number} of */
  const sum = (of) => figures.reduce((all, one) => all + of(one), 0)
  const roundTrips = answering.flatMap(({ links }) => links.map(({ rttMs }) => rttMs)).sort((a, b) => a - b)
  const lost = answering.reduce((all, { links }) => all + links.reduce((some, link) => some + link.lost, 0), 0)
  const pressed = sum((one) => one.pressed)
  return h(
    'dl',
    { class: 'tiles', key: 'summary' },
    tile(
      'Nodes',
      missing.length > 0 ? `${answering.length} of ${answering.length + missing.length}` : `${answering.length}`,
      missing.length > 0 ? `${missing.length} not answering` : 'all answer',
      missing.length > 0 ? 'bad' : 'good',
    ),
    tile(
      'Processes',
      count(sum((one) => one.processes)),
      `${plural(
        sum((one) => one.waiting),
        'message',
      )} waiting`,
    ),
    tile('Messages', perSecond(sum((one) => one.messagesPerS)), bytesPerSecond(sum((one) => one.bytesPerS) / 2)),
    tile('Round trip', milliseconds(roundTrips[Math.floor(roundTrips.length / 2)]), 'median between nodes'),
    tile('Lost packets', count(lost), 'in the last minute', lost > 0 ? 'warning' : ''),
    tile(
      'Mailboxes',
      pressed === 0 ? 'calm' : `${pressed} full`,
      pressed === 0 ? 'none holds back senders' : 'hold back their senders',
      pressed > 0 ? 'warning' : '',
    ),
  )
}

/** @param {string} name @param {string} value @param {string} note @param {string} [level] @returns {Child} */
export const tile = (name, value, note, level = '') =>
  h(
    'div',
    { class: `tile ${level}`, key: name },
    h('dt', {}, name),
    h('dd', { class: 'value' }, value),
    h('dd', { class: 'below' }, note),
  )

const legend = () =>
  h(
    'ul',
    { class: 'legend' },
    h('li', { class: 'near' }, '≤ 10 ms'),
    h('li', { class: 'middling' }, '≤ 80 ms'),
    h('li', { class: 'far' }, 'more'),
    h('li', { class: 'lossy' }, 'loses packets'),
  )

/** @param {Pick<NodeView, 'state'>} node @returns {Child} */
export const stateBadge = ({ state }) => h('span', { class: `badge ${state}` }, STATES[state])

/** @param {readonly NodeView[]} nodes @returns {Child} */
const nodeTable = (nodes) =>
  h(
    'table',
    { class: 'nodes' },
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        h('th', { scope: 'col' }, 'Node'),
        h('th', { scope: 'col' }, 'State'),
        h('th', { scope: 'col', class: 'number wide' }, 'Processes'),
        h('th', { scope: 'col' }, 'Messages'),
        h('th', { scope: 'col', class: 'number wide' }, 'Loop'),
        h('th', { scope: 'col', class: 'number wide' }, 'Memory'),
      ),
    ),
    h('tbody', {}, nodes.map(nodeRow)),
  )

/** @param {NodeView} node @returns {Child} */
const nodeRow = ({ name, state, since, figures, trend, why }) => {
  const isUp = state === 'up'
  return h(
    'tr',
    { key: name, class: state, title: why || undefined },
    h(
      'th',
      { scope: 'row' },
      h('a', { href: `#/node/${encodeURIComponent(name)}` }, shortName(name)),
      h(
        'span',
        { class: 'below' },
        isUp && figures ? `up ${briefly(figures.uptimeMs)}` : `${briefly(Date.now() - since)} ago`,
      ),
    ),
    h('td', {}, stateBadge({ state })),
    h('td', { class: 'number wide' }, isUp && figures ? count(figures.processes) : '–'),
    h(
      'td',
      { class: 'trend' },
      isUp && figures
        ? [
            sparkline(trend, `Messages per second of ${name} in the last minute`),
            h('span', {}, perSecond(figures.messagesPerS)),
          ]
        : '–',
    ),
    h('td', { class: 'number wide' }, isUp && figures ? percent(figures.utilisation) : '–'),
    h('td', { class: 'number wide' }, isUp && figures ? bytes(figures.residentBytes) : '–'),
  )
}
