/** The far end of js-libp2p: sends back, counts messages, counts bytes. */
import { serve } from '../peer.ts'
import {
  BYTES,
  ECHO,
  type Libp2pCarrier,
  type Libp2pStream,
  MESSAGES,
  messageStream,
  startLibp2p,
} from './libp2p-node.ts'

/** The first message says how many follow; the answer comes after the last one. */
const countMessages = async (stream: Libp2pStream): Promise<void> => {
  const messages = await messageStream(stream)
  const count = Number(Buffer.from((await messages.read()).subarray()).toString())
  for (let i = 0; i < count; i++) await messages.read()
  await messages.write(Buffer.from('done'))
  await stream.close()
}

const countBytes = async (stream: Libp2pStream): Promise<void> => {
  let bytes = 0
  for await (const chunk of stream.source) bytes += chunk.byteLength
  await stream.sink([Buffer.from(String(bytes))])
}

await serve(async ({ carrier }) => {
  const node = await startLibp2p(carrier as Libp2pCarrier)
  const failed = (error: unknown): void => void process.stderr.write(`libp2p: ${String(error)}\n`)
  await node.handle(ECHO, ({ stream }) => void stream.sink(stream.source).catch(failed))
  await node.handle(MESSAGES, ({ stream }) => void countMessages(stream).catch(failed))
  await node.handle(BYTES, ({ stream }) => void countBytes(stream).catch(failed))
  return { ready: { address: String(node.getMultiaddrs()[0]) }, stop: () => node.stop() }
})
