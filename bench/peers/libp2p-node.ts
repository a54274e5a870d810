/**
 * A js-libp2p node on loopback, over QUIC or over TCP with noise and yamux. Its packages are installed apart (package.json
 * beside this file) and so have no types here: these are the parts of their interfaces that the benchmark uses.
 *
 * Version 2 is the last one whose QUIC says it runs on Node 20. Small packages below it have moved on and want what came
 * with Node 22, so that is added in this process.
 */
import { existsSync } from 'node:fs'

export type Libp2pCarrier = 'quic' | 'tcp'

/** Uint8ArrayList or Uint8Array. */
export interface Bytes {
  readonly byteLength: number
  subarray(): Uint8Array
}

/** Duplex iterable, version 2. */
export interface Libp2pStream {
  readonly source: AsyncIterable<Bytes>
  sink(source: AsyncIterable<Bytes> | Iterable<Bytes>): Promise<void>
  close(): Promise<void>
}

/** Reads and writes with a promise each. */
export interface MessageStream {
  read(options?: { bytes: number }): Promise<Bytes>
  write(bytes: Uint8Array): Promise<void>
}

export interface Libp2pNode {
  handle(protocol: string, handler: (incoming: { stream: Libp2pStream }) => void): Promise<void>
  getMultiaddrs(): readonly { toString(): string }[]
  /** Over the connection that there is, or else a new one. */
  dialProtocol(address: unknown, protocol: string): Promise<Libp2pStream>
  stop(): Promise<void>
}

/** Small messages, one after the other. */
export const MESSAGES = '/bench/messages/1'
export const ECHO = '/bench/echo/1'
/** Bytes without bounds between them. */
export const BYTES = '/bench/bytes/1'

export const hasLibp2p = (): boolean =>
  ['libp2p', '@chainsafe/libp2p-quic'].every((name) => existsSync(new URL(`node_modules/${name}`, import.meta.url)))

const withResolvers = () => {
  let [resolve, reject] = [(_value: unknown): void => {}, (_reason: unknown): void => {}]
  const promise = new Promise((...both) => {
    ;[resolve, reject] = both
  })
  return { promise, resolve, reject }
}

// The name is not a literal, so that nothing but running it needs the package.
const load = async <T>(name: string): Promise<T> => (await import(name)) as T

export const startLibp2p = async (carrier: Libp2pCarrier): Promise<Libp2pNode> => {
  if (!('withResolvers' in Promise)) Object.defineProperty(Promise, 'withResolvers', { value: withResolvers })
  const { createLibp2p } = await load<{ createLibp2p(options: object): Promise<Libp2pNode> }>('libp2p')
  const { quic } = await load<{ quic(): unknown }>('@chainsafe/libp2p-quic')
  const { tcp } = await load<{ tcp(): unknown }>('@libp2p/tcp')
  const { noise } = await load<{ noise(): unknown }>('@chainsafe/libp2p-noise')
  const { yamux } = await load<{ yamux(): unknown }>('@chainsafe/libp2p-yamux')
  return createLibp2p({
    addresses: { listen: [carrier === 'quic' ? '/ip4/127.0.0.1/udp/0/quic-v1' : '/ip4/127.0.0.1/tcp/0'] },
    transports: [carrier === 'quic' ? quic() : tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    // Its heartbeat is not part of the work, and closes connections on a busy machine.
    connectionMonitor: { enabled: false },
  })
}

export const parseAddress = async (address: string): Promise<unknown> => {
  const { multiaddr } = await load<{ multiaddr(address: string): unknown }>('@multiformats/multiaddr')
  return multiaddr(address)
}

/** Messages with their length in front, as js-libp2p's own protocols have them. */
export const messageStream = async (stream: Libp2pStream): Promise<MessageStream> => {
  const { lpStream } = await load<{ lpStream(of: Libp2pStream): MessageStream }>('it-length-prefixed-stream')
  return lpStream(stream)
}

export const byteStream = async (stream: Libp2pStream): Promise<MessageStream> => {
  const { byteStream } = await load<{ byteStream(of: Libp2pStream): MessageStream }>('it-byte-stream')
  return byteStream(stream)
}
