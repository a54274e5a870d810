/**
 * Whether a node can have its UDP port, and who has it if not; and how much room the kernel gives to the socket.
 */
import { readFile } from 'node:fs/promises'
import { isSkeinError } from '../../certs/errors.ts'
import { UdpSocket } from '../../transport/socket.ts'
import type { Config } from '../config.ts'
import { type Finding, failed, ok, warning } from './finding.ts'
import { holderOf, type PortHolder } from './port-holder.ts'

const MEBIBYTE = 1 << 20
/** What transport/socket.ts asks for, and the least it is content with. */
const ASKED_BYTES = 8 * MEBIBYTE
const LEAST_BYTES = MEBIBYTE
/** Linux keeps its own records in the same room and tells twice of what can be used (socket(7)). */
const LINUX_FACTOR = 2

export interface PortParts {
  /** Whether a node of the DHT answers on this port of this machine. */
  readonly answers: (port: number) => Promise<boolean>
  readonly holder: (port: number) => Promise<PortHolder | undefined>
}

/** `answers` is asked only where the port is taken. */
export const checkPort = async (
  config: Pick<Config, 'host' | 'port' | 'portFallback'>,
  { answers, holder = holderOf }: Pick<PortParts, 'answers'> & Partial<PortParts>,
): Promise<readonly Finding[]> => {
  const { port, portFallback } = config
  try {
    await (await open(config, port)).close()
    return [ok('port', port === 0 ? 'A UDP port can be bound' : `UDP port ${port} can be bound`)]
  } catch (error) {
    if (!isSkeinError(error, 'ERR_SKEIN_PORT_BUSY')) return [cannotBind(error, port)]
  }
  const [who, isNode] = await Promise.all([holder(port), answers(port)])
  const what = `UDP port ${port} is held by ${describe(who)}`
  if (isNode) {
    return [ok('port', `${what}, and a Skein node or another node of a DHT answers there`, portFallback ? ANY : SECOND)]
  }
  const find = who?.processId === undefined ? `${findCommand(port)} shows who it is. ` : ''
  const choose = `${find}End that program, or choose another port with --port or SKEIN_PORT.`
  return portFallback
    ? [warning('port', what, `It answers as no Skein node does. ${ANY}`, choose)]
    : [failed('port', what, 'It answers as no Skein node does, and a chosen port has no substitute.', choose)]
}

const ANY = 'A node that was given no port takes any free one instead.'
const SECOND = 'A second node needs a port of its own, or 0 for any free one.'

const describe = (who: PortHolder | undefined): string => {
  if (who === undefined) return 'another program'
  if (who.processId === undefined) return `a program of user ${who.userId}`
  return `process ${who.processId}${who.command === undefined ? '' : ` (${who.command})`}`
}

const findCommand = (port: number): string => {
  if (process.platform === 'win32') return `netstat -ano -p UDP | findstr :${port}`
  return process.platform === 'linux' ? `sudo ss -ulnp 'sport = :${port}'` : `sudo lsof -nP -iUDP:${port}`
}

const cannotBind = (error: unknown, port: number): Finding => {
  const message = isSkeinError(error) ? error.message : String(error)
  const isForbidden = /\b(?:EACCES|EPERM)\b/.test(message)
  const remedy =
    isForbidden || (port > 0 && port < 1024)
      ? 'Choose another port: those below 1024 need a privilege, and Windows keeps some ranges for itself.'
      : 'Give --host an address of this machine, or leave it out.'
  return failed('port', message, 'The system refuses the socket that every node needs.', remedy)
}

export interface BufferFacts {
  /** As the system tells them. */
  readonly receiveBytes: number
  readonly sendBytes: number
  /** Datagrams that were dropped since the machine started because a buffer was full; undefined where it is not told. */
  readonly dropped: number | undefined
}

/** What a socket of ours is given here. */
export const measureBuffers = async (config: Pick<Config, 'host'>): Promise<BufferFacts> => {
  const socket = await open(config, 0)
  const { receiveBytes, sendBytes } = socket.kernelBuffers()
  await socket.close()
  const dropped = droppedIn(await readFile('/proc/net/snmp', 'utf8').catch(() => ''))
  return { receiveBytes, sendBytes, dropped }
}

export const checkBuffers = (facts: BufferFacts, platform: string = process.platform): readonly Finding[] => {
  const factor = platform === 'linux' ? LINUX_FACTOR : 1
  const [receiveBytes, sendBytes] = [facts.receiveBytes / factor, facts.sendBytes / factor]
  const what = `The kernel gives ${size(receiveBytes)} to receive and ${size(sendBytes)} to send, of ${size(ASKED_BYTES)} asked for`
  const lost =
    facts.dropped === undefined
      ? ''
      : `${facts.dropped} datagrams were lost for want of room since the start of the machine.`
  if (Math.min(receiveBytes, sendBytes) >= LEAST_BYTES) return [ok('buffers', what, lost === '' ? undefined : lost)]
  return [
    warning(
      'buffers',
      `${what}: small socket buffers`,
      `A burst that comes while the program is busy is lost and sent again, which costs throughput. ${lost}`.trim(),
      enlarge(platform),
    ),
  ]
}

const enlarge = (platform: string): string => {
  if (platform === 'linux') {
    return `sudo sysctl -w net.core.rmem_max=${ASKED_BYTES} net.core.wmem_max=${ASKED_BYTES}, and the same in /etc/sysctl.d for the next start.`
  }
  if (platform === 'darwin') return `sudo sysctl -w kern.ipc.maxsockbuf=${2 * ASKED_BYTES}`
  return 'Raise the limit that the system sets to the buffers of sockets.'
}

const size = (bytes: number): string =>
  bytes >= MEBIBYTE ? `${Number((bytes / MEBIBYTE).toFixed(1))} MiB` : `${Math.round(bytes / 1024)} KiB`

/** RcvbufErrors of the row Udp (proc(5), /proc/net/snmp): names in one line, figures in the next. */
export const droppedIn = (text: string): number | undefined => {
  const [names, figures] = text.split('\n').filter((line) => line.startsWith('Udp: '))
  const column = names?.split(' ').indexOf('RcvbufErrors') ?? -1
  const figure = column < 0 ? undefined : figures?.split(' ')[column]
  return figure === undefined ? undefined : Number(figure)
}

/** As a node does: both families where nobody chose an address, IPv4 alone where the machine has no IPv6. */
const open = async ({ host }: Pick<Config, 'host'>, port: number): Promise<UdpSocket> => {
  try {
    return await UdpSocket.open(host ?? '::', port, () => {})
  } catch (error) {
    if (host !== undefined || !isSkeinError(error, 'ERR_SKEIN_BIND')) throw error
    return UdpSocket.open('0.0.0.0', port, () => {})
  }
}
