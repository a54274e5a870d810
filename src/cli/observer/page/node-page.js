/**
 * One node: its figures and plots, processes, supervision trees, connections, discovery and services.
 *
 * @import { Json, Messages, NodeView } from '../messages.ts'
 * @import { SupervisionTree } from '../../../observe/snapshot.ts'
 * @import { Child } from './dom.js'
 * @import { Known } from './stream.js'
 *
 * @typedef {NonNullable<Messages['node']['snapshot']>} Snapshot
 */
import { stateBadge, tile } from './cluster-page.js'
import { connections } from './connections-tab.js'
import { discovery } from './discovery-tab.js'
import { h } from './dom.js'
import { bytes, count, milliseconds, percent, plural, span } from './format.js'
import { nodePlots } from './plots.js'

export const TABS = /** @type {const} */ ([
  ['overview', 'Overview'],
  ['processes', 'Processes'],
  ['supervision', 'Supervision'],
  ['connections', 'Connections'],
  ['discovery', 'Discovery'],
  ['services', 'Services'],
])

/** @param {string} node @param {string} [rest] */
export const nodeAddress = (node, rest = '') => `#/node/${encodeURIComponent(node)}${rest}`

/** @param {string} node @param {string} pid */
export const processAddress = (node, pid) => nodeAddress(node, `/process/${encodeURIComponent(pid)}`)

/** @param {Known} known @param {string} name @param {string} tab @param {number} after @returns {Child} */
export const nodePage = (known, name, tab, after) => {
  const view = known.cluster?.nodes.find((node) => node.name === name)
  const snapshot = known.node?.name === name ? known.node.snapshot : undefined
  return [
    nodeHead(name, view, snapshot),
    h(
      'nav',
      { class: 'tabs', 'aria-label': 'Of this node', key: 'tabs' },
      TABS.map(([id, title]) =>
        h('a', { href: nodeAddress(name, `/${id}`), 'aria-current': id === tab ? 'page' : undefined, key: id }, title),
      ),
    ),
    view !== undefined &&
      view.state !== 'up' &&
      view.figures !== undefined &&
      h('p', { class: 'note', key: 'stale' }, 'The figures below are the last that it gave.'),
    known.failed !== '' && h('p', { class: 'note bad', role: 'status', key: 'failed' }, known.failed),
    h('div', { key: `tab ${tab}`, class: 'tab' }, tabContent(known, name, tab, after, snapshot)),
  ]
}

/** @param {string} name @param {NodeView | undefined} view @param {Snapshot | undefined} snapshot @returns {Child} */
const nodeHead = (name, view, snapshot) =>
  h(
    'div',
    { class: 'head', key: 'head' },
    h('p', { class: 'crumbs' }, h('a', { href: '#/' }, 'Cluster'), ' / '),
    h('h1', {}, name, view !== undefined && stateBadge(view)),
    view === undefined && h('p', { class: 'note' }, 'No node of this name is known to the observer.'),
    view !== undefined &&
      view.why !== '' &&
      h(
        'p',
        { class: view.state === 'up' ? 'note' : 'note bad' },
        view.why,
        view.state === 'up' ? '' : `, ${span(Date.now() - view.since)} ago`,
      ),
    // There from the start: what comes a moment later must not move the tabs away from under a finger.
    h(
      'p',
      { class: 'ids' },
      h('span', {}, 'id ', h('code', {}, snapshot?.id ?? '–')),
      h('span', {}, 'incarnation ', h('code', {}, snapshot?.incarnation ?? '–')),
    ),
  )

/** @param {Known} known @param {string} name @param {string} tab @param {number} after @param {Snapshot | undefined} snapshot @returns {Child} */
const tabContent = (known, name, tab, after, snapshot) => {
  if (tab === 'processes') return processList(known, name, after)
  if (snapshot === undefined) return h('p', { class: 'empty card' }, 'It has given no snapshot of itself yet.')
  if (tab === 'supervision') return supervision(name, snapshot)
  if (tab === 'connections') return connections(snapshot)
  if (tab === 'discovery') return discovery(known, name, snapshot)
  if (tab === 'services') return services(snapshot)
  return overview(known, name, snapshot)
}

