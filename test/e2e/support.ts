/** What the end-to-end tests share: errors to look at, files that go away, and peers that do not keep to the rules. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { createIdentity } from '../../certs/identity.ts'
import { deriveKeys } from '../../certs/keys.ts'
import { NONCE_BYTES } from '../../src/cluster/control.ts'
import {
  type HandshakeState,
  handshakeKeys,
  type Introduction,
  next,
  PROTOCOL_VERSIONS,
  start,
} from '../../src/cluster/handshake.ts'
import type { Address } from '../../transport/address.ts'
import { systemClock } from '../../transport/clock.ts'
import type { LanesHandler } from '../../transport/lane.ts'
import { Lanes } from '../../transport/lanes.ts'
import { openQuicTransport } from '../../transport/quic-transport.ts'
import { systemRandom } from '../../transport/random.ts'
import type { CloseReason, ConnectionHandler } from '../../transport/transport.ts'
import { COOKIE, type NodeProcess, RemoteFailure } from '../support/node-process.ts'
import type { TestContext } from '../support/suite.ts'

/** How a command failed. */
export const failure = async (promise: Promise<unknown>): Promise<RemoteFailure> => {
  const error = await promise.then(
    (value) => assert.unreachable(`it gave ${String(value)}`),
    (reason: unknown) => reason,
  )
  if (!(error instanceof RemoteFailure)) throw error
  return error
}

/** A folder that is removed after the test. */
export const temporaryFolder = async (t: TestContext): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-e2e-'))
  t.defer(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export interface RogueOptions {
  readonly versions?: readonly [number, number]
  /** Says nothing at all. */
  readonly mute?: boolean
  readonly capabilities?: readonly string[]
  /** Default: that of all nodes. */
  readonly cookie?: string
}

/** A stream of our own that opens like a dedicated lane without a mark (docs/wire.md), then holds this much of a frame. */
const LANE_OPENING = Uint8Array.of(6, 0, 0, 0, 0xf0, 2, 0, 0, 0, 0)

/** Speaks QUIC and, if asked, the handshake as a member would; then says whatever the test wants. */
export class Rogue implements LanesHandler {
  readonly lanes: Lanes
  /** Resolves when it is a member. */
  readonly up: Promise<void>
  /** Resolves when TLS is done. */
  readonly opened: Promise<void>
  /** Resolves when its connection is over. */
  readonly closed: Promise<CloseReason>
  #state: HandshakeState
  readonly #mute: boolean
  #raw: Uint8Array | undefined
  #onUp: () => void = () => {}
  #onOpened: () => void = () => {}
  #onClosed: (reason: CloseReason) => void = () => {}

  private constructor(own: Introduction, mute: boolean) {
    this.#state = start(own)
    this.#mute = mute
    this.lanes = new Lanes(this, { clock: systemClock })
    this.up = new Promise((resolve) => {
      this.#onUp = resolve
    })
    this.opened = new Promise((resolve) => {
      this.#onOpened = resolve
    })
    this.closed = new Promise((resolve) => {
      this.#onClosed = resolve
    })
  }

  /** Dials the node. */
  static dial(t: TestContext, node: NodeProcess, options: RogueOptions = {}): Promise<Rogue> {
    return Rogue.dialAt(t, { host: '127.0.0.1', port: node.facts.port }, options)
  }

  static async dialAt(t: Pick<TestContext, 'defer'>, address: Address, options: RogueOptions = {}): Promise<Rogue> {
    const identity = await createIdentity({ wallNowMs: Date.now() })
    const keys = deriveKeys(Buffer.from(options.cookie ?? COOKIE), 'default')
    const transport = await openQuicTransport({
      host: address.host.startsWith('127.') ? '127.0.0.1' : '0.0.0.0',
      port: 0,
      identity,
      gateKeys: [keys.gate],
      clock: systemClock,
      random: systemRandom,
    })
    t.defer(() => transport.close())
    const own: Introduction = {
      role: 'initiator',
      name: 'rogue@nowhere',
      incarnation: 'ffffffffffffffff',
      publicKey: identity.publicKey,
      versions: options.versions ?? PROTOCOL_VERSIONS,
      capabilities: options.capabilities ?? [],
      addresses: [],
      hidden: true,
      replace: false,
      nonce: systemRandom.bytes(NONCE_BYTES),
      keys: handshakeKeys(keys),
    }
    const rogue = new Rogue(own, options.mute ?? false)
    const { lanes } = rogue
    const handler: ConnectionHandler = {
      onOpen: () => lanes.onOpen(),
      onReadable: (stream) => lanes.onReadable(stream),
      onFlush: () => {
        lanes.onFlush()
        rogue.#writeRaw()
      },
      onClosed: (reason) => lanes.onClosed(reason),
    }
    lanes.attach(transport.connect(address, handler))
    return rogue
  }

  /** Opens a stream of its own and writes the beginning of a frame that claims this length. */
  beginFrame(lengthBytes: number): void {
    const bytes = Buffer.alloc(1000)
    bytes.set(LANE_OPENING)
    bytes.writeUInt32LE(lengthBytes, LANE_OPENING.length)
    this.#raw = bytes
    this.lanes.connection.requestFlush()
  }

  onOpen(): void {
    const { peer } = this.lanes.connection
    this.#onOpened()
    if (this.#mute) return
    if (peer !== undefined) this.#advance({ type: 'open', peer })
  }

  onControl(type: number, buffer: Uint8Array, from: number, to: number): void {
    if (this.#state.phase !== 'established') this.#advance({ type: 'frame', frame: type, body: buffer.slice(from, to) })
  }

  onFrame(): undefined {}

  onClosed(reason: CloseReason): void {
    this.#onClosed(reason)
  }

  #writeRaw(): void {
    const { connection } = this.lanes
    if (this.#raw !== undefined) connection.write(connection.openStream(false), this.#raw, false)
    this.#raw = undefined
  }

  #advance(input: Parameters<typeof next>[1]): void {
    const { state, outputs } = next(this.#state, input)
    this.#state = state
    for (const output of outputs) {
      if (output.type === 'send') this.lanes.control(output.frame, output.body)
      if (output.type === 'judge') this.#advance({ type: 'verdict', refusal: undefined })
      if (output.type === 'established') {
        this.lanes.acceptLanes()
        this.#onUp()
      }
    }
  }
}
