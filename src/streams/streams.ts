/**
 * Streams to a process: opening, and who ends with whom.
 *
 * The announcement is a signal of the opening process: it takes that process's lane, arrives in order with everything else
 * it sends, and is answered like a call by the node of the target. Only then do bytes flow, on a QUIC stream of their own;
 * the target has put the number of the stream on its list by then, so nobody can send bytes that were not announced. What
 * is announced and taken but never begun is given up after OPEN_TIMEOUT_MS.
 *
 * Numbers are the announcer's, from 1 on, per connection. The way back of a duplex stream has the same number plus
 * WAY_BACK, and is expected before the announcement can have arrived.
 *
 * An end belongs to a process or to the node, and hangs on a bridge if the other end is elsewhere; both take their ends
 * with them. What bytes do is in reading-end.ts and writing-end.ts.
 */
import { SkeinError } from '../../certs/errors.ts'
import { type ByteStreams, MAX_STREAMS, type StreamPriority } from '../../transport/byte-stream.ts'
import type { Clock } from '../../transport/clock.ts'
import { Pid } from '../pid.ts'
import type { Bridge } from '../process/bridge.ts'
import type { Calls } from '../process/calls.ts'
import type { AnyPid, Directory } from '../process/directory.ts'
import { type PatienceOptions, quiet } from '../process/patience.ts'
import type { Post } from '../process/post.ts'
import { Process } from '../process/process.ts'
import { FORBIDDEN, type Refusal, unreadable } from '../process/refusal.ts'
import { type Reason, type Signal, Unreadable } from '../signals.ts'
import { STREAM_NUMBERS, STREAMS_VERSION } from '../wire/wire.ts'
import { localBytes } from './local-bytes.ts'
import { READ_BYTES, ReadingEnd } from './reading-end.ts'
import type { StreamEnd } from './stream-end.ts'
import { connectionLost, streamAborted } from './stream-errors.ts'
import { StreamMessage } from './stream-message.ts'
import { WritingEnd } from './writing-end.ts'

/** Ends of streams that one process may have. */
const MAX_STREAMS_OF_PROCESS = 1024
/** How long a stream that was taken may take to begin: a long time even on a slow path full of bulk. */
const OPEN_TIMEOUT_MS = 30_000
/** Added to the number of a stream for its way back. */
const WAY_BACK = STREAM_NUMBERS

const PRIORITIES: readonly unknown[] = ['high', 'normal', 'low'] satisfies StreamPriority[]

/** What `openStream` takes. */
export interface OpenStreamOptions extends PatienceOptions {
  /** How much of the connection it gets beside other streams; default `normal`. Messages of light senders always come first. */
  readonly priority?: StreamPriority
  /** Whatever the target should know of it; any value that can be sent. */
  readonly meta?: unknown
  /** With a way back. */
  readonly duplex?: boolean
  /** Gives up opening; afterwards it aborts the stream. */
  readonly signal?: AbortSignal
}

/** What `openStream` gives: bytes written here are read by the target. See docs/streams.md for how it ends. */
export interface OpenedStream {
  readonly writable: WritableStream<Uint8Array>
  /** The way back, if it is duplex. */
  readonly readable: ReadableStream<Uint8Array> | undefined
}

/** What `openStream` gives with `duplex: true`: a stream there, and one back. */
export interface DuplexStream extends OpenedStream {
  readonly readable: ReadableStream<Uint8Array>
}

export interface StreamsOptions {
  readonly clock: Clock
  readonly directory: Directory
  readonly calls: Calls
  readonly post: Post
}

/** Both ends that one side of a stream has. */
interface Ends {
  readonly writing: WritingEnd
  readonly reading: ReadingEnd | undefined
}

/** What belongs to a bridge, beside its ends. */
interface BridgeStreams {
  lastNumber: number
  /** Taken and not begun, by the call that announced them. */
  readonly awaited: Map<number, ReadingEnd>
}

