/**
 * A run as it happens: hosts, the actors on them, and all that was said and heard. It knows how to let actors do things
 * and how to understand what they get, turns both into facts, and shows every fact to the rules.
 *
 * Whatever is done is done in an event of its own, when all that came before is through: so "before" and "after" have one
 * meaning for the whole run.
 */
import { isSkeinError } from '../../certs/errors.ts'
import { type From, Pid, type Ref, type RemoteName, type Self } from '../../src/index.ts'
import type { SimulatedHost, Simulation } from '../../src/testing/index.ts'
import { describe } from './describe.ts'
import {
  Actor,
  type Answer,
  type Call,
  type Fact,
  type Flight,
  isFuzz,
  type Mail,
  Place,
  type Policy,
  type Question,
  type Rule,
  type Scene,
  type SetTimer,
  type SpawnHow,
  type SpawnRequest,
  type Style,
  type Subject,
  show,
  Violation,
} from './facts.ts'
import { receiver } from './receiver.ts'

/** The body of every message is this byte of its number, repeated. */
const BODY_MASK = 0xff
/** The behaviour that every node knows. */
const BEHAVIOUR = 'actor'

/** A call that its server has not answered. */
interface HeldCall {
  readonly by: Actor
  readonly from: From
  readonly call: number
}

interface StandingMonitor {
  readonly by: Actor
  readonly ref: Ref
}

export class World implements Scene {
  readonly hosts: readonly SimulatedHost[]
  readonly actors: Actor[] = []
  readonly monitors: StandingMonitor[] = []
  readonly timers: SetTimer[] = []
  readonly held: HeldCall[] = []
  readonly #sim: Simulation
  readonly #rules: readonly Rule[]
  readonly #facts: { readonly atMs: number; readonly fact: Fact }[] = []
  readonly #places = new Map<SimulatedHost, Place>()
  readonly #byPid = new Map<string, Actor>()
  readonly #byId = new Map<string, Actor>()
  readonly #flights = new Map<string, Flight>()
  readonly #requests = new Map<number, SpawnRequest>()
  #violation: Violation | undefined
  #lastWhy = 0
  #lastCall = 0
  #lastRequest = 0
  #lastAnswer = 0
  #lastPlace = 0
  #lastConnection = 0

