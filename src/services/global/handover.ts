/**
 * Handing a name to a process of another node, without a moment in which any node finds nobody under it.
 *
 * The giver keeps the name until the heir has it everywhere: the heir asks every node, as for any name, and the giver
 * agrees; it puts the name on its board, and asks every node to say when it has read that; then the giver gives it up. As
 * long as both have it the older registration, the giver's, is what everybody finds. If anything goes wrong the giver
 * keeps it, and the heir takes its own claim back.
 */
import { isSkeinError, SkeinError } from '../../../certs/errors.ts'
import type { Clock, Timer } from '../../../transport/clock.ts'
import type { Pid } from '../../pid.ts'
import type { Channel, ChannelPeer } from '../channel.ts'
import { nonsense } from '../channel.ts'
import { type Acquisition, AGREEMENT_TIMEOUT_MS, VOTELESS_TIMEOUT_MS } from './acquisition.ts'
import { isProcessNumber } from './claim.ts'
import type { Dialogue } from './dialogue.ts'
import type { Holding, Holdings } from './holdings.ts'
import { type HybridClock, isStamp } from './stamp.ts'
import type { Table } from './table.ts'

/** All of it: agreement, and that everybody has read it, with something to spare. */
const HANDOVER_TIMEOUT_MS = 2.5 * AGREEMENT_TIMEOUT_MS

export interface HandoversParts {
  readonly clock: Clock
  readonly stamps: HybridClock
  readonly channel: () => Channel
  readonly dialogue: Dialogue
  readonly table: Table
  readonly holdings: Holdings
  readonly acquisition: Acquisition
  /** Adds the name to a process of this node. Throws ERR_SKEIN_NOPROC or ERR_SKEIN_LIMIT. */
  hold(name: string, number: number, giver: ChannelPeer): Holding
  /** Whether that node may have the name, as this node sees it. Who may not is told, and cannot hold it up. */
  mayRegister(peer: ChannelPeer, name: string): boolean
}

/** A peer wants to know when a claim of its own has been read here. */
interface Waiting {
  readonly peer: ChannelPeer
  readonly token: string
  readonly timer: Timer
  readonly seen: () => void
}

interface Taking {
  readonly giver: ChannelPeer
  isCancelled: boolean
}

export class Handovers {
  readonly #parts: HandoversParts
  readonly #waiting = new Map<string, Waiting[]>()
  /** Names that are asked for as their heir. */
  readonly #taking = new Map<string, Taking>()

  constructor(parts: HandoversParts) {
    this.#parts = parts
  }

  /** Gives the token of the heir. Rejects with why the name stays here. */
  async give(holding: Holding, peer: ChannelPeer, pid: Pid): Promise<string> {
    const { dialogue, holdings } = this.#parts
    const { name } = holding
    holdings.heirs.set(name, peer)
    const { token, registeredAt } = holding
    const question = { type: 'transfer', name, number: pid.number, token, registeredAt }
    try {
      const next = await dialogue.asked(peer, question, HANDOVER_TIMEOUT_MS)
      if (typeof next !== 'string') throw nonsense('a token that is none')
      holdings.remove(holding)
      return next
    } catch (error) {
      // Whatever it has done by now, it takes back.
      dialogue.tell(peer, { type: 'transferCancelled', name })
      throw error
    } finally {
      holdings.heirs.delete(name)
      // It failed. The name was not renewed meanwhile, whatever happened.
      if (holdings.get(name) === holding) holdings.renew(holding)
    }
  }

