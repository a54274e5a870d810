/**
 * Conflicts: one name, several claims, because nodes that did not see each other registered it.
 *
 * Only who has the name can give it up, and each does so for itself. By the default rule the best claim stays, the oldest
 * registration; as all see the same claims there is nothing to agree upon. If every claim says that a callback decides, the
 * claimant with the lowest node id is the judge: it asks its callback and tells the others. Who remains takes a new token,
 * greater than those of the claims that are gone.
 */
import { SkeinError } from '../../../certs/errors.ts'
import type { Clock, Timer } from '../../../transport/clock.ts'
import type { NodeEvent } from '../../event-stream.ts'
import { type Origin, Pid } from '../../pid.ts'
import { type ChannelPeer, nonsense } from '../channel.ts'
import { type Claim, compareClaims } from './claim.ts'
import type { Dialogue } from './dialogue.ts'
import { tokenOf } from './fence.ts'
import type { GlobalClaim, Holding, Holdings, Resolve } from './holdings.ts'
import { timeOf } from './stamp.ts'
import type { Table } from './table.ts'

/** How long a callback may take to decide between two; then the older registration wins. */
const DECISION_TIMEOUT_MS = 5000
/** How long the judge is waited for; then the default rule holds. */
const JUDGE_TIMEOUT_MS = 30_000
/** How long the judge waits for the losers; then it judges anew, because one of them saw something else. */
const VERDICT_TIMEOUT_MS = 2000

export interface ConflictsParts {
  readonly self: Origin
  readonly clock: Clock
  readonly dialogue: Dialogue
  readonly table: Table
  readonly holdings: Holdings
  emit(event: NodeEvent): void
  /** The process has lost its name. */
  tellLoser(pid: Pid, error: SkeinError): void
  defect(error: unknown): void
}

/**
 * A conflict that is not decided by the default rule. judging: this node is the judge, and its callback has the word.
 * waiting: for the verdict, or for what comes of it. `claims` tells between whom; new tokens do not make it another case.
 */
type Case =
  | { readonly type: 'judging'; readonly claims: string }
  | { readonly type: 'waiting'; readonly claims: string; readonly timer: Timer }

export class Conflicts {
  readonly #parts: ConflictsParts
  readonly #cases = new Map<Holding, Case>()

  constructor(parts: ConflictsParts) {
    this.#parts = parts
  }

  /** To be called whenever the claims to a name have changed. */
  review(name: string): void {
    const { holdings, table } = this.#parts
    const holding = holdings.get(name)
    if (holding === undefined) return
    const own = table.claimOf(name, undefined)
    const claims = table.claims(name).filter(({ owner }) => owner === undefined || !isPartner(holdings, holding, owner))
    const best = claims[0]
    if (own === undefined || best === undefined) return
    if (claims.length === 1) {
      this.#close(holding)
      if (!holding.isContested) return
      holding.isContested = false
      holdings.renew(holding)
      return
    }
    holding.isContested = true
    if (claims.every(({ isJudged }) => isJudged)) this.#submit(holding, own, claims)
    else if (best !== own) this.#lose(holding, own, best)
  }

  /** A peer gave up the name that is this node's too. */
  won(holding: Holding, loser: Claim): void {
    const { emit, self } = this.#parts
    emit({ type: 'globalConflict', name: holding.name, winner: new Pid(self, holding.number), loser: loser.pid })
  }

  /** What the judge says. It is not heeded where this node sees another judge, or another conflict. */
  verdict(judge: ChannelPeer, name: string, winner: unknown, loser: unknown): void {
    const { holdings, table } = this.#parts
    const holding = holdings.get(name)
    const own = table.claimOf(name, undefined)
    if (!(winner instanceof Pid && loser instanceof Pid)) throw nonsense('a verdict that is none')
    if (holding === undefined || own === undefined || !own.pid.equals(loser)) return
    const claims = table.claims(name)
    const isJudge = claims.every(({ isJudged, owner }) => isJudged && (owner?.id ?? own.pid.origin.id) >= judge.id)
    if (!isJudge || !claims.some(({ owner }) => owner === judge)) return
    const winning = claims.find(({ pid }) => pid.equals(winner))
    if (winning !== undefined && winning !== own) this.#lose(holding, own, winning)
  }

