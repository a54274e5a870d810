/**
 * A peer whose packets the test writes itself. A real one makes the connection, through a relay; the key log of its engine
 * gives the secrets of TLS. From `takeOver` on the relay carries nothing of the real one any more: the test seals
 * whatever frames it likes, sends them from the same address, and opens what the node answers.
 *
 * Which rights it has depends on who made the connection: a bare port with the gate's key holds the cookie and has proven
 * nothing, `Rogue` (test/e2e/support.ts) is a member.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config, Connection } from '@matrixai/quic/native/types.js'
import type { Address } from '../../transport/address.ts'
import { Relay, until } from '../transport/quic-support.ts'
import { type ReadFrame, readFrames } from './crafted-frames.ts'
import { type OpenedPacket, PacketKeys, type Suite } from './packet-protection.ts'
import type { TestContext } from './suite.ts'

const ID_BYTES = 16
const SHORT_HEADER_BYTES = 1 + ID_BYTES
const KEY_PHASE = 0x04
/** Above all numbers that the real peer used. */
const FIRST_NUMBER = 100_000
/** Packets handed to the socket before it is waited for. */
const BATCH = 32
const SUITES: readonly Suite[] = ['aes-128-gcm', 'chacha20-poly1305', 'aes-256-gcm']

/** Where the engine is told to write the secrets of every connection that this process makes from now on. */
const logKeys = async (t: Pick<TestContext, 'defer'>): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-keys-'))
  const file = join(folder, 'keys')
  const { default: native } = await import('@matrixai/quic/native/quiche.js')
  const { Config: PlainConfig, Connection: PlainConnection } = native
  t.defer(() => {
    native.Config = PlainConfig
    native.Connection = PlainConnection
    return rm(folder, { recursive: true, force: true })
  })
  native.Config = Object.create(PlainConfig, {
    withBoringSslCtx: {
      value: (...args: Parameters<typeof PlainConfig.withBoringSslCtx>): Config => {
        const config = PlainConfig.withBoringSslCtx(...args)
        config.logKeys()
        return config
      },
    },
  })
  native.Connection = Object.create(PlainConnection, {
    connect: {
      value: (...args: Parameters<typeof PlainConnection.connect>): Connection => {
        const connection = PlainConnection.connect(...args)
        connection.setKeylog(file)
        return connection
      },
    },
    // A static method of a native class wants that class as its `this`.
    accept: { value: PlainConnection.accept.bind(PlainConnection) },
  })
  return file
}

const secretIn = (log: string, label: string): Buffer => {
  const line = log.split('\n').find((candidate) => candidate.startsWith(`${label} `))
  if (line === undefined) throw new Error(`the key log has no ${label}`)
  return Buffer.from(line.split(' ')[2]!, 'hex')
}

export class CraftedPeer {
  readonly relay: Relay
  /** Frames of the packets that came since the take-over, oldest first. */
  readonly frames: ReadFrame[] = []
  /** The same by packets. */
  readonly packets: (OpenedPacket & { readonly frames: readonly ReadFrame[]; readonly bytes: number })[] = []
  /** Datagrams that did not open: stateless resets, or of other keys. */
  readonly unopened: Buffer[] = []
  /** The node's id for this connection. */
  nodeId: Buffer
  largestHeard = -1
  #number = FIRST_NUMBER
  #phase = 0
  #sending: PacketKeys
  #opening: PacketKeys
  #earlierOpening: PacketKeys | undefined
  /** Called with each packet; may answer. */
  onPacket: (frames: readonly ReadFrame[], number: number) => void = () => {}

  private constructor(relay: Relay, nodeId: Buffer, sending: PacketKeys, opening: PacketKeys) {
    this.relay = relay
    this.nodeId = nodeId
    this.#sending = sending
    this.#opening = opening
  }

