/**
 * Whether the router would open a port: one question to the default gateway, by NAT-PMP (RFC 6886). Nothing is mapped.
 */
import { createSocket } from 'node:dgram'
import { readFile } from 'node:fs/promises'
import type { Clock } from '../../transport/clock.ts'
import { type Finding, ok, skipped, warning } from './finding.ts'

const PORT = 5351
/** Version 0, operation 0: the public address, please (RFC 6886 section 3.2). */
const QUESTION = Uint8Array.of(0, 0)
const ANSWER_BYTES = 12
const ANSWER_OPERATION = 128
/** RFC 6886 section 3.1 doubles the pause from 250 ms; three tries are enough to know. */
const ASK_AT_MS = [0, 250, 750]
const LISTEN_MS = 1750

export const checkPortMapping = async (
  clock: Clock,
  isWanted: boolean,
  findGateway: () => Promise<string | undefined> = defaultGateway,
  port = PORT,
): Promise<readonly Finding[]> => {
  if (!isWanted) return [skipped('port mapping', 'The router is asked only with --port-mapping.')]
  const gateway = await findGateway()
  if (gateway === undefined)
    return [skipped('port mapping', 'This machine has no default gateway for IPv4 that could be asked.')]
  const answer = await askGateway(clock, gateway, port)
  if (answer?.result === 0)
    return [ok('port mapping', `The router ${gateway} maps ports (NAT-PMP); its public address is ${answer.host}`)]
  const what =
    answer === undefined
      ? `The router ${gateway} does not answer NAT-PMP.`
      : `The router ${gateway} refuses NAT-PMP (result ${answer.result}).`
  const why = 'A node behind it has to be brought together with others by members, or relayed.'
  return [
    warning(
      'port mapping',
      what,
      why,
      "Switch on UPnP, NAT-PMP or PCP on the router, or forward the node's UDP port by hand.",
    ),
  ]
}

interface GatewayAnswer {
  readonly result: number
  readonly host: string
}

const askGateway = (clock: Clock, gateway: string, port: number): Promise<GatewayAnswer | undefined> =>
  new Promise((resolve) => {
    const socket = createSocket('udp4')
    const end = (answer: GatewayAnswer | undefined): void => {
      for (const timer of timers) timer.cancel()
      socket.removeAllListeners()
      socket.on('error', () => {})
      socket.close()
      resolve(answer)
    }
    socket.on('error', () => end(undefined))
    socket.on('message', (datagram, from) => {
      if (from.address !== gateway || datagram.length < ANSWER_BYTES || datagram[0] !== 0) return
      if (datagram[1] !== ANSWER_OPERATION) return
      end({ result: datagram.readUInt16BE(2), host: datagram.subarray(8, ANSWER_BYTES).join('.') })
    })
    const ask = (): void => socket.send(QUESTION, port, gateway, () => {})
    const timers = [...ASK_AT_MS.map((atMs) => clock.after(atMs, ask)), clock.after(LISTEN_MS, () => end(undefined))]
  })

const defaultGateway = async (): Promise<string | undefined> =>
  gatewayIn(await readFile('/proc/net/route', 'utf8').catch(() => ''))

/** The gateway of the route to everywhere (proc(5)): figures are hexadecimal, the lowest byte of an address first. */
export const gatewayIn = (routes: string): string | undefined => {
  for (const row of routes.split('\n').slice(1)) {
    const [, destination, gateway] = row.trim().split(/\s+/)
    if (destination !== '00000000' || gateway === undefined || gateway === '00000000') continue
    return [...Buffer.from(gateway, 'hex')].reverse().join('.')
  }
  return undefined
}
