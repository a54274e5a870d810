/** A plain UDP program on a host of the laboratory: opens sockets, sends, and tells what it receives from where. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { serve } from './child.ts'

export type UdpCommand =
  | { readonly do: 'open'; readonly port: number }
  | {
      readonly do: 'send'
      readonly from: number
      readonly to: { readonly address: string; readonly port: number }
      readonly text: string
      /** Time to live. */
      readonly hops?: number
    }

/** A datagram came in at `port`. */
export interface UdpReport {
  readonly port: number
  readonly from: { readonly address: string; readonly port: number }
  readonly text: string
}

const sockets = new Map<number, Socket>()

const open = async (port: number): Promise<void> => {
  const socket = createSocket('udp4')
  socket.bind(port)
  await once(socket, 'listening')
  // Unreachable is what a test may be about.
  socket.on('error', () => {})
  socket.on('message', (text, { address, port: fromPort }) => {
    server.report({ port, from: { address, port: fromPort }, text: text.toString() })
  })
  sockets.set(port, socket)
}

const USUAL_HOPS = 64

const send = async ({ from, to, text, hops = USUAL_HOPS }: Extract<UdpCommand, { do: 'send' }>): Promise<void> => {
  const socket = sockets.get(from)
  if (socket === undefined) return
  socket.setTTL(hops)
  // It goes out some time after this call, with the time to live of then.
  await new Promise((resolve) => socket.send(text, to.port, to.address, resolve))
}

const server = serve<UdpCommand, UdpReport>((command) => {
  return command.do === 'open' ? open(command.port) : send(command)
})
