/**
 * Avahi, the usual responder of Linux machines, on a host of a LAN: its daemon, its browser, its resolver and its publisher.
 *
 * Each host gets a /run of its own, so that daemons of several hosts, and the machine's own, do not meet. Needs Linux,
 * root and the Debian packages avahi-daemon, avahi-utils and dbus. Everything is gone after the test: the shell that keeps
 * the daemons leads a session of its own, which is killed whole.
 */
import { type ChildProcess, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { LanHost } from './lan.ts'
import { SaidLines } from './said-lines.ts'
import type { TestContext } from './suite.ts'

/** The daemon answers after some hundred milliseconds, on a busy machine later. */
const START_TRIES = 100

/** Runs inside the host: starts the daemons, then waits until it is killed. */
const KEEPER = `
mount -t tmpfs tmpfs /run && mkdir -p /run/dbus /run/avahi-daemon || exit 1
dbus-daemon --system --fork --nopidfile || exit 1
printf '[server]\\nhost-name=%s\\nuse-ipv4=yes\\nuse-ipv6=yes\\nallow-interfaces=eth0\\nenable-dbus=yes\\n[wide-area]\\nenable-wide-area=no\\n[rlimits]\\n' "$1" > /run/avahi.conf
avahi-daemon --no-rlimits --no-chroot --no-drop-root -f /run/avahi.conf >/dev/null 2>&1 &
for i in $(seq ${START_TRIES}); do avahi-daemon --check 2>/dev/null && break; sleep 0.1; done
avahi-daemon --check || exit 1
echo ready
exec sleep infinity`

/** A program of avahi that runs on until the test is over. */
export class AvahiProgram {
  readonly child: ChildProcess
  readonly #said: SaidLines

  constructor(t: TestContext, child: ChildProcess) {
    this.child = child
    this.#said = new SaidLines(child, [child.stdout!, child.stderr!])
    t.defer(() => this.stop())
  }

  /** The first line that fits, taken out with all before it. */
  line(fits: (line: string) => boolean): Promise<string> {
    return this.#said.next(fits)
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const exited = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await exited
  }
}

export class Avahi {
  readonly #t: TestContext
  readonly #host: LanHost
  readonly #keeper: number

  private constructor(t: TestContext, host: LanHost, keeper: number) {
    this.#t = t
    this.#host = host
    this.#keeper = keeper
  }

  /** Starts the daemon; `name` is that of the machine. */
  static async start(t: TestContext, host: LanHost, name: string): Promise<Avahi> {
    for (const program of ['avahi-daemon', 'avahi-browse', 'dbus-daemon']) {
      if (spawnSync('which', [program]).status !== 0) t.missing(`${program} (avahi-daemon, avahi-utils, dbus)`)
    }
    const keeper = host.spawn(
      'unshare',
      ['--mount', '--pid', '--fork', '--kill-child', 'bash', '-c', KEEPER, 'avahi', name],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    const exited = once(keeper, 'exit')
    t.defer(async () => {
      // The first process of the namespace of processes takes all others with it.
      keeper.kill('SIGKILL')
      await exited
    })
    const ready = await Promise.race([once(keeper.stdout!, 'data'), exited.then(() => undefined)])
    if (ready === undefined) throw new Error('avahi-daemon did not start')
    return new Avahi(t, host, keeper.pid!)
  }

  /** Runs until the end of the test: `avahi-browse -rp _skein._udp`, `avahi-publish -s ...`. */
  run(program: string, ...args: string[]): AvahiProgram {
    const inside = ['--target', String(this.#keeper), '--mount', program, ...args]
    return new AvahiProgram(this.#t, this.#host.spawn('nsenter', inside, { stdio: ['ignore', 'pipe', 'pipe'] }))
  }

  /** What a program prints until it ends by itself. */
  async output(program: string, ...args: string[]): Promise<string> {
    const { child } = this.run(program, ...args)
    let text = ''
    child.stdout!.on('data', (data: Buffer) => {
      text += data.toString()
    })
    await once(child, 'close')
    return text
  }
}