  /** A peer gives one of its names to a process of this node. */
  async take(giver: ChannelPeer, name: string, question: Record<string, unknown>): Promise<string> {
    const { stamps, acquisition, holdings, channel, table, hold } = this.#parts
    const { number, token, registeredAt } = question
    if (!isProcessNumber(number) || !isStamp(token) || !isStamp(registeredAt)) throw nonsense('a name given to nobody')
    if (this.#taking.has(name)) {
      throw new SkeinError('ERR_SKEIN_NAME_REGISTERED', `"${name}" is just being handed over.`)
    }
    stamps.see(token)
    const taking: Taking = { giver, isCancelled: false }
    const commit = (): Holding => {
      this.#mustHave(giver)
      if (table.claimOf(name, giver) === undefined) {
        throw new SkeinError('ERR_SKEIN_NOT_OWNER', `${giver.node} does not have "${name}".`)
      }
      if (taking.isCancelled) throw new SkeinError('ERR_SKEIN_GLOBAL_TIMEOUT', 'The giver keeps the name.')
      return hold(name, number, giver)
    }
    // Whoever wants it here asks in vain: it is the giver's.
    if (table.claimOf(name, giver) !== undefined) acquisition.gone(name)
    this.#taking.set(name, taking)
    const holding = await acquisition.acquire(name, commit, registeredAt).finally(() => this.#taking.delete(name))
    try {
      const peers = channel().peers()
      await Promise.all(peers.map((peer) => this.#read(peer, holding)))
      // Without it nobody knows whether the giver has given it up.
      this.#mustHave(giver)
    } catch (error) {
      holdings.remove(holding)
      throw error
    }
    if (holdings.get(name) !== holding) throw new SkeinError('ERR_SKEIN_NOPROC', 'The heir has ended.')
    return holdings.tokenOf(holding)
  }

  /** The giver has changed its mind. */
  cancelled(giver: ChannelPeer, name: string): void {
    const taking = this.#taking.get(name)
    if (taking?.giver === giver) taking.isCancelled = true
    const holding = this.#parts.holdings.get(name)
    if (holding?.giver === giver) this.#parts.holdings.remove(holding)
  }

  /** Resolves when the peer's claim with this token has been read here; rejects if it is not, for as long as it asks. */
  whenRead(peer: ChannelPeer, name: string, token: unknown): Promise<true> | true {
    if (!isStamp(token)) throw nonsense('a token that is none')
    if (isRead(this.#parts.table, name, peer, token)) return true
    return new Promise((resolve, reject) => {
      const late = (): void => {
        this.#keep(name, (each) => each !== waiting)
        reject(new SkeinError('ERR_SKEIN_GLOBAL_TIMEOUT', `"${name}" was not read.`))
      }
      const timer = this.#parts.clock.after(AGREEMENT_TIMEOUT_MS, late, true)
      const waiting: Waiting = { peer, token, timer, seen: () => resolve(true) }
      this.#waiting.set(name, [...(this.#waiting.get(name) ?? []), waiting])
    })
  }

  /** A claim to this name has been read. */
  look(name: string): void {
    this.#keep(name, ({ peer, token, timer, seen }) => {
      if (!isRead(this.#parts.table, name, peer, token)) return true
      timer.cancel()
      seen()
      return false
    })
  }

  peerDown(gone: ChannelPeer): void {
    for (const name of [...this.#waiting.keys()]) {
      this.#keep(name, ({ peer, timer }) => {
        if (peer === gone) timer.cancel()
        return peer !== gone
      })
    }
  }

  #mustHave(giver: ChannelPeer): void {
    if (this.#parts.channel().has(giver)) return
    throw new SkeinError('ERR_SKEIN_NOCONNECTION', `The connection to ${giver.node} is gone.`)
  }

  #keep(name: string, isKept: (waiting: Waiting) => boolean): void {
    const waiting = this.#waiting.get(name)
    if (waiting === undefined) return
    const kept = waiting.filter(isKept)
    if (kept.length === 0) this.#waiting.delete(name)
    else this.#waiting.set(name, kept)
  }

  /** Resolves when that node has read it, or is gone. */
  async #read(peer: ChannelPeer, { name, token }: Holding): Promise<void> {
    const { dialogue, mayRegister } = this.#parts
    const question = { type: 'notice', name, token }
    const hasVote = mayRegister(peer, name)
    try {
      await dialogue.asked(peer, question, hasVote ? AGREEMENT_TIMEOUT_MS : VOTELESS_TIMEOUT_MS)
    } catch (error) {
      if (hasVote && !isSkeinError(error, 'ERR_SKEIN_NOCONNECTION')) throw error
    }
  }
}

const isRead = (table: Table, name: string, peer: ChannelPeer, token: string): boolean => {
  const claim = table.claimOf(name, peer)
  return claim !== undefined && claim.token >= token
}
