/** What tests of services share: channels of one's own on simulated nodes, and processes that only wait. */
import type { Pid, Self, SkeinNode } from '../../../src/index.ts'
import { Channel, type ChannelHandler, type ChannelHost, type ChannelPeer } from '../../../src/services/channel.ts'

type Refusal = Parameters<ChannelHost['refused']>[0]

/** A channel on a node, and everything that its handler was told. */
export class Ear {
  readonly channel: Channel
  readonly log: string[] = []
  readonly refusals: Refusal[] = []
  readonly defects: unknown[] = []
  /** Called with each message; may throw. */
  onMessage: ((peer: ChannelPeer, message: unknown) => void) | undefined

  constructor(node: SkeinNode, service: string, also: Partial<ChannelHandler> = {}) {
    const host: ChannelHost = {
      hidden: false,
      spawn: (behaviour, options) => node.spawnWith(options, behaviour),
      connected: (name) => node.connectedNodes().find((each) => each.name === name),
      refused: (refusal) => this.refusals.push(refusal),
      defect: (error) => this.defects.push(error),
    }
    this.channel = new Channel(service, host, {
      peerUp: (peer) => {
        this.log.push(`up ${short(peer)}`)
        also.peerUp?.(peer)
      },
      received: (peer, message) => {
        also.received?.(peer, message)
        if (also.received === undefined) this.log.push(`${short(peer)}: ${JSON.stringify(message)}`)
        this.onMessage?.(peer, message)
      },
      peerDown: (peer) => {
        this.log.push(`down ${short(peer)}`)
        also.peerDown?.(peer)
      },
    })
  }

  /** The peer on the host of this name. */
  peer(name: string): ChannelPeer {
    const peer = this.channel.peers().find((each) => short(each) === name)
    if (peer === undefined) throw new Error(`no peer ${name}`)
    return peer
  }
}

const short = ({ node }: ChannelPeer): string => node.slice(0, node.indexOf('@'))

/** A process that waits; with `trap` it notes the exit signals it gets. */
export const waiter = (node: SkeinNode, trap?: unknown[]): Pid =>
  node.spawn(async (self: Self) => {
    self.trapExit = trap !== undefined
    for await (const message of self) trap?.push(message)
  }) as Pid
