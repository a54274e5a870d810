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

const server = serve<UdpCommand, UdpReport>((command) => {
  if (command.do === 'open') return open(command.port)
  sockets.get(command.from)?.send(command.text, command.to.port, command.to.address)
  return undefined
})
