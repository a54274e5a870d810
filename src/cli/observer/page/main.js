/**
 * The page: what the address says is looked at, and shown again whenever something is new.
 *
 * @import { Child } from './dom.js'
 * @import { Filter } from './events-page.js'
 */
import { clusterPage } from './cluster-page.js'
import { h, render } from './dom.js'
import { eventsPage } from './events-page.js'
import { plural } from './format.js'
import { nodePage, TABS } from './node-page.js'
import { processPage } from './process-page.js'
import { openStream } from './stream.js'

const THEMES = /** @type {const} */ (['auto', 'light', 'dark'])
const THEME_KEY = 'skein-observer-theme'

const header = /** @type {Element} */ (document.getElementById('header'))
const content = /** @type {HTMLElement} */ (document.getElementById('content'))
const announcer = /** @type {Element} */ (document.getElementById('announcer'))

/** @type {Filter} */
let filter = { words: '', level: '', paused: undefined }
let isDue = false

const changed = () => {
  if (isDue) return
  isDue = true
  requestAnimationFrame(() => {
    isDue = false
    show()
  })
}

const stream = openStream(changed, (entries) => {
  const told = entries.filter(({ level }) => level === 'bad').map(({ node, text }) => `${node}: ${text}`)
  if (told.length > 0) announcer.textContent = told.slice(-3).join('. ')
})

/** @param {string} text */
const decoded = (text) => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** #/node/NAME/TAB, #/node/NAME/processes/AFTER, #/node/NAME/process/PID, #/events */
const route = () => {
  const [what, name = '', tab = '', last = ''] = location.hash.replace(/^#\//, '').split('/').map(decoded)
  if (what === 'events') return { page: 'events', node: '', tab: '', pid: '', after: 0 }
  if (what !== 'node' || name === '') return { page: 'cluster', node: '', tab: '', pid: '', after: 0 }
  if (tab === 'process') return { page: 'process', node: name, tab: '', pid: last, after: 0 }
  const known = TABS.find(([id]) => id === tab)?.[0] ?? 'overview'
  return { page: 'node', node: name, tab: known, pid: '', after: /^\d+$/.test(last) ? Number(last) : 0 }
}

const look = () => {
  const { page, node, tab, pid, after } = route()
  stream.look({
    ...(node === '' ? {} : { node }),
    ...(page === 'process' ? { process: pid } : {}),
    ...(tab === 'processes' ? { after: String(after) } : {}),
    ...(tab === 'discovery' ? { dht: '1' } : {}),
  })
}

/** @returns {Child} */
const page = () => {
  const { page, node, tab, pid, after } = route()
  const { known } = stream
  if (page === 'events')
    return eventsPage(known, filter, (change) => {
      filter = { ...filter, ...change }
      changed()
    })
  if (page === 'process') return processPage(known, node, pid)
  if (page === 'node') return nodePage(known, node, tab, after)
  return clusterPage(known)
}

/** A browser may keep nothing for us, and throws then. */
const keptTheme = () => {
  try {
    return localStorage.getItem(THEME_KEY)
  } catch {
    return null
  }
}

let theme = THEMES.find((one) => one === keptTheme()) ?? 'auto'

const applyTheme = () => {
  if (theme === 'auto') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
}

const nextTheme = () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'auto'
  applyTheme()
  changed()
  try {
    localStorage.setItem(THEME_KEY, theme)
  } catch {
    // Then the choice lasts as long as the page.
  }
}

const CONNECTION = { connecting: 'connecting', live: 'live', lost: 'observer lost' }

const top = () => {
  const { cluster, connection } = stream.known
  const { page } = route()
  const gone = cluster?.nodes.filter(({ state }) => state === 'down' || state === 'silent').length ?? 0
  return [
    h(
      'a',
      { class: 'brand', href: '#/', key: 'brand' },
      h('img', { src: '/icon.svg', alt: '', width: 28, height: 28 }),
      h('span', {}, 'Skein', cluster !== undefined && h('span', { class: 'cluster' }, cluster.cluster)),
    ),
    h(
      'nav',
      { class: 'main', key: 'nav', 'aria-label': 'Main' },
      h('a', { href: '#/', 'aria-current': page === 'cluster' ? 'page' : undefined }, 'Cluster'),
      h('a', { href: '#/events', 'aria-current': page === 'events' ? 'page' : undefined }, 'Events'),
    ),
    h(
      'div',
      { class: 'right', key: 'right' },
      gone > 0 && h('a', { class: 'badge down', href: '#/' }, `${plural(gone, 'node')} not answering`),
      h('span', { class: `connection ${connection}` }, CONNECTION[connection]),
      h(
        'button',
        { type: 'button', id: 'theme', onclick: nextTheme, 'aria-label': `Colours: ${theme}. Change` },
        { auto: 'Auto', light: 'Light', dark: 'Dark' }[theme],
      ),
    ),
  ]
}

const show = () => {
  const title = `${route().node || stream.known.cluster?.cluster || 'cluster'} – Skein observer`
  if (document.title !== title) document.title = title
  render(header, top())
  render(content, page())
}

window.addEventListener('hashchange', () => {
  look()
  show()
  window.scrollTo(0, 0)
})

window.addEventListener('keydown', (event) => {
  const isTyping = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement
  if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey || event.altKey) return
  event.preventDefault()
  if (route().page !== 'events') {
    location.hash = '#/events'
    look()
    show()
  }
  document.getElementById('search')?.focus()
})

document.querySelector('.skip')?.addEventListener('click', (event) => {
  event.preventDefault()
  content.focus()
})

applyTheme()
look()
show()
