/**
 * How one node finds others: its sources of discovery, and what it knows of the DHT.
 *
 * @import { Messages } from '../messages.ts'
 * @import { Child } from './dom.js'
 * @import { Snapshot } from './node-page.js'
 * @import { Known } from './stream.js'
 */
import { fact, h } from './dom.js'
import { count, plural } from './format.js'

/** @param {Known} known @param {string} name @param {Snapshot} snapshot @returns {Child} */
export const discovery = ({ dht: told }, name, { discovery: sources, dht: isPart }) => {
  const dht = told?.node === name ? told.dht : undefined
  return [
    h(
      'section',
      { class: 'card', key: 'sources', 'aria-labelledby': 'sources' },
      h('div', { class: 'card-head' }, h('h2', { id: 'sources' }, 'Sources of discovery')),
      sources.length === 0
        ? h('p', { class: 'empty' }, 'Discovery is switched off.')
        : h(
            'table',
            {},
            h(
              'thead',
              {},
              h(
                'tr',
                {},
                h('th', { scope: 'col' }, 'Source'),
                h('th', { scope: 'col' }, 'State'),
                h('th', { scope: 'col', class: 'number' }, 'Sees'),
                h('th', { scope: 'col', class: 'wide' }, 'Detail'),
              ),
            ),
            h(
              'tbody',
              {},
              sources.map(({ source, state, seen, detail }) =>
                h(
                  'tr',
                  { key: source },
                  h('th', { scope: 'row' }, source),
                  h(
                    'td',
                    {},
                    h(
                      'span',
                      { class: `badge ${state === 'working' ? 'up' : state === 'failed' ? 'down' : 'silent'}` },
                      state,
                    ),
                  ),
                  h('td', { class: 'number' }, count(seen)),
                  h('td', { class: 'wide' }, detail),
                ),
              ),
            ),
          ),
    ),
    h(
      'section',
      { class: 'card', key: 'dht', 'aria-labelledby': 'dht' },
      h(
        'div',
        { class: 'card-head' },
        h('h2', { id: 'dht' }, 'DHT'),
        dht !== undefined && h('span', { class: 'below' }, plural(dht.contacts.length, 'contact')),
      ),
      isPart === undefined
        ? h('p', { class: 'empty' }, 'This node takes part in no DHT.')
        : dht === undefined
          ? h('p', { class: 'empty' }, 'Asking …')
          : dhtTable(dht),
    ),
  ]
}

/** @param {NonNullable<Messages['dht']['dht']>} dht @returns {Child} */
const dhtTable = ({ id, publicAddress, contacts, items, announcements }) => [
  h(
    'dl',
    { class: 'facts' },
    fact('Id', h('code', {}, id)),
    fact('Public address', publicAddress ?? 'not known yet'),
    fact('Keeps for others', `${plural(items, 'item')}, ${plural(announcements, 'announcement')}`),
  ),
  contacts.length > 0 &&
    h(
      'table',
      {},
      h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Contact'), h('th', { scope: 'col' }, 'Address'))),
      h(
        'tbody',
        {},
        contacts.map((one) =>
          h('tr', { key: one.id }, h('th', { scope: 'row' }, h('code', {}, one.id)), h('td', {}, one.address)),
        ),
      ),
    ),
]
