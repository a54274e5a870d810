/** All scenarios. */
import type { Scenario } from '../scenario.ts'
import { CALLS } from './calls.ts'
import { EXITS } from './exits.ts'
import { LINKS } from './links.ts'
import { MONITORS } from './monitors.ts'
import { NAMES } from './names.ts'
import { NODE_LOSS } from './node-loss.ts'
import { ORDER } from './order.ts'
import { RECEIVE } from './receive.ts'
import { SPAWN } from './spawn.ts'
import { TIMERS } from './timers.ts'

export const SCENARIOS: readonly Scenario[] = [
  ...[ORDER, EXITS, MONITORS, LINKS, NAMES, CALLS, SPAWN, TIMERS, RECEIVE, NODE_LOSS].flat(),
]
