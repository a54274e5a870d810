/**
 * A member that misuses a relay, on a host of the laboratory: it asks for channels without end, to members that are there
 * and to nobody, and floods whatever channels it gets, and others, with datagrams. It knows the cookie, so it is one of us.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { REACH } from '../../src/cluster/capabilities.ts'
import { CONTROL } from '../../src/cluster/control.ts'
import { encodeRelayAsk, RELAY_HEAD_BYTES, writeHead } from '../../src/cluster/reach/relay-frames.ts'
import type { Address } from '../../transport/address.ts'
import { Rogue } from '../e2e/support.ts'
import { serve } from './child.ts'

const BURST_INTERVAL_MS = 10
const ASKS_IN_BURST = 20
const DATAGRAMS_IN_BURST = 100
const DATAGRAM_BYTES = 1100
/** Channels that it may have been given, by the numbers that a relay counts. */
const CHANNELS_TRIED = 16

/** Floods the relay until it is told to stop; `targets` are ids of members. */
export type AbuserCommand =
  | { readonly do: 'flood'; readonly relay: Address; readonly targets: readonly string[] }
  | { readonly do: 'stop' }

/** What it did, in the end. */
export interface Abuse {
  readonly asks: number
  readonly datagrams: number
  readonly sentBytes: number
  /** The relay threw it out. */
  readonly isClosed: boolean
}

class Abuser {
  readonly #rogue: Rogue
  readonly #targets: readonly string[]
  #asks = 0
  #datagrams = 0
  #isClosed = false
  #isOver = false

  constructor(rogue: Rogue, targets: readonly string[]) {
    this.#rogue = rogue
    this.#targets = [...targets, 'z'.repeat(32)]
    void rogue.closed.then(() => {
      this.#isClosed = true
    })
  }

  async flood(): Promise<void> {
    const bytes = new Uint8Array(DATAGRAM_BYTES)
    while (!this.#isOver && !this.#isClosed) {
      const { lanes } = this.#rogue
      for (let i = 0; i < ASKS_IN_BURST; i++) {
        const target = this.#targets[this.#asks % this.#targets.length]!
        lanes.control(CONTROL.relayAsk, encodeRelayAsk({ request: this.#asks++, target }))
      }
      for (let i = 0; i < DATAGRAMS_IN_BURST; i++) {
        const isRelayed = i % 4 > 0
        if (isRelayed) writeHead(bytes, 'toRelay', i % CHANNELS_TRIED)
        lanes.connection.sendDatagram(isRelayed ? bytes : bytes.subarray(0, i % (RELAY_HEAD_BYTES + 2)))
        this.#datagrams++
      }
      await sleep(BURST_INTERVAL_MS)
    }
  }

  stop(): Abuse {
    this.#isOver = true
    const { sentBytes } = this.#rogue.lanes.connection.stats()
    return { asks: this.#asks, datagrams: this.#datagrams, sentBytes, isClosed: this.#isClosed }
  }
}

const state: { abuser: Abuser | undefined } = { abuser: undefined }

serve<AbuserCommand, never>(async (command): Promise<Abuse | undefined> => {
  if (command.do === 'stop') return state.abuser?.stop()
  // Whoever started this process ends it.
  const rogue = await Rogue.dialAt({ defer: () => {} }, command.relay, { capabilities: [REACH] })
  await rogue.up
  state.abuser = new Abuser(rogue, command.targets)
  void state.abuser.flood()
  return undefined
})
