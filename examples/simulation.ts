/**
 * A bug that only a bad network shows, found in virtual time: who repeats a request that got no answer may pay twice.
 * Run it with: npx tsx examples/simulation.ts
 */
import { type CallMessage, isSkeinError, type Self } from 'skein'
import { ScenarioFailure, type Simulation, simulate } from 'skein/testing'

type Account = CallMessage<{ readonly payment: number } | 'balance', number>

const PAYMENTS = 10

/** Every payment is 1. A careful account knows those it has had already. */
const account = async (self: Self<Account>, isCareful: boolean): Promise<void> => {
  const known = new Set<number>()
  let balance = 0
  for await (const { from, request } of self) {
    if (request !== 'balance' && !(isCareful && known.has(request.payment))) {
      known.add(request.payment)
      balance++
    }
    self.reply(from, balance)
  }
}

/** Ten payments from the shop to the bank, over a network that is cut now and then. */
const payments =
  (isCareful: boolean) =>
  async (sim: Simulation<'shop' | 'bank'>): Promise<void> => {
    const { shop, bank } = sim.hosts
    await sim.meshed()
    sim.conditions({ delayMs: 20, jitterMs: 60, loss: 0.1 })
    const pid = bank.node.spawn(account, isCareful)

    const pay = async (payment: number): Promise<void> => {
      for (;;) {
        try {
          await shop.node.call(pid, { payment }, { timeoutMs: 300 })
          return
        } catch (error) {
          sim.note(`payment ${payment} got no answer: ${isSkeinError(error) ? error.code : error}`)
          // Whatever it was, it is over when the shop tries again.
          sim.heal()
          await sim.sleep(100)
        }
      }
    }

    for (let payment = 1; payment <= PAYMENTS; payment++) {
      const paid = pay(payment)
      await sim.sleep(sim.random.float() * 100)
      if (sim.random.float() < 0.2) sim.cut([bank], [shop])
      await paid
    }
    sim.heal()
    await sim.meshed()
    const balance = await shop.node.call(pid, 'balance')
    if (balance !== PAYMENTS) throw new Error(`${PAYMENTS} payments, and the balance is ${balance}`)
  }

const runs = 50
const nodes = ['shop', 'bank'] as const

try {
  await simulate({ nodes, runs }, payments(false))
} catch (error) {
  if (!(error instanceof ScenarioFailure)) throw error
  console.log(error.message)
}
await simulate({ nodes, runs }, payments(true))
console.log(`the careful account: ${runs} runs, and every payment was made once`)