export class Streams {
  readonly #clock: Clock
  readonly #directory: Directory
  readonly #calls: Calls
  readonly #post: Post
  readonly #ofProcess = new Map<Process, Set<StreamEnd>>()
  readonly #ofBridge = new Map<Bridge, BridgeStreams>()
  /** Of the node itself. */
  readonly #own = new Set<StreamEnd>()

  /** Made when first needed. */
  #scratchRoom: Uint8Array | undefined

  constructor({ clock, directory, calls, post }: StreamsOptions) {
    this.#clock = clock
    this.#directory = directory
    this.#calls = calls
    this.#post = post
  }

  /** Ends that are open at this node: of a stream within it both count. */
  get count(): number {
    let count = this.#own.size
    for (const ends of this.#ofProcess.values()) count += ends.size
    return count
  }

  /** As Self.openStream. Never throws; a rejection that nobody awaits goes unnoticed. */
  open(sender: Process | undefined, pid: AnyPid, options: OpenStreamOptions = {}): Promise<OpenedStream> {
    return quiet(this.#open(sender, pid, options))
  }

  /** Another node opens a stream to a process of this one. */
  onStream(bridge: Bridge, signal: Extract<Signal, { type: 'stream' }>, sizeBytes: number): void {
    const { from, to, call, stream, duplex, meta } = signal
    const { origin, streams } = bridge.route
    if (origin === undefined || streams === undefined) return
    const process = this.#directory.reach(bridge, to, 'stream')
    if (process === 'forbidden') return this.#refuse(bridge, undefined, 0, call, FORBIDDEN)
    if (process === 'noproc') {
      this.#refuse(bridge, undefined, to, call, 'noproc')
      bridge.retire(to)
      return
    }
    const refusal = meta instanceof Unreadable ? unreadable(meta.error) : this.#noRoom(process, bridge, duplex)
    if (refusal !== undefined) return this.#refuse(bridge, process, to, call, refusal)
    const reading = this.#reading(process, bridge)
    reading.attach(streams.expect(stream, reading))
    this.#await(bridge, call, reading)
    const writing = duplex ? this.#writing(process, bridge) : undefined
    writing?.attach(streams.open(stream + WAY_BACK, 'normal', writing))
    bridge.sendSurely(process, { type: 'reply', from: to, call, value: true })
    const opener = from === 0 ? undefined : new Pid(origin, from)
    this.#post.put(process, new StreamMessage(opener, meta, reading, writing), sizeBytes)
  }

  /** The opener waits no longer for the answer to this call: its stream will not begin. */
  onCallEnded(bridge: Bridge, call: number): void {
    const reading = this.#ofBridge.get(bridge)?.awaited.get(call)
    reading?.abandon(streamAborted('abandoned'), 'unexpected')
  }

  ended(process: Process): void {
    const ends = this.#ofProcess.get(process)
    if (ends === undefined) return
    this.#ofProcess.delete(process)
    for (const end of [...ends]) if (!end.processEnded()) this.#own.add(end)
  }

  bridgeDown(bridge: Bridge): void {
    this.#ofBridge.delete(bridge)
    for (const end of [...bridge.streams]) end.fail(connectionLost())
  }

  /** The node stops. */
  stop(): void {
    const error = new SkeinError('ERR_SKEIN_STOPPED', 'The node was stopped.')
    for (const end of [...this.#own]) end.fail(error)
  }

  async #open(sender: Process | undefined, pid: AnyPid, options: OpenStreamOptions): Promise<OpenedStream> {
    const { priority = 'normal', signal } = options
    if (!(pid instanceof Pid)) throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'A stream is opened to a pid.')
    if (!PRIORITIES.includes(priority))
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', `The priority of a stream is one of ${PRIORITIES.join(', ')}.`)
    if (signal?.aborted === true) throw aborted(pid, signal)
    const at = this.#directory.locate(pid)
    if (at === 'noproc') throw new SkeinError('ERR_SKEIN_NOPROC', `There is no process ${pid}.`)
    if (at === 'noconnection') throw new SkeinError('ERR_SKEIN_NOCONNECTION', `The node of ${pid} cannot be reached.`)
    const ends =
      at instanceof Process
        ? this.#openHere(sender, at, options)
        : await this.#openThere(sender, at, pid as AnyPid, options)
    const { writing, reading } = ends
    if (signal !== undefined) {
      const abort = (): void => {
        writing.abandon(signal.reason)
        reading?.abandon(signal.reason)
      }
      const release = (): void => {
        if (writing.isOver && reading?.isOver !== false) signal.removeEventListener('abort', abort)
      }
      writing.onceOver = release
      if (reading !== undefined) reading.onceOver = release
      signal.addEventListener('abort', abort, { once: true })
      if (signal.aborted) abort()
    }
    return { writable: writing.writable, readable: reading?.readable }
  }

  #openHere(sender: Process | undefined, target: Process, { meta, duplex = false }: OpenStreamOptions): Ends {
    this.#mustHaveRoom(sender, undefined, duplex)
    const refusal = this.#noRoom(target, undefined, duplex)
    if (refusal !== undefined) throw new SkeinError(refusal.refused, `${target.pid} takes no stream: ${refusal.text}`)
    const [writing, there] = this.#joined(sender, target)
    const [back, reading] = duplex ? this.#joined(target, sender) : [undefined, undefined]
    this.#post.put(target, new StreamMessage(sender?.pid, meta, there, back))
    return { writing, reading }
  }

  /** A way from a process of this node to another. */
  #joined(writer: Process | undefined, reader: Process | undefined): [WritingEnd, ReadingEnd] {
    const writing = this.#writing(writer, undefined)
    const reading = this.#reading(reader, undefined)
    const bytes = localBytes(this.#clock, writing, reading)
    writing.attach(bytes.writer)
    reading.attach(bytes.reader)
    return [writing, reading]
  }

  async #openThere(
    sender: Process | undefined,
    bridge: Bridge,
    pid: AnyPid,
    options: OpenStreamOptions,
  ): Promise<Ends> {
    const { priority = 'normal', meta, duplex = false, timeoutMs, signal } = options
    const { route } = bridge
    if (route.version !== undefined && route.version < STREAMS_VERSION) throw unsupported(pid)
    this.#mustHaveRoom(sender, bridge, duplex)
    const of = this.#streamsOf(bridge)
    if (of.lastNumber + 1 >= WAY_BACK)
      throw new SkeinError('ERR_SKEIN_LIMIT', 'The connection has carried all the streams it can.')
    const number = ++of.lastNumber
    const writing = this.#writing(sender, bridge)
    const reading = duplex ? this.#reading(sender, bridge) : undefined
    const expect = (): void => reading?.attach((route.streams as ByteStreams).expect(number + WAY_BACK, reading))
    const waits = route.waits || route.streams === undefined
    if (!waits) expect()
    try {
      const patience = { ...(timeoutMs !== undefined && { timeoutMs }), ...(signal && { signal }) }
      const answer = this.#calls.ask(sender, pid, patience, (from, call) => {
        return { type: 'stream', from, to: pid.number, call, stream: number, duplex, meta }
      })
      // The announcement waits in order with all else, for a connection that may be another one. It is dropped if the
      // node knows no streams.
      if (waits) await Promise.race([answer, route.drained(sender?.pid.number ?? 0)])
      if (route.version !== undefined && route.version < STREAMS_VERSION) throw unsupported(pid)
      if (route.streams !== undefined && reading?.isAttached === false) expect()
      await answer
    } catch (error) {
      writing.abandon(error)
      reading?.abandon(error)
      throw error
    }
    const streams = route.streams
    if (streams === undefined) throw connectionLost()
    const bytes = streams.open(number, priority, writing)
    // Since the answer came something may have ended it here; the other side has taken it and must hear of that.
    if (writing.isOver) bytes.abort(sender?.ended === undefined ? 'abandoned' : 'processEnded')
    else writing.attach(bytes)
    if (sender?.ended !== undefined) throw sender.endedError()
    return { writing, reading }
  }

  #await(bridge: Bridge, call: number, reading: ReadingEnd): void {
    const { awaited } = this.#streamsOf(bridge)
    awaited.set(call, reading)
    const timer = this.#clock.after(
      OPEN_TIMEOUT_MS,
      () => reading.abandon(streamAborted('abandoned'), 'unexpected'),
      true,
    )
    reading.onceSettled = () => {
      timer.cancel()
      awaited.delete(call)
    }
  }

  #refuse(bridge: Bridge, process: Process | undefined, from: number, call: number, reason: Reason): void {
    bridge.sendSurely(process, { type: 'callFailed', from, call, reason })
  }

  /** Why a process cannot take a stream. */
  #noRoom(process: Process, bridge: Bridge | undefined, duplex: boolean): Refusal | undefined {
    if (process.traits.guarded === true) return FORBIDDEN
    if (process.mailbox.full) return { refused: 'ERR_SKEIN_MAILBOX_FULL', text: 'Its mailbox is full.' }
    const limit =
      this.#limitReached(process, bridge, 'in') ?? (duplex ? this.#limitReached(process, bridge, 'out') : undefined)
    return limit === undefined ? undefined : { refused: 'ERR_SKEIN_LIMIT', text: limit }
  }

  #mustHaveRoom(sender: Process | undefined, bridge: Bridge | undefined, duplex: boolean): void {
    const limit =
      this.#limitReached(sender, bridge, 'out') ?? (duplex ? this.#limitReached(sender, bridge, 'in') : undefined)
    if (limit !== undefined) throw new SkeinError('ERR_SKEIN_LIMIT', limit)
  }

  #limitReached(process: Process | undefined, bridge: Bridge | undefined, way: 'in' | 'out'): string | undefined {
    const ofProcess = process === undefined ? this.#own : this.#ofProcess.get(process)
    if ((ofProcess?.size ?? 0) >= MAX_STREAMS_OF_PROCESS)
      return `One process has at most ${MAX_STREAMS_OF_PROCESS} streams.`
    if (bridge === undefined) return undefined
    let count = 0
    for (const { direction } of bridge.streams) if (direction === way) count++
    return count >= MAX_STREAMS ? `One connection has at most ${MAX_STREAMS} streams each way.` : undefined
  }

  #writing(process: Process | undefined, bridge: Bridge | undefined): WritingEnd {
    return this.#keep(new WritingEnd({ process, bridge }, this.#forget))
  }

  #reading(process: Process | undefined, bridge: Bridge | undefined): ReadingEnd {
    return this.#keep(new ReadingEnd({ process, bridge }, this.#scratch, this.#forget))
  }

  #keep<End extends StreamEnd>(end: End): End {
    const { process, bridge } = end
    if (process === undefined) this.#own.add(end)
    else {
      const ends = this.#ofProcess.get(process)
      if (ends === undefined) this.#ofProcess.set(process, new Set([end]))
      else ends.add(end)
    }
    bridge?.streams.add(end)
    return end
  }

  get #scratch(): Uint8Array {
    this.#scratchRoom ??= Buffer.allocUnsafeSlow(READ_BYTES)
    return this.#scratchRoom
  }

  readonly #forget = (end: StreamEnd): void => {
    const { process, bridge } = end
    this.#own.delete(end)
    const ends = process && this.#ofProcess.get(process)
    ends?.delete(end)
    if (process !== undefined && ends?.size === 0) this.#ofProcess.delete(process)
    bridge?.streams.delete(end)
  }

  #streamsOf(bridge: Bridge): BridgeStreams {
    let streams = this.#ofBridge.get(bridge)
    if (streams === undefined) {
      streams = { lastNumber: 0, awaited: new Map() }
      this.#ofBridge.set(bridge, streams)
    }
    return streams
  }
}

const unsupported = (pid: AnyPid): SkeinError =>
  new SkeinError('ERR_SKEIN_UNSUPPORTED', `The node of ${pid} speaks a protocol that has no streams.`)

const aborted = (pid: AnyPid, signal: AbortSignal): SkeinError =>
  new SkeinError('ERR_SKEIN_CALL_ABORTED', `Opening a stream to ${pid} was abandoned.`, { cause: signal.reason })
