/**
 * One process: its mailbox, and who is linked to it and watches it.
 *
 * @import { Messages } from '../messages.ts'
 * @import { Child } from './dom.js'
 * @import { Known } from './stream.js'
 *
 * @typedef {NonNullable<Messages['process']['process']>} Detail
 */
import { tile } from './cluster-page.js'
import { fact, h } from './dom.js'
import { bytes, count, percent, plural } from './format.js'
import { nodeAddress, nodeOf, numberOf, processAddress } from './node-page.js'

/** @param {Known} known @param {string} node @param {string} pid @returns {Child} */
export const processPage = (known, node, pid) => {
  const told = known.process?.pid === pid && known.process.node === node ? known.process : undefined
  const isUp = known.cluster?.nodes.find(({ name }) => name === node)?.state === 'up'
  const process = told?.process
  return [
    h(
      'div',
      { class: 'head', key: 'head' },
      h(
        'p',
        { class: 'crumbs' },
        h('a', { href: '#/' }, 'Cluster'),
        ' / ',
        h('a', { href: nodeAddress(node) }, node),
        ' / ',
        h('a', { href: nodeAddress(node, '/processes') }, 'Processes'),
        ' / ',
      ),
      h(
        'h1',
        {},
        process?.names[0] ?? process?.label ?? numberOf(pid),
        process !== undefined &&
          h('span', { class: `badge ${isUp ? 'up' : 'down'}` }, isUp ? process.state : 'node is gone'),
      ),
      h('p', { class: 'ids' }, h('code', {}, pid)),
    ),
    known.failed !== '' && h('p', { class: 'note bad', role: 'status', key: 'failed' }, known.failed),
    process !== undefined
      ? detail(process)
      : h(
          'p',
          { class: 'empty card', key: 'none' },
          told !== undefined ? 'This process has ended.' : isUp ? 'Asking …' : 'Its node does not answer.',
        ),
  ]
}

const WHEN_FULL = {
  block: 'holds back its senders above that',
  exit: 'ends above that',
  dropNewest: 'drops the newest message above that',
  dropOldest: 'drops the oldest message above that',
}

/** @param {Detail} process @returns {Child} */
const detail = (process) => {
  const {
    label,
    behaviour,
    names,
    parent,
    trapExit,
    messages,
    bytes: size,
    limit,
    onFull,
    pressed,
    links,
    monitors,
    watchers,
  } = process
  const full = limit > 0 ? Math.min(1, messages / limit) : 0
  return [
    h(
      'dl',
      { class: 'tiles', key: 'tiles' },
      tile('Mailbox', plural(messages, 'message'), `${bytes(size)} from other nodes`, pressed ? 'warning' : ''),
      tile('Full to', percent(full), `${count(limit)}: ${WHEN_FULL[onFull] ?? ''}`, full > 0.5 ? 'warning' : ''),
      tile('Links', count(links.count), 'both ways'),
      tile('Monitors', count(monitors.count), 'it watches'),
      tile('Watchers', count(watchers.count), 'watch it'),
    ),
    h(
      'section',
      { class: 'card', key: 'about', 'aria-labelledby': 'about' },
      h('div', { class: 'card-head' }, h('h2', { id: 'about' }, 'About')),
      h(
        'dl',
        { class: 'facts' },
        fact('Names', names.length === 0 ? 'none' : names.join(', ')),
        fact('Label', label ?? 'none'),
        fact('Behaviour', behaviour ?? 'a function'),
        fact(
          'Started by',
          parent === undefined ? 'its node' : h('a', { href: processAddress(nodeOf(parent) ?? '', parent) }, parent),
        ),
        fact('Exit signals', trapExit ? 'come as messages' : 'end it'),
      ),
    ),
    h(
      'div',
      { class: 'columns three', key: 'bonds' },
      bonds('Linked to', links),
      bonds('Watches', monitors),
      bonds('Watched by', watchers),
    ),
  ]
}

/** @param {string} title @param {Detail['links']} bonds @returns {Child} */
const bonds = (title, { count: number, list }) =>
  h(
    'section',
    { class: 'card', 'aria-label': title, key: title },
    h(
      'div',
      { class: 'card-head' },
      h('h2', {}, title),
      number > list.length && h('span', { class: 'below' }, `${list.length} of ${number}`),
    ),
    list.length === 0
      ? h('p', { class: 'empty' }, 'Nobody.')
      : h(
          'ul',
          { class: 'bonds' },
          list.map(({ node, pid, name }) =>
            h(
              'li',
              {},
              pid === undefined
                ? h(
                    'a',
                    { href: nodeAddress(node) },
                    name === undefined ? `a process of ${node}` : `${name} on ${node}`,
                  )
                : h('a', { href: processAddress(node, pid) }, pid),
            ),
          ),
        ),
  )
