/** All storms, in the order in which `npm run storm -- all` runs them. */
import { clocks } from './clocks.ts'
import { connections } from './connections.ts'
import { corruption } from './corruption.ts'
import { disk } from './disk.ts'
import { files } from './files.ts'
import { memory } from './memory.ts'
import { messages } from './messages.ts'
import { mtu } from './mtu.ts'
import { restarts } from './restarts.ts'
import { stalls } from './stalls.ts'
import type { Storm } from './storm.ts'

export const STORMS: readonly Storm[] = [
  connections,
  corruption,
  messages,
  restarts,
  stalls,
  mtu,
  clocks,
  files,
  memory,
  disk,
]
