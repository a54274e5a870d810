/**
 * `skein demo`, which is `npm start`: three node processes find each other, talk, lose one of them and get it back.
 *
 * This process is the narrator and no node itself: it starts the others, asks them to do things, kills one, and prints
 * what they report, with the seconds since the beginning. It ends by itself: with exit code 0 after the last act, with 1
 * and the reason when something did not happen in time. No process survives it.
 */
import { stripVTControlCharacters } from 'node:util'
import type { Command } from 'commander'
import type { Timed } from './demo-child.ts'
import type { DemoEvent } from './demo-protocol.ts'
import { DemoStage, type NodeUp, type Player, randomHex, sawDown, sawUp } from './demo-stage.ts'
import { Failed } from './failure.ts'
import { addHelp } from './help.ts'
import { jsonOption } from './options.ts'
import { duration, firstSentence, invocation, palette, printJson, printLine } from './output.ts'

/** `npm start` is to be over within 30 s, clearing up included. */
const DEADLINE_MS = 28_000
/** On a network with multicast they find each other within a second or two. */
const FIND_TIMEOUT_MS = 2500
/** Once two have met, the third is on its way, however busy the machine is. */
const MESH_TIMEOUT_MS = 8000
const FLOOD_MS = 1000
const ROUND_TRIPS = 500
const STRANGER_COOKIE_BYTES = 32
const SHOWN_ID_LENGTH = 12

type Trio = readonly [a: Player, b: Player, c: Player]

export const addDemo = (program: Command, entry: string): void => {
  const command = program
    .command('demo')
    .description('three nodes on this machine find each other, talk, and lose one of them')
    .addOption(jsonOption())
    .action(({ json = false }: { readonly json?: boolean }) => run(entry, json))
  addHelp(command, [{ command: 'skein demo', does: 'takes some 10 s and leaves nothing behind' }])
}

const run = async (entry: string, json: boolean): Promise<void> => {
  const narrator = new Narrator(json)
  const stage = await DemoStage.build(entry)
  const cut = new AbortController()
  const timer = setTimeout(() => cut.abort(`it was not over after ${duration(DEADLINE_MS)}`), DEADLINE_MS)
  const interrupt = (): void => cut.abort('it was interrupted')
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt)
  try {
    await Promise.race([new Play(narrator, stage).run(), whenAborted(cut.signal)])
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    if (json) throw new Error(`The demo failed in the act "${narrator.act}": ${reason}`)
    process.stderr.write(`\nThe demo failed in the act "${narrator.act}": ${reason}\n`)
    throw new Failed()
  } finally {
    clearTimeout(timer)
    await stage.clear()
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, interrupt)
  }
}

const whenAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as string), { once: true })
  })

class Narrator {
  readonly paint = palette()
  readonly #beganMs = performance.now()
  readonly #json: boolean
  act = 'Beginning'

  /** For programs everything is a value on a line. */
  constructor(json: boolean) {
    this.#json = json
  }

  get elapsedMs(): number {
    return performance.now() - this.#beganMs
  }