  /** `connect` dials the address it is given and resolves when it is as far as the test wants it. */
  static async takeOver(
    t: Pick<TestContext, 'defer'>,
    node: Address,
    connect: (relay: Address) => Promise<unknown>,
  ): Promise<CraftedPeer> {
    const file = await logKeys(t)
    const relay = await Relay.open(t, node)
    let toNode: Buffer | undefined
    let toPeer: Buffer | undefined
    relay.passes = (bytes, direction) => {
      if (bytes[0]! < 0x80 && direction === 'toServer') toNode = Buffer.from(bytes)
      else if (bytes[0]! < 0x80) toPeer = Buffer.from(bytes)
      return true
    }
    await connect(relay.address)
    await until(() => toNode !== undefined && toPeer !== undefined, 'short headers both ways')
    const log = await readFile(file, 'utf8')
    const secrets = [secretIn(log, 'CLIENT_TRAFFIC_SECRET_0'), secretIn(log, 'SERVER_TRAFFIC_SECRET_0')] as const
    const sample = toPeer as unknown as Buffer
    const suite = SUITES.find(
      (name) =>
        (secrets[1].length === 48) === (name === 'aes-256-gcm') &&
        new PacketKeys(secrets[1], name).open(sample, SHORT_HEADER_BYTES, 0) !== undefined,
    )
    if (suite === undefined) throw new Error('no suite opens what the node sent')
    const [sending, opening] = secrets.map((secret) => new PacketKeys(secret, suite)) as [PacketKeys, PacketKeys]
    const nodeId = (toNode as unknown as Buffer).subarray(1, SHORT_HEADER_BYTES)
    const peer = new CraftedPeer(relay, nodeId, sending, opening)
    peer.largestHeard = opening.open(sample, SHORT_HEADER_BYTES, 0)!.number
    relay.passes = (bytes, direction) => {
      if (direction === 'toClient') peer.#hear(bytes)
      return false
    }
    return peer
  }

  /** A packet with these frames. Its number is the next one, or as given. */
  seal(frames: Uint8Array, number = this.#number++): Buffer {
    const header = Buffer.alloc(SHORT_HEADER_BYTES + 4)
    header[0] = 0x43 | (this.#phase === 1 ? KEY_PHASE : 0)
    header.set(this.nodeId, 1)
    header.writeUInt32BE(number, SHORT_HEADER_BYTES)
    return this.#sending.seal(header, number, frames)
  }

  /** Sends frames in a packet of their own; resolves when the kernel has it. */
  send(...frames: readonly Uint8Array[]): Promise<void> {
    return this.relay.inject(this.seal(Buffer.concat(frames)))
  }

  /** Sends as many packets; `make` gives the frames of each. Ends early when `goesOn` says so. */
  async flood(count: number, make: (index: number) => Uint8Array, goesOn: () => boolean = () => true): Promise<number> {
    let sent = 0
    while (sent < count && goesOn()) {
      const until = Math.min(count, sent + BATCH)
      const under: Promise<void>[] = []
      for (; sent < until; sent++) under.push(this.relay.inject(this.seal(make(sent))))
      await Promise.all(under)
      // What the node answers is to be heard.
      await new Promise((resolve) => setImmediate(resolve))
    }
    return sent
  }

  /** Seals with the keys of the next phase from now on (RFC 9001 6), and opens with them as well. */
  updateKeys(): void {
    this.#sending = this.#sending.next()
    this.#earlierOpening = this.#opening
    this.#opening = this.#opening.next()
    this.#phase ^= 1
  }

  #hear(datagram: Buffer): void {
    if (datagram[0]! >= 0x80) return
    const packet =
      this.#opening.open(datagram, SHORT_HEADER_BYTES, this.largestHeard) ??
      this.#earlierOpening?.open(datagram, SHORT_HEADER_BYTES, this.largestHeard)
    if (packet === undefined) {
      this.unopened.push(datagram)
      return
    }
    this.largestHeard = Math.max(this.largestHeard, packet.number)
    const frames = readFrames(packet.payload)
    this.packets.push({ ...packet, frames, bytes: datagram.length })
    this.frames.push(...frames)
    this.onPacket(frames, packet.number)
  }
}
