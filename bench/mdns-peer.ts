/** A node on a host of the LAN of the mDNS benchmark: starts and stops when told, and says when it saw the other. */
import { type SkeinNode, startNode } from 'skein'

interface Command {
  readonly command: 'start' | 'stop'
  readonly name: string
  readonly cookie: string
}

/** Milliseconds on the clock that all processes of a machine share. */
const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6

let node: SkeinNode | undefined

const start = async ({ name, cookie }: Command): Promise<void> => {
  const startedMs = nowMs()
  const started = await startNode({
    name,
    cookie,
    port: 0,
    discovery: { mdns: true, dht: false, seeds: [] },
    logLevel: 'silent',
  })
  node = started
  for await (const event of started.events) {
    if (event.type === 'nodeup') process.send?.({ type: 'up', startedMs, atMs: nowMs() })
    else if (event.type === 'discovered' && event.sources.includes('mdns'))
      process.send?.({ type: 'seen', startedMs, atMs: nowMs() })
  }
}

process.on('message', (message: Command) => {
  if (message.command === 'start') void start(message)
  else void node?.stop().then(() => process.send?.({ type: 'stopped' }))
})
process.once('disconnect', () => process.exit(0))
process.send?.({ type: 'ready' })
