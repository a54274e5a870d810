/**
 * Who may see the page: which requests are answered at all.
 *
 * The name that a browser asked for (Host) must be this machine: otherwise a page of anybody could make its own name lead
 * here and read what we answer (DNS rebinding). A token, where there is one, comes once in the address and then as a cookie
 * that scripts cannot read. Sans-io.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'

/** Requests of all clients together: a page loads some ten files, and asks once for each click. */
const MAX_BURST = 200
const REQUESTS_PER_SECOND = 40
const MAX_COOKIE_TEXT = 4096

/** Of requests: so many at once, so many each second. */
export class RequestBudget {
  #left = MAX_BURST
  #atMs = 0

  take(nowMs: number): boolean {
    this.#left = Math.min(MAX_BURST, this.#left + ((nowMs - this.#atMs) / 1000) * REQUESTS_PER_SECOND)
    this.#atMs = nowMs
    if (this.#left < 1) return false
    this.#left--
    return true
  }
}

/** 127.0.0.0/8 and ::1. */
export const isLoopbackHost = (host: string): boolean => host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))

/** The name in a Host header is an address, or one of these names, and the port is ours: no name that others give away. */
export const isOwnHost = (header: string | undefined, port: number, names: readonly string[]): boolean => {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/\s]+))(?::(\d{1,5}))?$/.exec(header ?? '')
  if (match === null || Number(match[3] ?? 80) !== port) return false
  if (match[1] !== undefined) return isIP(match[1]) === 6
  const name = (match[2] ?? '').toLowerCase()
  return isIP(name) === 4 || names.includes(name)
}

/** In the same time however much of it is right. */
export const isToken = (said: string | undefined, token: string): boolean =>
  said !== undefined && timingSafeEqual(digest(said), digest(token))

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Of a Cookie header; undefined: there is none of this name. */
export const cookieNamed = (header: string | undefined, name: string): string | undefined =>
  (header ?? '')
    .slice(0, MAX_COOKIE_TEXT)
    .split(';')
    .map((pair) => pair.trim())
    .find((pair) => pair.startsWith(`${name}=`))
    ?.slice(name.length + 1)