  begin(act: string): void {
    this.act = act
    if (this.#json) printJson({ type: 'act', act })
    else printLine(`\n${this.paint.bold(act)}`)
  }

  /** A line with the time it happened. */
  say(text: string, atMs = performance.now()): void {
    const seconds = ((atMs - this.#beganMs) / 1000).toFixed(2)
    if (this.#json) printJson({ type: 'said', atSeconds: Number(seconds), text: stripVTControlCharacters(text) })
    else printLine(`${this.paint.dim(`${seconds.padStart(6)} s`)}  ${text}`)
  }

  /** Before the first act, or after the last one. */
  frame(...lines: string[]): void {
    if (this.#json) printJson({ type: 'told', text: stripVTControlCharacters(lines.join(' ')).trim() })
    else for (const line of lines) printLine(line)
  }
}

/** The acts, in order. Each gives the next what it needs. */
class Play {
  readonly #narrator: Narrator
  readonly #stage: DemoStage
  /** For nodes that start from now on: empty as long as multicast brings them together. */
  #seeds: readonly string[] = []

  constructor(narrator: Narrator, stage: DemoStage) {
    this.#narrator = narrator
    this.#stage = stage
  }

  async run(): Promise<void> {
    this.#narrator.frame(
      'Skein: three node processes on this machine. Nothing is configured;',
      `the cluster "${this.#stage.cluster}", its cookie and the keys are made up for this run.`,
    )
    const trio = await this.#meet()
    const [a, b] = trio
    await this.#talk(trio)
    const oldPid = await this.#lose(trio)
    const c = await this.#rejoin(trio, oldPid)
    await this.#part([a, b, c])
    const total = duration(this.#narrator.elapsedMs)
    this.#narrator.frame(
      `\n${this.#narrator.paint.good('Done')} in ${total}. Next: ${invocation()} start --name a`,
      'and the same with --name b in a second terminal.',
    )
  }

  async #meet(): Promise<Trio> {
    this.#narrator.begin('Three processes start')
    const [a, b, c] = await Promise.all([this.#start('a'), this.#start('b'), this.#start('c')])

    this.#narrator.begin('They find each other')
    let trio: Trio = [a, b, c]
    if (!(await this.#foundByMulticast(trio))) trio = await this.#meetThroughSeed(trio)
    await allUp(trio)
    const isOfTrio = ({ event }: Timed<NodeUp>): boolean =>
      trio.some((other) => other.incarnation === event.incarnation)
    this.#sayWhoFound(
      trio.flatMap((player) =>
        upsOf(player)
          .filter(isOfTrio)
          .map((up) => ({ player, up })),
      ),
    )
    this.#narrator.say('a, b and c are a full mesh: over QUIC with TLS 1.3, each with a key of its own,')
    this.#narrator.say('membership proven both ways with the cookie, which was never sent')
    return trio
  }

  async #start(label: string): Promise<Player> {
    const player = await this.#stage.start(label, { seeds: this.#seeds })
    const { child, port, id, incarnation } = player
    const shownId = `${id.slice(0, SHOWN_ID_LENGTH)}...`
    this.#narrator.say(
      `${label}  process ${child.processId}, UDP port ${port}, id ${shownId}, incarnation ${incarnation}`,
    )
    return player
  }

  /** False when nobody found anybody in time, when it takes much too long, or when multicast is known not to work. */
  async #foundByMulticast(trio: Trio): Promise<boolean> {
    const timers: NodeJS.Timeout[] = []
    const late = new Promise<false>((resolve) => {
      const giveUp = (): void => resolve(false)
      const nobody = (): boolean => trio.every((player) => upsOf(player).length === 0)
      timers.push(
        setTimeout(() => nobody() && giveUp(), FIND_TIMEOUT_MS),
        setTimeout(giveUp, MESH_TIMEOUT_MS),
      )
    })
    const met = allUp(trio).then(() => true)
    const impossible = Promise.any(trio.map(({ child }) => child.event(isUnusable))).then(() => false)
    const found = await Promise.race([met, late, impossible])
    for (const timer of timers) clearTimeout(timer)
    return found
  }

  async #meetThroughSeed([a, b, c]: Trio): Promise<Trio> {
    const status = a.child.events.find(
      ({ event }) => event.type === 'discoveryStatus' && event.status.source === 'mdns',
    )
    const why =
      status?.event.type === 'discoveryStatus' ? firstSentence(status.event.status.detail) : 'it is switched off'
    this.#narrator.say(`multicast DNS does not bring them together here: ${why};`)
    this.#narrator.say("so b and c start again with a's address as a seed")
    await Promise.all([b, c].map((player) => player.child.ask('stop', null)))
    this.#seeds = [`127.0.0.1:${a.port}`]
    return [a, ...(await Promise.all([this.#start('b'), this.#start('c')]))]
  }

  /** Each connection was dialled by one side, which had found the other. */
  #sayWhoFound(ups: readonly { readonly player: Player; readonly up: Timed<NodeUp> }[]): void {
    const dialled = ups.filter(({ up }) => up.event.dialled)
    for (const { player, up } of dialled.sort((one, other) => one.up.atMs - other.up.atMs)) {
      const { node, port, through } = up.event
      this.#narrator.say(
        `${player.label} found ${shortName(node)} ${THROUGH[through] ?? through}, dialled port ${port}`,
        up.atMs,
      )
    }
  }

  async #talk([a, b, c]: Trio): Promise<void> {
    this.#narrator.begin('They talk')
    const { messages, tookMs } = await a.child.ask('flood', { to: b.name, durationMs: FLOOD_MS })
    const perSecond = Math.round(messages / tookMs).toLocaleString('en')
    const count = messages.toLocaleString('en')
    this.#narrator.say(
      `a -> b  ${count} messages of 100 bytes in ${duration(tookMs)}: ${perSecond} thousand/s, counted in b's mailbox`,
    )
    const { medianMs, p99Ms } = await a.child.ask('roundTrips', { to: c.name, count: ROUND_TRIPS })
    this.#narrator.say(
      `a <-> c ${ROUND_TRIPS} calls, one after the other: ${duration(medianMs)} each there and back, p99 ${duration(p99Ms)}`,
    )
  }

  /** Gives the pid that a monitored. */
  async #lose([a, b, c]: Trio): Promise<string> {
    const { bad } = this.#narrator.paint
    this.#narrator.begin('One is lost')
    const pid = await a.child.ask('monitor', { to: c.name })
    this.#narrator.say(`a monitors the process ${pid} on c`)
    const killedMs = performance.now()
    c.child.kill()
    this.#narrator.say(`${bad('kill -9')} of c; a and b are told nothing, they only hear silence`)
    const after = (atMs: number): string => `${duration(atMs - killedMs)} after the kill`
    const tell = async <T extends DemoEvent>(event: Promise<Timed<T>>, text: (event: T) => string) => {
      const happened = await event
      this.#narrator.say(`${text(happened.event)}, ${after(happened.atMs)}`, happened.atMs)
    }
    await Promise.all([
      this.#knock(a),
      tell(sawDown(a, c, killedMs), ({ reason }) => `a: ${bad('nodedown')} c, ${reason}`),
      tell(a.child.event(isDown, killedMs), ({ reason }) => `a: ${bad('DOWN')} for ${pid}, reason ${reason}`),
      tell(sawDown(b, c, killedMs), ({ reason }) => `b: ${bad('nodedown')} c, ${reason}`),
    ])
    return pid
  }

