/** Floods a port with junk: what looks like KRPC and is none, or what the port drops at first sight. */
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { serve } from './peer.ts'

const EVERY_MS = 2
const VARIETY = 1024

const text = (value: string | Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${value.length}:`), typeof value === 'string' ? Buffer.from(value) : value])
const join = (...parts: readonly (string | Buffer)[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)))

/** One of each: questions beyond the rate, answers nobody asked for, broken and deep bencode, a put without leave. */
const KRPC = [
  () => join('d1:ad2:id', text(randomBytes(20)), 'e1:q4:ping1:t', text(randomBytes(4)), '1:y1:qe'),
  () => join('d1:ad2:id', text(randomBytes(20)), '6:target', text(randomBytes(20)), 'e1:q9:find_node1:t2:aa1:y1:qe'),
  () =>
    join(
      'd1:rd2:id',
      text(randomBytes(20)),
      '5:nodes',
      text(randomBytes(208)),
      'e1:t',
      text(randomBytes(4)),
      '1:y1:re',
    ),
  () => join('d1:', randomBytes(100), 'e'),
  () => join('d1:a', 'l'.repeat(200), 'e'.repeat(200), 'e'),
  () =>
    join(
      ...['d1:ad2:id', text(randomBytes(20)), '1:k', text(randomBytes(32)), '3:seqi1e3:sig', text(randomBytes(64))],
      ...['5:token', text(randomBytes(8)), '1:v', text(randomBytes(200)), 'e1:q3:put1:t2:aa1:y1:qe'],
    ),
]

await serve(async ({ port, kind, perSecond }) => {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  const datagrams = Array.from({ length: VARIETY }, (_, i) => {
    const datagram = KRPC[i % KRPC.length]!()
    // As long, but told from KRPC by the second byte.
    if (kind === 'plain') datagram[1] = 0x21
    return datagram
  })
  const start = performance.now()
  let sent = 0
  const timer = setInterval(() => {
    const due = ((performance.now() - start) / 1000) * (perSecond as number)
    for (; sent < due; sent++) socket.send(datagrams[sent % VARIETY]!, port as number, '127.0.0.1')
  }, EVERY_MS)
  return {
    ready: {},
    stop: async () => {
      clearInterval(timer)
      socket.close()
    },
  }
})
