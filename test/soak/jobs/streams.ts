/**
 * Streams to a process on another node, which are used to their end, given up by either side, or end with a connection.
 * The receiver counts what came; on a duplex stream it says so on the way back.
 */
import type { Pid, Self, StreamMessage } from '../../../src/index.ts'
import { codeOf, isType, type Mark, type Work, type Workplace } from './work.ts'

const RECEIVERS = 'stream receivers'
const CHUNK_BYTES = 16_384
const MAX_CHUNKS = 12
/** Of the ticks. */
const CHANCE = 0.12
/** What each is opened for. */
const KINDS = ['plain', 'duplex', 'duplex', 'aborted', 'cancelled'] as const

interface Meta {
  readonly kind: (typeof KINDS)[number]
}

export class StreamsWork implements Work {
  readonly name = 'streams'
  readonly #place: Workplace
  #self: Self<unknown> | undefined
  #open = 0

  constructor(place: Workplace) {
    this.#place = place
    const { node } = place
    const receiver = node.spawn(async (self: Self<unknown>) => {
      for await (const message of self)
        if (isType(message, 'stream')) void this.#receive(message as StreamMessage<Meta>)
    })
    node.groups.join(RECEIVERS, receiver)
    node.spawn(async (self: Self<unknown>) => {
      this.#self = self
      for await (const message of self) place.violation(`an opener of streams got ${JSON.stringify(message)}`)
    })
  }

  tick(): void {
    const node = this.#place.peer()
    const kind = this.#place.pick(KINDS) ?? 'plain'
    if (node === undefined || !this.#place.chance(CHANCE)) return
    const pid = this.#receivers().find((one) => one.node === node)
    if (pid === undefined) return
    const mark = this.#place.mark(node)
    this.#open++
    this.#use(pid, kind)
      .then(
        () => this.#place.count(`streams: ${kind}`),
        (error: unknown) => this.#failed(mark, pid, kind, error),
      )
      .finally(() => this.#open--)
  }

  outstanding(): number {
    return this.#open
  }

  #receivers(): readonly Pid[] {
    return this.#place.node.groups.members(RECEIVERS)
  }

  async #use(pid: Pid, kind: Meta['kind']): Promise<void> {
    if (this.#self === undefined) return
    const options = { meta: { kind } satisfies Meta, timeoutMs: 30_000 }
    const chunks = 1 + this.#place.below(MAX_CHUNKS)
    if (kind === 'duplex') {
      const { writable, readable } = await this.#self.openStream(pid, { ...options, duplex: true })
      const [counted] = await Promise.all([bytesOf(readable), write(writable, chunks)])
      const text = new TextDecoder().decode(counted)
      if (text !== String(chunks * CHUNK_BYTES)) this.#place.violation(`a stream of ${chunks} chunks brought ${text}`)
      return
    }
    const { writable } = await this.#self.openStream(pid, options)
    if (kind === 'aborted') {
      const writer = writable.getWriter()
      await writer.write(new Uint8Array(CHUNK_BYTES))
      await writer.abort('thought better of it')
    } else await write(writable, chunks)
  }

  #failed(mark: Mark, pid: Pid, kind: Meta['kind'], error: unknown): void {
    const code = codeOf(error)
    // A receiver lives as long as its node: that it is over may be heard a moment before its group has let it go.
    const isGone = (): boolean => code === 'ERR_SKEIN_NOPROC' && !this.#receivers().some((one) => one.equals(pid))
    if (kind === 'cancelled' && code === 'ERR_SKEIN_STREAM_CANCELLED') this.#place.count('streams: cancelled')
    else this.#place.blame(mark, `a stream (${kind}) to ${mark.node} failed with ${code}`, isGone)
  }

  async #receive(message: StreamMessage<Meta>): Promise<void> {
    this.#open++
    try {
      if (message.meta.kind === 'cancelled') return message.cancel()
      const count = (await bytesOf(message.readable)).length
      if (message.writable === undefined) return
      const writer = message.writable.getWriter()
      await writer.write(new TextEncoder().encode(String(count)))
      await writer.close()
    } catch {
      // The opener knows more of why: it was given up, or the connection was lost.
      this.#place.count('streams that ended early')
    } finally {
      this.#open--
    }
  }
}

const write = async (writable: WritableStream<Uint8Array>, chunks: number): Promise<void> => {
  const writer = writable.getWriter()
  for (let i = 0; i < chunks; i++) {
    await writer.ready
    await writer.write(new Uint8Array(CHUNK_BYTES).fill(i))
  }
  await writer.close()
}

const bytesOf = async (readable: ReadableStream<Uint8Array>): Promise<Uint8Array> => {
  const chunks: Uint8Array[] = []
  for await (const chunk of readable) chunks.push(chunk)
  return Buffer.concat(chunks)
}
