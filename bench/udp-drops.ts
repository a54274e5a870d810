/** What the kernel dropped before a program saw it, because the buffer of its socket was full. Linux only; elsewhere 0. */
import { readFileSync } from 'node:fs'

/** Datagrams that were dropped before the UDP sockets on this port, since they were opened. */
export const kernelDrops = (port: number): number => {
  if (process.platform !== 'linux') return 0
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  return readFileSync('/proc/net/udp', 'utf8')
    .split('\n')
    .filter((line) => line.trim().split(/\s+/)[1]?.endsWith(`:${hex}`))
    .reduce((sum, line) => sum + Number(line.trim().split(/\s+/).at(-1)), 0)
}
