/**
 * How this machine's router is found and asked: which it is, a question by UDP with repetitions, a search by SSDP, a
 * request by HTTP.
 *
 * All of it is bounded in time and size and ends at once when the signal says so. Only who was asked is listened to:
 * a connected socket drops what others send. Errors are for people: they become a status, never more.
 */
import { createSocket, type Socket } from 'node:dgram'
import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import type { Address } from '../../../transport/address.ts'
import type { Clock } from '../../../transport/clock.ts'
import { noLookup } from '../../../transport/socket.ts'

/** A description of a router with all its services has some 20 KiB. */
const MAX_HTTP_BYTES = 128 * 1024
const MAX_SSDP_BYTES = 2048
/** Answers to one search. */
const MAX_FOUND = 8

export interface Asking {
  readonly clock: Clock
  readonly signal: AbortSignal
}

/**
 * Asks until an answer is accepted: repeated after each of these pauses, and given up after the last. `ask` gets the
 * address that the question is sent from. Rejects with an error for people.
 */
export const askByUdp = <T>(
  to: Address,
  { clock, signal }: Asking,
  pausesMs: readonly number[],
  ask: (localHost: string) => Uint8Array,
  accept: (answer: Uint8Array) => T | undefined,
): Promise<T> =>
  withSocket(signal, (socket, settle) => {
    let timer = clock.after(0, () => {}, true)
    const send = (turn: number): void => {
      const pauseMs = pausesMs[turn]
      if (pauseMs === undefined) return settle.reject(new Error(`no answer from ${to.host}`))
      socket.send(ask(socket.address().address))
      timer = clock.after(pauseMs, () => send(turn + 1), true)
    }
    socket.on('message', (bytes) => {
      const answer = accept(bytes)
      if (answer !== undefined) settle.resolve(answer)
    })
    // Not as a callback, which would get the errors.
    socket.once('connect', () => send(0))
    socket.connect(to.port, to.host)
    return () => timer.cancel()
  })

/** The address this machine sends from when it sends there; nothing is sent. Rejects where there is no way. */
export const sourceHost = (signal: AbortSignal, to: Address): Promise<string> =>
  withSocket(signal, (socket, settle) => {
    socket.once('connect', () => settle.resolve(socket.address().address))
    socket.connect(to.port, to.host)
    return () => {}
  })

export interface SsdpAnswer {
  /** Who answered. */
  readonly host: string
  readonly location: string
}

/** Whoever answers a search for one of these targets until the time is over, or soon after the first did. */
export const searchBySsdp = (
  to: Address,
  { clock, signal }: Asking,
  targets: readonly string[],
  localHost: string,
  timeoutMs: number,
): Promise<readonly SsdpAnswer[]> =>
  withSocket(signal, (socket, settle) => {
    const found: SsdpAnswer[] = []
    const end = (): void => settle.resolve(found)
    const over = clock.after(timeoutMs, end, true)
    let soon: ReturnType<Clock['after']> | undefined
    const search = (): void => {
      for (const target of targets) socket.send(searchText(to, target), to.port, to.host)
    }
    // Once more: both the question and its answers may be lost.
    const again = clock.after(timeoutMs / 3, search, true)
    socket.on('message', (bytes, { address: host }) => {
      const location = locationIn(bytes)
      if (location === undefined || found.length >= MAX_FOUND) return
      found.push({ host, location })
      soon ??= clock.after(timeoutMs / 6, end, true)
    })
    socket.once('listening', () => {
      try {
        if (isMulticast(to.host)) socket.setMulticastInterface(localHost)
        socket.setMulticastTTL(SSDP_TTL)
        search()
      } catch (error) {
        // The interface went away.
        settle.reject(error as Error)
      }
    })
    socket.bind({ address: localHost, port: 0 })
    return () => {
      for (const timer of [over, again, soon]) timer?.cancel()
    }
  })

/** UPnP Device Architecture 1.1, section 1.3.2. */
const SSDP_TTL = 2

const isMulticast = (host: string): boolean => host.startsWith('239.')

const searchText = ({ host, port }: Address, target: string): string =>
  ['M-SEARCH * HTTP/1.1', `HOST: ${host}:${port}`, 'MAN: "ssdp:discover"', 'MX: 1', `ST: ${target}`, '', ''].join(
    '\r\n',
  )

