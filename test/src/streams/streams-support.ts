/** What the tests of streams share: bytes that can be checked, and processes that keep what comes. */
import { isSkeinError } from '../../../certs/errors.ts'
import type { Pid, Self, SkeinNode, StreamMessage } from '../../../src/index.ts'

/** Bytes that tell their position. */
export const pattern = (sizeBytes: number, from = 0): Uint8Array => {
  const bytes = new Uint8Array(sizeBytes)
  for (let i = 0; i < sizeBytes; i++) bytes[i] = ((from + i) * 31 + ((from + i) >> 8)) & 0xff
  return bytes
}

export const readAll = async (readable: ReadableStream<Uint8Array>): Promise<Buffer> => {
  const chunks: Uint8Array[] = []
  for await (const chunk of readable) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** The code with which it fails; 'resolved' if it does not. */
export const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'resolved',
    (error: unknown) => (isSkeinError(error) ? error.code : String(error)),
  )

export interface Keeper {
  readonly pid: Pid
  /** All messages, streams among them. */
  readonly messages: unknown[]
  readonly streams: StreamMessage[]
  /** The stream with this index, counted from 0, once it has come. */
  stream(index: number): Promise<StreamMessage>
  end(): void
}

/** A process that keeps its messages and reads no stream by itself. */
export const keeper = (node: SkeinNode): Keeper => {
  const messages: unknown[] = []
  const streams: StreamMessage[] = []
  const waiting: (() => void)[] = []
  const pid = node.spawn(async (self: Self) => {
    for await (const message of self) {
      messages.push(message)
      if ((message as StreamMessage)?.type === 'stream') streams.push(message as StreamMessage)
      for (const look of waiting.splice(0)) look()
    }
  })
  const stream = async (index: number): Promise<StreamMessage> => {
    while (streams[index] === undefined) await new Promise<void>((resolve) => waiting.push(resolve))
    return streams[index]
  }
  return { pid, messages, streams, stream, end: () => node.exit(pid, 'over') }
}

/** A process that does what it is told. */
export const actor = (node: SkeinNode): Promise<Self> =>
  new Promise((resolve) => {
    node.spawn(async (self: Self) => {
      resolve(self)
      for await (const _ of self);
    })
  })
