/**
 * One node process of the demo: does what the narrator asks and reports what happens.
 *
 * It is an ordinary program on Skein's public face. It lives as long as its channel to the narrator, so nothing is left
 * over whatever happens to the narrator.
 */
import type { Command } from 'commander'
import { isSkeinError } from '../../certs/errors.ts'
import { formatAddress } from '../../transport/address.ts'
import type { NodeEvent } from '../event-stream.ts'
import type { SkeinNode } from '../node.ts'
import type { Pid } from '../pid.ts'
import type { Behaviour } from '../self.ts'
import type { SystemMessage } from '../signals.ts'
import { startNode } from '../start.ts'
import type {
  Ask,
  DemoEvent,
  DemoQuestion,
  DemoQuestions,
  DemoSettings,
  DemoStarted,
  FloodResult,
  Report,
  RoundTrips,
} from './demo-protocol.ts'
import { echo, isCall } from './echo.ts'

/** The demo is about this machine only: nothing of it leaves the loopback, and no firewall asks. */
const HOST = '127.0.0.1'
const MESSAGE = new Uint8Array(100)
const DEAD_LETTER_TIMEOUT_MS = 2000

export const addDemoNode = (program: Command): void => {
  program.command('demo-node', { hidden: true }).action(run)
}

const run = async (): Promise<void> => {
  // Ctrl-C reaches the whole group of processes; the narrator decides what it means.
  process.on('SIGINT', () => {})
  process.once('disconnect', () => process.exit(1))
  const actor = new Actor()
  process.on('message', (ask: Ask) => void actor.answer(ask))
  await actor.done
  process.disconnect()
}

/** Sends a report to the narrator. A narrator that has gone is noticed by `disconnect`. */
const tell = (report: Report): void => void process.send?.(report, () => {})

type Answers = { [Q in DemoQuestion]: (ask: DemoQuestions[Q]['ask']) => Promise<DemoQuestions[Q]['answer']> }

class Actor implements Answers {
