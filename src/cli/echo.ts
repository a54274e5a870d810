/**
 * The process `echo`: answers every call with what it was asked.
 */

import type { Behaviour } from '../process/behaviour.ts'
import type { CallMessage } from '../process/calls.ts'

export const echo: Behaviour<unknown> = async (self) => {
  for await (const message of self) if (isCall(message)) self.reply(message.from, message.request)
}

export const isCall = (message: unknown): message is CallMessage =>
  typeof message === 'object' && message !== null && 'type' in message && message.type === 'call' && 'from' in message
