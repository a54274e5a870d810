/**
 * The log of events, with search.
 *
 * @import { LogEntry } from '../messages.ts'
 * @import { Child } from './dom.js'
 * @import { Known } from './stream.js'
 */
import { h } from './dom.js'
import { clock, plural } from './format.js'

const SHOWN = 200
const LEVELS = [
  ['', 'All levels'],
  ['bad', 'Failures'],
  ['warning', 'Warnings'],
  ['good', 'Good news'],
  ['info', 'Information'],
]

/** @typedef {{ words: string, level: string, paused: readonly LogEntry[] | undefined }} Filter */

/** @param {LogEntry} entry @param {Filter} filter */
const passes = ({ node, type, text, level }, filter) => {
  const all = `${node} ${type} ${text}`.toLowerCase()
  return (
    (filter.level === '' || filter.level === level) &&
    filter.words
      .toLowerCase()
      .split(/\s+/)
      .every((word) => all.includes(word))
  )
}

/** @param {Known} known @param {Filter} filter @param {(change: Partial<Filter>) => void} set @returns {Child} */
export const eventsPage = ({ log }, filter, set) => {
  const found = (filter.paused ?? log).filter((entry) => passes(entry, filter))
  /** @param {Event} event */
  const textIn = (event) => /** @type {HTMLInputElement} */ (event.target).value
  return [
    h('h1', { key: 'title' }, 'Events'),
    h(
      'div',
      { class: 'tools', key: 'tools' },
      h(
        'label',
        { class: 'search' },
        h('span', { class: 'unseen' }, 'Search events'),
        h('input', {
          id: 'search',
          type: 'search',
          placeholder: 'Search, press / to begin',
          autocomplete: 'off',
          spellcheck: 'false',
          value: filter.words,
          oninput: (/** @type {Event} */ event) => set({ words: textIn(event) }),
        }),
      ),
      h(
        'label',
        {},
        h('span', { class: 'unseen' }, 'Level'),
        h(
          'select',
          { onchange: (/** @type {Event} */ event) => set({ level: textIn(event) }) },
          LEVELS.map(([value = '', name]) => h('option', { value, selected: value === filter.level }, name)),
        ),
      ),
      h(
        'button',
        {
          type: 'button',
          'aria-pressed': filter.paused === undefined ? 'false' : 'true',
          onclick: () => set({ paused: filter.paused === undefined ? log : undefined }),
        },
        filter.paused === undefined ? 'Pause' : 'Go on',
      ),
      h(
        'span',
        { class: 'found', role: 'status' },
        found.length > SHOWN ? `${SHOWN} newest of ${plural(found.length, 'event')}` : plural(found.length, 'event'),
      ),
    ),
    h(
      'section',
      { class: 'card', key: 'list', 'aria-label': 'Log' },
      eventTable(
        found.slice(-SHOWN).reverse(),
        log.length === 0 ? 'Nothing has happened since this observer was started.' : 'No event fits this search.',
      ),
    ),
  ]
}

/** @param {readonly LogEntry[]} entries @param {string} nothing what stands there if there are none @returns {Child} */
export const eventTable = (entries, nothing) => {
  if (entries.length === 0) return h('p', { class: 'empty' }, nothing)
  return h(
    'table',
    { class: 'events' },
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        ['Time', 'Node', 'Event'].map((name) => h('th', { scope: 'col' }, name)),
      ),
    ),
    h(
      'tbody',
      {},
      entries.map(({ id, at, node, type, level, text }) =>
        h(
          'tr',
          { key: id, class: level },
          h('td', { class: 'time' }, h('time', { datetime: new Date(at).toISOString() }, clock(at))),
          h('td', { class: 'who' }, h('a', { href: `#/node/${encodeURIComponent(node)}` }, node)),
          h('td', {}, h('span', { class: `type ${level}` }, type), ' ', h('span', { class: 'text' }, text)),
        ),
      ),
    ),
  )
}
