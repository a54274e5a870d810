/** The receiving node of the message benchmarks: a sink that counts what reached its mailbox, an echo for calls, and one for messages. */
import { type CallMessage, type From, type Pid, startNode } from 'skein'
import { serve } from './peer.ts'

await serve(async ({ cookie, maxDatagramBytes }) => {
  const node = await startNode({
    name: 'receiver@bench',
    cookie: cookie as string,
    host: '127.0.0.1',
    port: 0,
    discovery: false,
    ...(typeof maxDatagramBytes === 'number' ? { maxDatagramBytes } : {}),
  })
  // Counts messages until the number that a call announced, then answers that call.
  const sink = node.spawn(async (self) => {
    let wanted = Number.POSITIVE_INFINITY
    let got = 0
    let asker: From | undefined
    for await (const message of self) {
      const call = message as CallMessage
      if (call.type === 'call') {
        wanted = call.request as number
        asker = call.from
      } else got++
      if (got >= wanted && asker !== undefined) {
        self.reply(asker, got)
        wanted = Number.POSITIVE_INFINITY
        got = 0
        asker = undefined
      }
    }
  })
  const echo = node.spawn(async (self) => {
    for await (const message of self) {
      const call = message as CallMessage
      if (call.type === 'call') self.reply(call.from, call.request)
    }
  })
  // Tells who called last its id, and sends back to that caller what comes in plain messages.
  const partner = node.spawn(async (self) => {
    let other: Pid | undefined
    for await (const message of self) {
      const call = message as CallMessage
      if (call.type === 'call') {
        other = call.request as Pid
        self.reply(call.from, self.pid)
      } else if (other !== undefined) self.send(other, message)
    }
  })
  node.register('sink', sink)
  node.register('partner', partner)
  node.register('echo', echo)
  const address = node.addresses[0]!
  return { ready: { address: `${address.host}:${address.port}` }, stop: () => node.stop() }
})