  stop(): void {
    for (const holding of [...this.#cases.keys()]) this.#close(holding)
  }

  #submit(holding: Holding, own: Claim, claims: readonly Claim[]): void {
    const isJudge = claims.every(({ pid }) => pid.origin.id >= own.pid.origin.id)
    const known = this.#cases.get(holding)
    const described = claims.map(({ pid, registeredAt }) => `${pid.key} ${registeredAt}`).join()
    if (isJudge && holding.resolve !== undefined) {
      if (known?.claims === described) return
      this.#close(holding)
      const judging: Case = { type: 'judging', claims: described }
      this.#cases.set(holding, judging)
      this.#judge(holding, judging, claims, holding.resolve).catch((error: unknown) => this.#parts.defect(error))
    } else if (known?.type !== 'waiting') {
      this.#wait(holding, described, JUDGE_TIMEOUT_MS, () => this.#settleByAge(holding))
    }
  }

  async #judge(holding: Holding, judging: Case, claims: readonly Claim[], resolve: Resolve): Promise<void> {
    const { name } = holding
    let winner = claims[0] as Claim
    for (const claim of claims.slice(1)) {
      const [a, b] = [winner, claim].sort(compareClaims) as [Claim, Claim]
      winner = (await this.#choice(resolve, name, a, b)) === b ? b : a
      // It came otherwise meanwhile: what is so now is judged anew, or no more.
      if (this.#cases.get(holding) !== judging) return
    }
    this.#cases.delete(holding)
    const { dialogue, table, holdings } = this.#parts
    if (holdings.get(name) !== holding) return
    for (const loser of claims) {
      if (loser === winner || loser.owner === undefined) continue
      const verdict = { type: 'verdict', name, winner: winner.pid, loser: loser.pid }
      dialogue.tell(loser.owner, verdict)
    }
    const own = table.claimOf(name, undefined)
    if (own !== undefined && winner.owner !== undefined) this.#lose(holding, own, winner)
    else this.#wait(holding, judging.claims, VERDICT_TIMEOUT_MS, () => this.review(name))
  }

  #wait(holding: Holding, claims: string, ms: number, then: () => void): void {
    const late = (): void => {
      this.#cases.delete(holding)
      then()
    }
    this.#cases.set(holding, { type: 'waiting', claims, timer: this.#parts.clock.after(ms, late, true) })
  }

  /** One of the two, whatever the callback does. */
  #choice(resolve: Resolve, name: string, a: Claim, b: Claim): Promise<Claim> {
    return new Promise((done) => {
      const timer = this.#parts.clock.after(DECISION_TIMEOUT_MS, () => done(a), true)
      const decide = async (): Promise<Claim> => {
        const pid = await resolve(name, describe(a), describe(b))
        return b.pid.equals(pid) ? b : a
      }
      decide()
        .catch(() => a)
        .then((claim) => {
          timer.cancel()
          done(claim)
        })
    })
  }

  #settleByAge(holding: Holding): void {
    const { table, holdings } = this.#parts
    const [best] = table.claims(holding.name)
    const own = table.claimOf(holding.name, undefined)
    if (holdings.get(holding.name) !== holding || own === undefined || best === undefined || best === own) return
    this.#lose(holding, own, best)
  }

  #lose(holding: Holding, own: Claim, winner: Claim): void {
    const { holdings, emit, tellLoser } = this.#parts
    const { name } = holding
    this.#close(holding)
    // Its last token may not have been told yet: the winner's next one is to be greater.
    if (winner.owner !== undefined) this.#parts.dialogue.tell(winner.owner, { type: 'lost', name, token: own.token })
    holdings.remove(holding)
    emit({ type: 'globalConflict', name, winner: winner.pid, loser: own.pid })
    tellLoser(own.pid, new SkeinError('ERR_SKEIN_NAME_CONFLICT', `"${name}" is the name of ${winner.pid} now.`))
  }

  #close(holding: Holding): void {
    const known = this.#cases.get(holding)
    if (known?.type === 'waiting') known.timer.cancel()
    this.#cases.delete(holding)
  }
}

/** What it claims is the other half of handing the name over. */
const isPartner = (holdings: Holdings, { name, giver }: Holding, owner: ChannelPeer): boolean =>
  owner === holdings.heirs.get(name) || owner === giver

const describe = ({ pid, token, registeredAt }: Claim): GlobalClaim => ({
  pid,
  token: tokenOf(token, pid.origin),
  registeredAt: timeOf(registeredAt),
})
