/**
 * What the page knows, and where it comes from: one stream of server-sent events, opened anew for whatever is looked at.
 *
 * While nobody sees the page it has no stream: browsers allow a server few connections, and the server few pages.
 *
 * @import { Messages, LogEntry, Point } from '../messages.ts'
 *
 * @typedef {object} Known
 * @property {'connecting' | 'live' | 'lost'} connection
 * @property {Messages['cluster'] | undefined} cluster
 * @property {LogEntry[]} log oldest first
 * @property {Messages['node'] | undefined} node
 * @property {Point[]} points of that node
 * @property {Messages['processes'] | undefined} processes
 * @property {Messages['process'] | undefined} process
 * @property {Messages['dht'] | undefined} dht
 * @property {string} failed why what was asked for could not be had
 */

const MAX_LOG = 1000
const MAX_POINTS = 300
const RETRY_MS = 2000

/** @returns {Known} */
const nothing = () => ({
  connection: 'connecting',
  cluster: undefined,
  log: [],
  node: undefined,
  points: [],
  processes: undefined,
  process: undefined,
  dht: undefined,
  failed: '',
})

/**
 * @param {() => void} changed something new is known
 * @param {(entries: readonly LogEntry[]) => void} happened entries of the log that were not there when the page was opened
 */
export const openStream = (changed, happened) => {
  const known = nothing()
  /** @type {EventSource | undefined} */
  let source
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let retry
  /** @type {Record<string, string>} */
  let look = {}
  /** The log is read from its beginning: nothing is known of it, or it may be the one of another observer, which counts anew. */
  let isLogDue = true

  /** @type {{ [K in keyof Messages]: (message: Messages[K]) => void }} */
  const takes = {
    cluster: (message) => {
      known.cluster = message
    },
    node: (message) => {
      known.node = message
      known.points = message.whole ? [...message.points] : [...known.points, ...message.points].slice(-MAX_POINTS)
    },
    processes: (message) => {
      known.processes = message
      known.failed = ''
    },
    process: (message) => {
      known.process = message
      known.failed = ''
    },
    dht: (message) => {
      known.dht = message
      known.failed = ''
    },
    failed: (message) => {
      known.failed = message.text
    },
    log: (entries) => {
      known.log = (isLogDue ? [...entries] : [...known.log, ...entries]).slice(-MAX_LOG)
      if (!isLogDue) happened(entries)
      isLogDue = false
    },
  }

  const close = () => {
    clearTimeout(retry)
    source?.close()
    source = undefined
  }

  const open = () => {
    close()
    if (document.visibilityState === 'hidden') return
    const since = isLogDue ? undefined : known.log.at(-1)?.id
    const query = new URLSearchParams({ ...look, ...(since === undefined ? {} : { since: String(since) }) })
    const opened = new EventSource(`/stream?${query}`)
    source = opened
    for (const [type, take] of Object.entries(takes)) {
      opened.addEventListener(type, (event) => {
        known.connection = 'live'
        take(JSON.parse(/** @type {MessageEvent<string>} */ (event).data))
        changed()
      })
    }
    opened.onerror = () => {
      known.connection = 'lost'
      changed()
      // The browser tries again by itself, but not after a refusal.
      close()
      isLogDue = true
      retry = setTimeout(open, RETRY_MS)
    }
  }

  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'hidden') isLogDue = true
    open()
  })

  return {
    known,
    /** From now on, this beside the cluster. @param {Record<string, string>} wanted */
    look: (wanted) => {
      if (source !== undefined && JSON.stringify(wanted) === JSON.stringify(look)) return
      if (wanted.node !== look.node)
        Object.assign(known, { node: undefined, points: [], dht: undefined, processes: undefined })
      if (wanted.process !== look.process) known.process = undefined
      known.failed = ''
      look = wanted
      open()
    },
  }
}
