/** A worker: does one job after the other, and is found through a group. */
import { genServer, type SkeinNode } from 'skein'
import { type Job, WORKERS } from './protocol.ts'

const isPrime = (number: number): boolean => {
  if (number < 2) return false
  for (let divisor = 2; divisor * divisor <= number; divisor++) if (number % divisor === 0) return false
  return true
}

export const workerOn = (node: SkeinNode) =>
  genServer({
    init: (self) => {
      node.groups.join(WORKERS, self.pid)
      return { state: undefined }
    },
    handleCall({ from, to }: Job) {
      let count = 0
      for (let number = from; number < to; number++) if (isPrime(number)) count++
      return { reply: count }
    },
  })

export type Worker = ReturnType<typeof workerOn>