  constructor(sim: Simulation, rules: readonly Rule[]) {
    this.#sim = sim
    this.#rules = rules
    this.hosts = Object.values(sim.hosts)
    for (const host of this.hosts) this.moveIn(host)
    // What a rule finds in the middle of a process function must not end as the reason of that process.
    sim.always('every guarantee', () => {
      if (this.#violation !== undefined) throw this.#violation
    })
  }

  get nowMs(): number {
    return this.#sim.nowMs
  }

  // ---- queries

  place(host: SimulatedHost): Place {
    const place = this.#places.get(host)
    if (place === undefined) throw new Error(`no node was started on ${host.name}`)
    return place
  }

  actorOf(pid: Pid): Actor | undefined {
    return this.#byPid.get(pid.key)
  }

  /** Who has a name: by the node's own word. */
  holder(place: Place, name: string): Actor | undefined {
    const pid = place.node.whereis(name)
    return pid && this.actorOf(pid)
  }

  report(): string {
    return this.#facts.map(({ atMs, fact }) => `${atMs.toFixed(1).padStart(10)}  ${describe(fact)}`).join('\n')
  }

  // ---- facts

  add(fact: Fact): void {
    this.#facts.push({ atMs: this.nowMs, fact })
    this.ask((rule) => rule.see(fact, this))
  }

  /** Lets each rule judge; the first violation ends the run. */
  ask(judge: (rule: Rule) => void): void {
    if (this.#violation !== undefined) return
    try {
      for (const rule of this.#rules) judge(rule)
    } catch (error) {
      this.#violation = error instanceof Violation ? error : new Violation('a rule broke', `${(error as Error).stack}`)
    }
  }

  violate(guarantee: string, text: string): void {
    this.#violation ??= new Violation(guarantee, text)
  }

  // ---- places

  /** A node was started on the host. */
  moveIn(host: SimulatedHost): Place {
    const place = new Place(host, ++this.#lastPlace)
    this.#places.set(host, place)
    place.node.behaviour(BEHAVIOUR, (self, number: number) => this.#beBorn(place, self, number))
    void this.#listen(place)
    return place
  }

  /** The node on the host is gone, without a word. */
  moveOut(host: SimulatedHost): void {
    const place = this.place(host)
    place.isGone = true
    for (const actor of this.actors) {
      if (actor.place === place && actor.isAlive) this.#ended(actor, 'crash')
    }
  }

  async #listen(place: Place): Promise<void> {
    for await (const event of place.node.events) {
      if (event.type === 'nodeup') {
        const connection = { number: ++this.#lastConnection, id: event.id, incarnation: event.incarnation }
        this.add({ type: 'nodeup', place, node: event.node, connection })
        place.up.set(event.node, connection)
        note(place.ups, event.node, this.nowMs)
      } else if (event.type === 'nodedown') {
        this.add({ type: 'nodedown', place, node: event.node, reason: event.reason })
        place.up.delete(event.node)
        note(place.losses, event.node, this.nowMs)
      }
    }
  }

  // ---- actors

  /** Spawns an actor: by another one of the same place, or by the node. */
  spawn(place: Place, by: Actor | undefined, how: SpawnHow, trapExit: boolean, style: Style): Actor {
    const actor = new Actor(`${place.host.name}${this.actors.length}`, place, trapExit)
    const body = (self: Self): Promise<void> => this.#live(actor, self, style)
    if (by === undefined) actor.pid = place.node.spawn(body)
    else if (how === 'monitor') {
      const { pid, ref } = by.self.spawnMonitor(body)
      actor.pid = pid
      this.#introduce(actor, by, how)
      this.monitors.push({ by, ref })
      this.add({ type: 'monitored', by, of: actor, ref })
      return actor
    } else actor.pid = how === 'link' ? by.self.spawnLink(body) : by.self.spawn(body)
    this.#introduce(actor, by, how)
    if (by !== undefined && how === 'link') this.add({ type: 'linked', by, to: actor })
    return actor
  }

  /** Asks a node to start an actor. */
  spawnOn(
    by: Actor,
    node: string,
    how: Omit<SpawnRequest, 'number' | 'by' | 'node'> & { readonly timeoutMs: number },
  ): void {
    const { timeoutMs, trapExit, style, isUnknown, start } = how
    const number = ++this.#lastRequest
    const request: SpawnRequest = { number, by, node, how: how.how, trapExit, style, start, isUnknown }
    this.#requests.set(number, request)
    this.add({ type: 'spawnAsked', request })
    const behaviour = isUnknown ? 'nobody' : BEHAVIOUR
    const args = [number]
    const options = { start, timeoutMs }
    const asked =
      request.how === 'monitor'
        ? by.self.spawnMonitorOn(node, behaviour, args, options)
        : (request.how === 'link' ? by.self.spawnLinkOn : by.self.spawnOn)
            .call(by.self, node, behaviour, args, options)
            .then((pid) => ({ pid, ref: undefined }))
    asked.then(
      ({ pid, ref }) => {
        this.add({ type: 'spawnAnswered', request, pid, code: '' })
        const of = this.actorOf(pid)
        if (ref === undefined || of === undefined) return
        this.monitors.push({ by, ref })
        this.add({ type: 'monitored', by, of, ref })
      },
      (error: unknown) => this.add({ type: 'spawnAnswered', request, pid: undefined, code: show(error) }),
    )
  }

  /** An actor that somebody asked for starts, and says so at once. */
  #beBorn(place: Place, self: Self, number: number): Promise<void> {
    const request = this.#requests.get(number)
    if (request === undefined) throw new Error(`nobody asked for ${number}`)
    const { by, how, trapExit, style } = request
    const actor = new Actor(`${place.host.name}${this.actors.length}`, place, trapExit)
    actor.pid = self.pid
    actor.self = self
    this.#introduce(actor, by, how)
    this.add({ type: 'born', request, actor })
    if (how === 'link') this.add({ type: 'linked', by: actor, to: by })
    this.mail(actor, by, by.pid, 8)
    return this.#live(actor, self, style)
  }

  #introduce(actor: Actor, by: Actor | undefined, how: SpawnHow): void {
    this.actors.push(actor)
    this.#byPid.set(actor.pid.key, actor)
    this.#byId.set(actor.id, actor)
    if (actor.trapExit) actor.trapsSinceMs = this.nowMs
    this.add({ type: 'spawned', actor, by, how })
  }

  async #live(actor: Actor, self: Self, style: Style): Promise<void> {
    actor.self = self
    self.trapExit = actor.trapExit
    self.monitorNodes(true)
    for (const node of actor.place.node.nodes()) this.add({ type: 'nodeSeen', actor, node, isUp: true })
    try {
      const next = receiver(self, style)
      for (;;) {
        const message = await next()
        if (isFuzz(message, 'order')) {
          if (message.end === 'throw') throw new Error(`why ${message.why}`)
          this.#ended(actor, 'normal')
          return
        }
        this.#heard(actor, message)
      }
    } catch (error) {
      const isEnded = isSkeinError(error, 'ERR_SKEIN_PROCESS_ENDED')
      this.#ended(actor, show(isEnded ? error.cause : error))
      throw error
    }
  }

  #ended(actor: Actor, reason: string): void {
    if (actor.end !== undefined) return
    actor.end = { atMs: this.nowMs, reason }
    this.add({ type: 'ended', actor, reason })
  }

  // ---- what actors get

  #heard(actor: Actor, message: unknown): void {
    if (isFuzz(message, 'mail')) this.#heardMail(actor, message)
    else if (isTyped(message, 'call') && isFuzz(message.request, 'question')) {
      this.#heardQuestion(actor, message.from as From, message.request)
    } else if (isTyped(message, 'EXIT')) this.#heardExit(actor, message.pid as Pid, message.reason)
    else if (isTyped(message, 'DOWN')) {
      const { ref, pid, reason } = message as { ref: Ref; pid: Pid | RemoteName; reason: unknown } & typeof message
      this.add({ type: 'down', actor, ref, about: pid, reason: show(reason) })
    } else if (isTyped(message, 'nodeup') || isTyped(message, 'nodedown')) {
      this.add({ type: 'nodeSeen', actor, node: String(message.node), isUp: message.type === 'nodeup' })
    } else this.add({ type: 'strange', actor, message })
  }

