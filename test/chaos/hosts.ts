/**
 * The machines of a chaos run: one network namespace for each member, all on one switch, with a packet filter on each that
 * the run can tell whose packets to drop.
 */
import { execFileSync } from 'node:child_process'
import { type LanHost, lan } from '../support/lan.ts'
import type { TestContext } from '../support/suite.ts'

const TABLE = `table inet chaos {
  set blocked { type ipv4_addr; }
  chain input {
    type filter hook input priority 0;
    ip saddr @blocked drop
  }
}`

export class Hosts {
  readonly all: readonly LanHost[]
  readonly #context: TestContext
  /** `from>to`, counted: several faults may block the same way. */
  readonly #blocked = new Map<string, number>()

  constructor(context: TestContext, count: number) {
    this.#context = context
    this.all = lan(context, count)
    for (const host of this.all) host.filter(context, TABLE)
  }

  /** Packets from one host to the other are dropped from now on. */
  block(from: number, to: number): void {
    const key = `${from}>${to}`
    const count = this.#blocked.get(key) ?? 0
    this.#blocked.set(key, count + 1)
    if (count === 0) this.#tell(to, `add element inet chaos blocked { ${this.all[from]!.ipv4} }`)
  }

  unblock(from: number, to: number): void {
    const key = `${from}>${to}`
    const count = this.#blocked.get(key) ?? 0
    if (count === 1) this.#tell(to, `delete element inet chaos blocked { ${this.all[from]!.ipv4} }`)
    if (count <= 1) this.#blocked.delete(key)
    else this.#blocked.set(key, count - 1)
  }

  /** So many of a hundred packets that come in are lost; 0 ends it. */
  lose(host: number, percent: number): void {
    const rule = percent === 0 ? '' : `\nadd rule inet chaos input numgen random mod 100 < ${percent} drop`
    const base = 'flush chain inet chaos input\nadd rule inet chaos input ip saddr @blocked drop'
    this.#tell(host, base + rule)
  }

  #tell(host: number, rules: string): void {
    this.all[host]!.filter(this.#context, rules)
  }
}

/** What the machine has left of dead runs is not ours to clean: names of namespaces have the number of their process. */
export const canMakeHosts = (): boolean => {
  try {
    execFileSync('nft', ['--version'], { stdio: 'ignore' })
    return process.platform === 'linux' && process.getuid?.() === 0
  } catch {
    return false
  }
}
