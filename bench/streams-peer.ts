/** The receiving node of the stream benchmarks: reads every stream to its end, counts messages, and echoes calls. */
import { type CallMessage, type From, type StreamMessage, startNode } from 'skein'
import { serve } from './peer.ts'

const readAll = async ({ readable }: StreamMessage): Promise<void> => {
  for await (const _ of readable);
}

await serve(async ({ cookie }) => {
  const node = await startNode({
    name: 'receiver@bench',
    cookie: cookie as string,
    host: '127.0.0.1',
    port: 0,
    discovery: false,
  })
  // A call asks for the pid, or announces how many messages come before its reply.
  const reader = node.spawn(async (self) => {
    let left = 0
    let asker: From | undefined
    for await (const message of self) {
      const { type } = message as CallMessage | StreamMessage
      if (type === 'stream') void readAll(message as StreamMessage)
      else if (type === 'call') {
        const { from, request } = message as CallMessage<number>
        if (request === 0) self.reply(from, self.pid)
        else [left, asker] = [request, from]
      } else if (--left === 0 && asker !== undefined) self.reply(asker, undefined)
    }
  })
  const echo = node.spawn(async (self) => {
    for await (const message of self) {
      const call = message as CallMessage
      if (call.type === 'call') self.reply(call.from, call.request)
    }
  })
  node.register('reader', reader)
  node.register('echo', echo)
  const address = node.addresses[0]!
  return { ready: { address: `${address.host}:${address.port}` }, stop: () => node.stop() }
})