/** @param {Known} known @param {string} name @param {Snapshot} snapshot @returns {Child} */
const overview = (
  { points, cluster },
  name,
  { uptimeMs, processes, mailboxes, eventLoop, memory, names, counters },
) => {
  const view = cluster?.nodes.find((node) => node.name === name)
  return [
    h(
      'dl',
      { class: 'tiles' },
      tile('Up for', span(uptimeMs), `answers in ${milliseconds(view?.pingMs)}`),
      tile('Processes', count(processes.count), plural(names.count, 'name')),
      tile(
        'Messages waiting',
        count(mailboxes.messages),
        `${count(mailboxes.longest)} in the longest mailbox`,
        mailboxes.pressed > 0 ? 'warning' : '',
      ),
      tile(
        'Event loop',
        percent(eventLoop.utilisation),
        `${milliseconds(eventLoop.maxLagMs)} greatest lag`,
        eventLoop.utilisation > 0.9 ? 'warning' : '',
      ),
      tile('Memory', bytes(memory.residentBytes), `${bytes(memory.heapUsedBytes)} heap`),
      tile(
        'Crashed',
        count(counters.crashed ?? 0),
        `${plural(counters.childRestarts ?? 0, 'child', 'children')} restarted`,
        (counters.crashed ?? 0) > 0 ? 'warning' : '',
      ),
    ),
    nodePlots(points),
  ]
}

/** @param {Known} known @param {string} name @param {number} after @returns {Child} */
const processList = ({ processes, node }, name, after) => {
  const told = processes?.node === name && processes.after === after ? processes.page : undefined
  const snapshot = node?.name === name ? node.snapshot : undefined
  const last = told?.processes.at(-1)?.pid
  const next = last === undefined ? 0 : Number(/\.(\d+)>$/.exec(last)?.[1] ?? 0)
  const longest = snapshot?.processes.byMessages ?? []
  const total = snapshot === undefined ? '' : `${count(snapshot.processes.count)} in all`
  return [
    longest.length > 0 &&
      h(
        'section',
        { class: 'card', key: 'longest', 'aria-labelledby': 'longest' },
        h('div', { class: 'card-head' }, h('h2', { id: 'longest' }, 'Longest mailboxes')),
        processTable(name, longest),
      ),
    h(
      'section',
      { class: 'card', key: 'all', 'aria-labelledby': 'all' },
      h(
        'div',
        { class: 'card-head' },
        h('h2', { id: 'all' }, 'Processes'),
        h('span', { class: 'below' }, `${total}${after > 0 ? `, after number ${after}` : ''}`),
      ),
      told === undefined
        ? h('p', { class: 'empty' }, 'Asking …')
        : told.processes.length === 0
          ? h('p', { class: 'empty' }, 'None.')
          : processTable(name, told.processes),
      h(
        'p',
        { class: 'pages' },
        after > 0 && h('a', { href: nodeAddress(name, '/processes') }, 'First page'),
        told?.more === true && h('a', { href: nodeAddress(name, `/processes/${next}`) }, 'Next page'),
      ),
    ),
  ]
}

/** @param {string} node @param {Snapshot['processes']['byMessages']} processes @returns {Child} */
const processTable = (node, processes) =>
  h(
    'table',
    { class: 'processes' },
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        h('th', { scope: 'col' }, 'Process'),
        h('th', { scope: 'col', class: 'wide' }, 'Pid'),
        h('th', { scope: 'col', class: 'wide' }, 'State'),
        h('th', { scope: 'col', class: 'number' }, 'Messages'),
        h('th', { scope: 'col', class: 'number wide' }, 'Bytes'),
        h('th', { scope: 'col', class: 'number' }, 'Links'),
      ),
    ),
    h(
      'tbody',
      {},
      processes.map(({ pid, label, names, state, messages, bytes: size, bonds }) =>
        h(
          'tr',
          { key: pid },
          h(
            'th',
            { scope: 'row' },
            h('a', { href: processAddress(node, pid) }, names.length > 0 ? names.join(', ') : (label ?? pid)),
            names.length > 0 && label !== undefined && h('span', { class: 'below' }, label),
          ),
          h('td', { class: 'wide' }, h('code', {}, numberOf(pid))),
          h('td', { class: 'wide' }, state),
          h('td', { class: 'number' }, count(messages)),
          h('td', { class: 'number wide' }, bytes(size)),
          h('td', { class: 'number' }, count(bonds)),
        ),
      ),
    ),
  )

