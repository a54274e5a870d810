/**
 * The connections of one node: how each is reached, and what waits in it.
 *
 * @import { Child } from './dom.js'
 * @import { Snapshot } from './node-page.js'
 */
import { h } from './dom.js'
import { bytes, count, milliseconds } from './format.js'
import { nodeAddress } from './node-page.js'

const WAYS = { port: 'straight', socket: 'own socket', relay: 'relayed', tcp: 'TCP' }

/** @param {Snapshot} snapshot @returns {Child} */
export const connections = ({ connections: { count: number, list } }) =>
  h(
    'section',
    { class: 'card', 'aria-labelledby': 'connections' },
    h(
      'div',
      { class: 'card-head' },
      h('h2', { id: 'connections' }, 'Connections'),
      number > list.length && h('span', { class: 'below' }, `${list.length} of ${number}`),
    ),
    list.length === 0
      ? h('p', { class: 'empty' }, 'It is connected to nobody.')
      : h(
          'div',
          { class: 'scroll', role: 'region', tabindex: '0', 'aria-label': 'Table of connections' },
          h(
            'table',
            {},
            h(
              'thead',
              {},
              h(
                'tr',
                {},
                h('th', { scope: 'col' }, 'Node'),
                h('th', { scope: 'col' }, 'Way'),
                ['Round trip', 'Lost', 'Lanes', 'Held', 'Backlog', 'Sent', 'Received', 'Silent'].map((title) =>
                  h('th', { scope: 'col', class: 'number' }, title),
                ),
              ),
            ),
            h(
              'tbody',
              {},
              list.map((one) =>
                h(
                  'tr',
                  { key: one.node },
                  h(
                    'th',
                    { scope: 'row' },
                    one.hidden ? one.node : h('a', { href: nodeAddress(one.node) }, one.node),
                    h('span', { class: 'below' }, one.hidden ? `${one.address}, a tool` : one.address),
                  ),
                  h('td', {}, WAYS[one.way] ?? one.way),
                  h('td', { class: 'number' }, milliseconds(one.rttMs)),
                  h('td', { class: `number ${one.lostPackets > 0 ? 'warning' : ''}` }, count(one.lostPackets)),
                  h('td', { class: 'number' }, count(one.dedicatedLanes)),
                  h('td', { class: `number ${one.heldLanes > 0 ? 'warning' : ''}` }, count(one.heldLanes)),
                  h('td', { class: 'number' }, bytes(one.queuedBytes)),
                  h('td', { class: 'number' }, bytes(one.sentBytes)),
                  h('td', { class: 'number' }, bytes(one.receivedBytes)),
                  h('td', { class: 'number' }, milliseconds(Math.round(one.silentMs))),
                ),
              ),
            ),
          ),
        ),
  )
