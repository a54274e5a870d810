/** A plain UDP program on a host of the laboratory: opens ports, sends, and tells what it receives from where. */
import { UdpSocket } from '../../transport/socket.ts'
import { serve } from './child.ts'

export type UdpCommand =
  /** `host` is to bind to, by default all of IPv4. */
  | { readonly do: 'open'; readonly port: number; readonly host?: string }
  | {
      readonly do: 'send'
      readonly from: number
      readonly to: { readonly address: string; readonly port: number }
      readonly text: string
      /** So many routers and no further. */
      readonly hops?: number
    }

/** A datagram came in at `port`. */
export interface UdpReport {
  readonly port: number
  readonly from: { readonly address: string; readonly port: number }
  readonly text: string
}

const sockets = new Map<number, UdpSocket>()

const open = async (port: number, host = '0.0.0.0'): Promise<void> => {
  const socket = await UdpSocket.open(host, port, (text, address, fromPort) => {
    server.report({ port, from: { address, port: fromPort }, text: text.toString() })
  })
  sockets.set(port, socket)
}

const send = ({ from, to, text, hops }: Extract<UdpCommand, { do: 'send' }>): void => {
  const bytes = Buffer.from(text)
  if (hops === undefined) sockets.get(from)?.send(bytes, to.address, to.port)
  else sockets.get(from)?.sendNear(bytes, to.address, to.port, hops)
}

const server = serve<UdpCommand, UdpReport>((command) =>
  command.do === 'open' ? open(command.port, command.host) : send(command),
)