  #heardMail(actor: Actor, mail: Mail): void {
    this.#arrived(actor, mail, mail, mail.body)
    if (mail.handedOn !== undefined) this.answer(actor, mail.handedOn.from, mail.handedOn.call)
  }

  #heardQuestion(actor: Actor, from: From, question: Question): void {
    this.#arrived(actor, question, question, undefined)
    if (actor.isOver) return
    const { call, policy, handOnTo } = question
    if (policy === 'reply' || policy === 'twice') this.answer(actor, from, call)
    if (policy === 'twice') this.answer(actor, from, call)
    if (policy === 'hold') this.held.push({ by: actor, from, call })
    const next = handOnTo && this.actorOf(handOnTo)
    if (policy === 'handOn' && next !== undefined) this.mail(actor, next, next.pid, 8, { from, call })
    if (policy === 'end') this.end(actor)
  }

  #heardExit(actor: Actor, pid: Pid, reason: unknown): void {
    const of = this.actorOf(pid)
    const flight = isFuzz(reason, 'exit') ? this.#flights.get(`${reason.from}#${reason.number}`) : undefined
    if (flight !== undefined && flight.to === actor && flight.from === of)
      this.#arrived(actor, reason, flight, undefined)
    else if (of === undefined) this.add({ type: 'strange', actor, message: { pid, reason } })
    else this.add({ type: 'exit', actor, of, reason: show(reason) })
  }

  #arrived(actor: Actor, message: unknown, key: { from: unknown; number: number }, body: Uint8Array | undefined): void {
    const from = key.from instanceof Actor ? key.from.id : String(key.from)
    const flight = this.#flights.get(`${from}#${key.number}`)
    if (flight === undefined) {
      this.add({ type: 'strange', actor, message })
      return
    }
    const isWhole =
      body === undefined || (body.length === flight.size && body.every((byte) => byte === (flight.number & BODY_MASK)))
    this.add({ type: 'arrived', flight, actor, isWhole })
  }

  // ---- what actors do

  mail(by: Actor, subject: Subject, to: Pid | RemoteName, size: number, handedOn?: Mail['handedOn']): void {
    const flight = this.#flight('mail', by, subject, size)
    this.#launch(flight, () => by.self.send(to as Pid, this.#letter(flight, handedOn)))
  }

  exit(by: Actor, to: Actor): void {
    const flight = this.#flight('exit', by, to, 0)
    this.add({ type: 'exitSent', by, to, reason: `exit ${by.id}#${flight.number}` })
    this.#launch(flight, () => by.self.exit(to.pid, { fuzz: 'exit', from: by.id, number: flight.number }))
  }

  /** With a reason that does not say where it comes from. */
  exitPlainly(by: Actor, to: Actor, reason: string): void {
    this.add({ type: 'exitSent', by, to, reason })
    this.#try(() => by.self.exit(to.pid, reason))
  }

  call(by: Actor, subject: Subject, to: Pid | RemoteName, policy: Policy, handOnTo: Actor, timeoutMs: number): void {
    const flight = this.#flight('call', by, subject, 0)
    const number = ++this.#lastCall
    const sentLocalMs = by.place.host.clock.now()
    const call: Call = { number, by, to: subject, timeoutMs, sentMs: this.nowMs, sentLocalMs }
    const question: Question = {
      fuzz: 'question',
      from: by.id,
      number: flight.number,
      call: number,
      policy,
      ...(policy === 'handOn' ? { handOnTo: handOnTo.pid } : {}),
    }
    this.add({ type: 'sent', flight })
    this.add({ type: 'called', call })
    by.self.call(to as Pid<never>, question, { timeoutMs }).then(
      (value) => {
        if (isFuzz(value, 'answer')) this.add({ type: 'outcome', call, outcome: { type: 'value', answer: value } })
        else this.violate('G21', `call ${number} of ${by.id} was answered with ${String(value)}`)
      },
      (error: unknown) => {
        const cause = error instanceof Error && error.cause !== undefined ? show(error.cause) : ''
        this.add({ type: 'outcome', call, outcome: { type: 'error', code: show(error), cause } })
      },
    )
  }

  answer(by: Actor, from: From, call: number): void {
    if (by.isOver) return
    const answer: Answer = { fuzz: 'answer', call, number: ++this.#lastAnswer }
    this.add({ type: 'answered', by, answer })
    this.#try(() => by.self.reply(from, answer))
  }

  link(by: Actor, to: Actor): void {
    if (by === to) return
    this.add({ type: 'linked', by, to })
    this.#try(() => by.self.link(to.pid as Pid<never>))
  }

  unlink(by: Actor, to: Actor): void {
    if (by === to) return
    this.#try(() => by.self.unlink(to.pid as Pid<never>))
    this.add({ type: 'unlinked', by, to })
  }

  monitor(by: Actor, subject: Subject, to: Pid | RemoteName): void {
    // A monitor on oneself brings nothing, in Erlang too.
    if (subject === by || (to instanceof Pid ? to : this.holder(by.place, to.name)?.pid)?.equals(by.pid)) return
    const ref = this.#try(() => by.self.monitor(to as Pid<never>))
    if (ref === undefined) return
    this.monitors.push({ by, ref })
    this.add({ type: 'monitored', by, of: subject, ref })
  }

  demonitor({ by, ref }: StandingMonitor, flush: boolean): void {
    const was = by.self.demonitor(ref, { flush })
    this.add({ type: 'demonitored', by, ref, flush, was })
  }

  setTimer(by: Actor, subject: Subject, to: Pid | RemoteName, ms: number): void {
    const flight = this.#flight('timer', by, subject, 8)
    this.add({ type: 'sent', flight })
    const ref = this.#try(() => by.self.sendAfter(ms, to as Pid, this.#letter(flight)))
    if (ref === undefined) return
    const timer: SetTimer = { ref, by, flight, dueLocalMs: by.place.host.clock.now() + ms }
    this.timers.push(timer)
    this.add({ type: 'timerSet', timer })
  }

  cancel(timer: SetTimer): void {
    this.add({ type: 'timerCancelled', timer, was: timer.by.self.cancelTimer(timer.ref) })
  }

  register(actor: Actor, name: string): void {
    const refused = this.#refused('ERR_SKEIN_NAME_REGISTERED', () => actor.self.register(name))
    if (!refused) actor.names.add(name)
    this.add({ type: 'registered', actor, name, refused })
  }

  unregister(place: Place, name: string): void {
    const refused = this.#refused('ERR_SKEIN_NOT_REGISTERED', () => place.node.unregister(name))
    this.add({ type: 'unregistered', place, name, refused })
  }

  trap(actor: Actor, on: boolean): void {
    if (actor.trapExit === on) return
    actor.trapExit = on
    actor.trapsSinceMs = on ? this.nowMs : Number.POSITIVE_INFINITY
    actor.self.trapExit = on
    this.add({ type: 'trap', actor, on })
  }

  /** Ends at once, with a reason of its own. */
  end(actor: Actor, reason?: string): void {
    const why = reason ?? { fuzz: 'why' as const, number: ++this.#lastWhy }
    this.add({ type: 'willEnd', actor, reason: show(why) })
    try {
      actor.self.exit(why)
    } catch {
      // That is how `exit` unwinds the function of a process, which here is elsewhere.
    }
  }

  /** Its function returns or throws when it comes to this message. */
  order(actor: Actor, end: 'return' | 'throw'): void {
    const why = ++this.#lastWhy
    this.add({ type: 'willEnd', actor, reason: end === 'return' ? 'normal' : `error why ${why}` })
    actor.place.node.send(actor.pid, { fuzz: 'order', end, why })
  }

  // ---- helpers

  #flight(kind: Flight['kind'], from: Actor, to: Subject, size: number): Flight {
    const number = ++from.lastSent
    const connection = to instanceof Actor ? from.place.connectionTo(to.place) : undefined
    const flight: Flight = { kind, from, number, to, size, connection, sentMs: this.nowMs, isRefused: false }
    this.#flights.set(`${from.id}#${number}`, flight)
    return flight
  }

  #launch(flight: Flight, launch: () => unknown): void {
    if (this.#try(launch) === undefined && flight.kind === 'mail') flight.isRefused = true
    this.add({ type: 'sent', flight })
  }

  #letter({ from, number, size }: Flight, handedOn?: Mail['handedOn']): Mail {
    const body = new Uint8Array(size).fill(number & BODY_MASK)
    return { fuzz: 'mail', from: from.id, number, body, ...(handedOn === undefined ? {} : { handedOn }) }
  }

  /** Undefined if it was refused for want of room; whatever else is thrown is a defect. */
  #try<T>(work: () => T): T | undefined {
    try {
      return work()
    } catch (error) {
      if (!isSkeinError(error, 'ERR_SKEIN_QUEUE_FULL')) this.violate('an unexpected error', `${(error as Error).stack}`)
      return undefined
    }
  }

  #refused(code: string, work: () => void): boolean {
    try {
      work()
      return false
    } catch (error) {
      if (!(isSkeinError(error) && error.code === code)) this.violate('an unexpected error', show(error))
      return true
    }
  }
}

const note = (times: Map<string, number[]>, node: string, atMs: number): void => {
  const known = times.get(node)
  if (known === undefined) times.set(node, [atMs])
  else known.push(atMs)
}

const isTyped = <T extends string>(message: unknown, type: T): message is { type: T; [key: string]: unknown } =>
  typeof message === 'object' && message !== null && 'type' in message && message.type === type