  /** A stranger gets no answer, and its datagrams never reach TLS. */
  async #knock(a: Player): Promise<void> {
    const before = await a.child.ask('gated', null)
    const stranger = await this.#stage.start('stranger', { cookie: randomHex(STRANGER_COOKIE_BYTES) })
    const code = await stranger.child.ask('knock', { address: `127.0.0.1:${a.port}` })
    const dropped = (await a.child.ask('gated', null)) - before
    this.#narrator.say(
      `meanwhile a stranger with another cookie knocks at a: ${code}; a dropped ${dropped} datagrams before TLS`,
    )
    await stranger.child.ask('stop', null)
  }

  async #rejoin([a, b, lost]: Trio, oldPid: string): Promise<Player> {
    this.#narrator.begin('It comes back')
    const c = await this.#start('c')
    const same = c.id === lost.id ? 'the same key and id' : 'another id'
    const ups = await Promise.all([sawUp(a, c), sawUp(b, c), sawUp(c, a), sawUp(c, b)])
    const players = [a, b, c, c]
    this.#sayWhoFound(ups.map((up, i) => ({ player: players[i] ?? c, up })))
    this.#narrator.say(`c is back under its name with ${same}, and a new incarnation`)
    const nobody = await a.child.ask('sendToOldPid', null)
    this.#narrator.say(`a sends to the old pid ${oldPid}: nobody gets it (${nobody})`)
    const { medianMs } = await a.child.ask('roundTrips', { to: c.name, count: ROUND_TRIPS })
    this.#narrator.say(`a calls the new c: answered, ${duration(medianMs)} there and back`)
    return c
  }

  async #part([a, b, c]: Trio): Promise<void> {
    this.#narrator.begin('They part')
    const stoppedMs = performance.now()
    const [, atA, atB] = await Promise.all([
      c.child.ask('stop', null),
      sawDown(a, c, stoppedMs),
      sawDown(b, c, stoppedMs),
    ])
    const [toldA, toldB] = [atA, atB].map(({ atMs }) => duration(atMs - stoppedMs))
    this.#narrator.say(
      `c stops and says goodbye: nodedown ${atA.event.reason} at a after ${toldA}, at b after ${toldB}`,
    )
    await Promise.all([a, b].map(({ child }) => child.ask('stop', null)))
    const endings = await Promise.all([a, b, c].map(({ child }) => child.exited))
    const clean = endings.every((ending) => ending === 'exit code 0')
    if (!clean) throw new Error(`the processes should have ended with exit code 0, but: ${endings.join(', ')}`)
    this.#narrator.say('a and b stop too; all processes ended by themselves')
  }
}

const THROUGH: Readonly<Record<string, string>> = {
  mdns: 'through mDNS',
  seeds: 'through the seed',
  peers: 'through word of a member',
}

const allUp = async ([a, b, c]: Trio): Promise<void> => {
  await Promise.all([sawUp(a, b), sawUp(a, c), sawUp(b, a), sawUp(b, c), sawUp(c, a), sawUp(c, b)])
}

const upsOf = ({ child }: Player): Timed<NodeUp>[] =>
  child.events.filter((timed): timed is Timed<NodeUp> => timed.event.type === 'nodeup')

const isDown = (event: DemoEvent): event is Extract<DemoEvent, { type: 'DOWN' }> => event.type === 'DOWN'

const isUnusable = (event: DemoEvent): event is Extract<DemoEvent, { type: 'discoveryStatus' }> =>
  event.type === 'discoveryStatus' && event.status.source === 'mdns' && event.status.state === 'failed'

const shortName = (node: string): string => node.slice(0, node.indexOf('@'))