/** Where who answered a search may be asked for more; undefined for what is no answer. */
export const locationIn = (bytes: Uint8Array): string | undefined => {
  if (bytes.length > MAX_SSDP_BYTES) return undefined
  const [first = '', ...lines] = Buffer.from(bytes).toString('latin1').split('\r\n')
  if (!/^HTTP\/1\.\d 200/.test(first)) return undefined
  const line = lines.find((one) => one.slice(0, 9).toLowerCase() === 'location:')
  return line?.slice(9).trim()
}

export interface HttpAnswer {
  readonly status: number
  readonly text: string
}

/** One request to a literal address, without redirections. Rejects with an error for people. */
export const askByHttp = (
  url: URL,
  { clock, signal }: Asking,
  timeoutMs: number,
  post?: { readonly headers: Readonly<Record<string, string>>; readonly body: string },
): Promise<HttpAnswer> =>
  new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    let sizeBytes = 0
    const method = post === undefined ? 'GET' : 'POST'
    const headers = { ...post?.headers, connection: 'close' }
    const asked = request(url, { method, headers, agent: false, lookup: noLookup as never })
    const fail = (why: string): void => {
      timer.cancel()
      asked.destroy()
      reject(new Error(`${url.host} ${why}`))
    }
    const timer = clock.after(timeoutMs, () => fail('did not answer in time'), true)
    const abort = (): void => fail('was not waited for')
    signal.addEventListener('abort', abort, { once: true })
    asked.on('close', () => signal.removeEventListener('abort', abort))
    asked.on('error', ({ message }) => fail(`failed: ${message}`))
    asked.on('response', (answer) => {
      answer.on('error', ({ message }) => fail(`failed: ${message}`))
      answer.on('data', (part: Buffer) => {
        sizeBytes += part.length
        if (sizeBytes > MAX_HTTP_BYTES) fail('sent too much')
        else parts.push(part)
      })
      answer.on('end', () => {
        timer.cancel()
        resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') })
      })
    })
    if (signal.aborted) abort()
    else asked.end(post?.body)
  })

/**
 * The router of the default route, on Linux, which tells in a file; elsewhere nobody can say without starting a program,
 * and the router is found by SSDP alone.
 */
export const defaultGateway = async (): Promise<string | undefined> => {
  try {
    return gatewayIn(await readFile('/proc/net/route', 'utf8'))
  } catch {
    return undefined
  }
}

const IS_GATEWAY = 2

/** In the text of /proc/net/route: of the routes to anywhere that of the lowest metric. */
export const gatewayIn = (routes: string): string | undefined => {
  const rows = routes.split('\n').slice(1)
  const defaults = rows.flatMap((row) => {
    const [, destination, gateway = '', flags = '', , , metric, mask] = row.split('\t').map((cell) => cell.trim())
    const isDefault = destination === '00000000' && mask === '00000000' && /^[\dA-F]{8}$/.test(gateway)
    return isDefault && (Number.parseInt(flags, 16) & IS_GATEWAY) !== 0 ? [{ gateway, metric: Number(metric) }] : []
  })
  const [best] = defaults.sort((a, b) => a.metric - b.metric)
  // The kernel's own byte order, which is little-endian wherever Node runs but on s390x.
  return best && Buffer.from(best.gateway, 'hex').reverse().join('.')
}

interface Settle<T> {
  resolve(value: T): void
  reject(error: Error): void
}

/** A socket for the time of one question. `use` gives what is to be undone at the end. */
const withSocket = <T>(signal: AbortSignal, use: (socket: Socket, settle: Settle<T>) => () => void): Promise<T> =>
  new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new Error('not asked any more'))
    const socket = createSocket({ type: 'udp4', lookup: noLookup as never })
    let isOver = false
    let undo: (() => void) | undefined
    const end = (then: () => void): void => {
      if (isOver) return
      isOver = true
      signal.removeEventListener('abort', abort)
      undo?.()
      socket.close()
      then()
    }
    const abort = (): void => end(() => reject(new Error('not waited for')))
    signal.addEventListener('abort', abort, { once: true })
    // Mostly an ICMP answer: nobody listens there.
    socket.on('error', (error: NodeJS.ErrnoException) => end(() => reject(new Error(error.code ?? error.message))))
    try {
      undo = use(socket, {
        resolve: (value) => end(() => resolve(value)),
        reject: (error) => end(() => reject(error)),
      })
    } catch (error) {
      // A port that is none.
      end(() => reject(error))
    }
  })
