/**
 * What a chaos run watches with the view of all members:
 *
 * - a node goes down for another only for a cause: a fault that touches one of the two or the way between them, or one of
 *   them stepping back from an overlapping partition; never while everything is well;
 * - no two holders of a name write with the same token, and after agreement the holder's token is admitted;
 * - after agreement everybody sees the same members, names and group, and every child runs exactly once;
 * - what members report themselves: messages out of order or missing, and errors nobody caught.
 */
import { Fence } from '../../src/index.ts'
import type { Fault } from './faults.ts'
import type { MemberProcess } from './process.ts'
import { CHILDREN, type MemberReport, type MemberState } from './protocol.ts'

const MAX_PRINTED = 20

interface Resource {
  readonly fence: Fence
  token: string
  holder: string
}

export class Judge {
  violations = 0
  readonly #say: (text: string) => void
  /** Undefined: all is well, and nothing may happen. */
  #faults: readonly Fault[] | undefined = []
  /** Members that stepped back since the faults began. */
  readonly #steppedBack = new Set<number>()
  readonly #resources = new Map<string, Resource>()
  readonly #counts = new Map<string, number>()

  constructor({ say }: { say: (text: string) => void }) {
    this.#say = say
  }

  violation(text: string): void {
    this.violations++
    if (this.violations <= MAX_PRINTED) this.#say(`VIOLATION ${text}`)
  }

  faultsBegin(faults: readonly Fault[]): void {
    this.#faults = faults
    this.#steppedBack.clear()
    for (const { text } of faults) this.#count(`fault: ${text.replace(/ ?\bm\d+\b.*/, '')}`)
  }

  faultsOver(): void {
    this.#faults = undefined
  }

  heard(member: number, report: MemberReport): void {
    const who = `m${member + 1}`
    switch (report.type) {
      case 'violation':
        this.violation(`${who}: ${report.text}`)
        break
      case 'event':
        this.#event(member, report.event)
        break
      case 'write':
        this.#write(report)
        break
      case 'registered':
        this.#count('names registered')
        break
      case 'refusedName':
        this.#count(`names refused: ${report.code}`)
        break
      case 'childRuns':
        this.#count('children started')
        break
    }
  }

  /** Resources forget the tokens that they saw; gives how many resources there were. */
  forgetTokens(): number {
    const { size } = this.#resources
    this.#resources.clear()
    return size
  }

  /** Empty: they agree. */
  disagreement(members: readonly MemberProcess[], states: readonly MemberState[]): string {
    for (const [i, { nodes }] of states.entries()) {
      if (nodes.length !== members.length - 1) return `m${i + 1} sees ${nodes.length} of ${members.length - 1} nodes`
    }
    const [first] = states
    for (const [i, state] of states.entries()) {
      const names = differing(first!.names, state.names)
      if (names !== undefined)
        return `m1 and m${i + 1} differ in name ${names}: ${first!.names[names]} and ${state.names[names]}`
      if (state.group.length !== members.length) return `m${i + 1} sees ${state.group.length} in the group`
      if (state.group.join() !== first!.group.join()) return `m1 and m${i + 1} differ in the group`
    }
    for (const id of CHILDREN) {
      const running = states.flatMap((state) => state.running.filter((one) => one.startsWith(`${id} `)))
      if (running.length !== 1) return `child ${id} runs ${running.length} times`
      const named = first!.names[`chaos/${id}`]
      if (named === undefined || !named.startsWith(`${running[0]!.slice(id.length + 1)} `))
        return `child ${id} has no name`
    }
    for (const [name, resource] of this.#resources) {
      const token = first!.names[name]?.split(' ')[1]
      if (token !== undefined && token < resource.token) return `the holder of ${name} has an old token`
    }
    return ''
  }

  summary(): string[] {
    return [...this.#counts].sort().map(([what, count]) => `${String(count).padStart(8)}  ${what}`)
  }

  #event(member: number, event: { readonly type: string }): void {
    this.#count(`event ${event.type}${'reason' in event ? ` ${String(event.reason)}` : ''}`)
    if (event.type === 'nodedown' && 'node' in event && 'reason' in event) {
      this.#nodeDown(member, String(event.node), String(event.reason))
    }
  }

  #nodeDown(member: number, node: string, reason: string): void {
    const other = Number(/^m(\d+)@/.exec(node)?.[1]) - 1
    const text = `m${member + 1} lost ${node}: ${reason}`
    if (this.#faults === undefined) {
      this.violation(`${text}, and nothing is wrong`)
      return
    }
    const pair = [member, other]
    if (reason === 'overlapping_partition') {
      for (const one of pair) this.#steppedBack.add(one)
      if (!this.#faults.some(({ between }) => between.length > 0)) this.violation(`${text}, and no link is broken`)
      return
    }
    const hasCause = this.#faults.some(
      ({ touches, between }) =>
        pair.some((one) => touches.includes(one)) || between.some(([a, b]) => pair.includes(a) && pair.includes(b)),
    )
    if (!hasCause && !pair.some((one) => this.#steppedBack.has(one))) this.violation(`${text}, without a cause`)
  }

  #write({ name, token, holder }: { name: string; token: string; holder: string }): void {
    let resource = this.#resources.get(name)
    if (resource === undefined) {
      resource = { fence: new Fence(), token: '', holder: '' }
      this.#resources.set(name, resource)
    }
    const admitted = resource.fence.admits(token)
    this.#count(admitted ? 'writes admitted' : 'writes fenced off')
    if (admitted && token === resource.token && holder !== resource.holder) {
      this.violation(`${name}: ${holder} and ${resource.holder} both write with token ${token}`)
    }
    if (admitted && token < resource.token) this.violation(`${name}: token ${token} admitted after ${resource.token}`)
    if (admitted) {
      resource.token = token
      resource.holder = holder
    }
  }

  #count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1)
  }
}

const differing = (a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): string | undefined =>
  [...new Set([...Object.keys(a), ...Object.keys(b)])].find((name) => a[name] !== b[name])