/** The pid without its node, which is in the title of the page. @param {string} pid */
export const numberOf = (pid) => `#${pid.slice(pid.lastIndexOf('#') + 1, -1)}`

/** @param {string} name @param {Snapshot} snapshot @returns {Child} */
const supervision = (name, { supervisors }) =>
  h(
    'section',
    { class: 'card', 'aria-labelledby': 'trees' },
    h('div', { class: 'card-head' }, h('h2', { id: 'trees' }, 'Supervision trees')),
    supervisors.length === 0
      ? h('p', { class: 'empty' }, 'No supervisor runs on this node.')
      : h(
          'ul',
          { class: 'tree' },
          supervisors.map((tree) =>
            h('li', { key: tree.pid }, supervisorLine(name, tree, undefined), children(name, tree)),
          ),
        ),
  )

/** @param {string} node @param {Json<SupervisionTree>} tree @param {string | undefined} id @returns {Child} */
const supervisorLine = (node, { pid, label, status, children }, id) =>
  h(
    'span',
    { class: 'leaf' },
    h('span', { class: 'kind' }, 'supervisor'),
    h('a', { href: processAddress(node, pid) }, id ?? label ?? numberOf(pid)),
    status !== 'answered' && h('span', { class: 'badge silent' }, status === 'silent' ? 'busy' : 'not asked'),
    h('span', { class: 'below' }, plural(children.length, 'child', 'children')),
  )

/** @param {string} node @param {Json<SupervisionTree>} tree @returns {Child} */
const children = (node, tree) =>
  tree.children.length > 0 &&
  h(
    'ul',
    {},
    tree.children.map(({ id, pid, status, type, tree: below }) =>
      h(
        'li',
        { key: id },
        below !== undefined && pid !== undefined
          ? supervisorLine(node, below, id)
          : h(
              'span',
              { class: 'leaf' },
              h('span', { class: 'kind' }, type),
              pid === undefined ? h('span', {}, id) : h('a', { href: processAddress(nodeOf(pid) ?? node, pid) }, id),
              status !== 'running' &&
                h('span', { class: `badge ${status === 'restarting' ? 'silent' : 'left'}` }, status),
            ),
        below !== undefined && children(node, below),
      ),
    ),
  )

/** @param {string} pid */
export const nodeOf = (pid) => /^<(.*)#[0-9a-f]+\.\d+>$/.exec(pid)?.[1]

/** @param {Snapshot} snapshot @returns {Child} */
const services = ({ names, probes, counters }) => [
  h(
    'section',
    { class: 'card', key: 'names', 'aria-labelledby': 'names' },
    h(
      'div',
      { class: 'card-head' },
      h('h2', { id: 'names' }, 'Registered names'),
      h('span', { class: 'below' }, names.count > names.list.length ? `${names.list.length} of ${names.count}` : ''),
    ),
    names.list.length === 0
      ? h('p', { class: 'empty' }, 'None.')
      : h(
          'ul',
          { class: 'words' },
          names.list.map((name) => h('li', { key: name }, name)),
        ),
  ),
  Object.entries(probes).map(([name, value]) =>
    h(
      'section',
      { class: 'card', key: `probe ${name}`, 'aria-label': name },
      h('div', { class: 'card-head' }, h('h2', {}, name)),
      h('pre', { tabindex: '0', role: 'region', 'aria-label': `What ${name} tells` }, JSON.stringify(value, null, 2)),
    ),
  ),
  h(
    'section',
    { class: 'card', key: 'counters', 'aria-labelledby': 'counters' },
    h('div', { class: 'card-head' }, h('h2', { id: 'counters' }, 'Counts since the start')),
    h(
      'dl',
      { class: 'counters' },
      Object.entries(counters).map(([name, value]) =>
        h('div', { key: name }, h('dt', {}, name), h('dd', {}, count(value))),
      ),
    ),
  ),
]
