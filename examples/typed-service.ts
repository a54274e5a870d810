/**
 * A typed service: the compiler knows what it understands and answers, and zod looks at what really arrives from other
 * nodes. Run it with: npx tsx examples/typed-service.ts
 */
import { randomBytes } from 'node:crypto'
import { genServer, isSkeinError, type PidOf, type Request, startNode } from 'skein'
import { z } from 'zod'

const Deposit = z.object({ type: z.literal('deposit'), amount: z.number().int().positive() })
const Read = z.object({ type: z.literal('read') })

/** Each request with what it is answered. */
type Asked = Request<z.infer<typeof Deposit>, { readonly balance: number }> | Request<z.infer<typeof Read>, number>
const Asked: z.ZodType<Asked> = z.discriminatedUnion('type', [Deposit, Read])

const account = genServer({
  init: (_self, owner: string) => ({ state: { owner, balance: 0 } }),
  handleCall(request: Asked, _from, { owner, balance }) {
    if (request.type === 'read') return { reply: balance }
    const after = balance + request.amount
    return { reply: { balance: after }, state: { owner, balance: after } }
  },
  schema: { call: Asked },
})

const options = { cookie: randomBytes(32), host: '127.0.0.1', port: 0, discovery: false }
const bank = await startNode({ ...options, name: 'bank' })
const branch = await startNode({ ...options, name: 'branch' })
await branch.connect(`127.0.0.1:${bank.addresses[0]?.port}`)
const anna: PidOf<typeof account> = await bank.start(account, 'Anna')

const { balance } = await branch.call(anna, { type: 'deposit', amount: 40 })
console.log(`the compiler knows that the balance is a number: ${balance.toFixed(2)}`)
console.log(`and that this is one: ${(await branch.call(anna, { type: 'read' })).toFixed(2)}`)

// What the compiler refuses can come all the same: from an older version, or from a program that is not in TypeScript.
const negative: unknown = { type: 'deposit', amount: -5 }
const refused = await branch
  .call(anna, negative as { readonly type: 'deposit'; readonly amount: number })
  .catch((error: unknown) => error)
if (!isSkeinError(refused, 'ERR_SKEIN_BAD_REQUEST')) throw refused
console.log(`zod refused it there: ${refused.message}`)
console.log(`nothing was changed: ${await branch.call(anna, { type: 'read' })}`)

await Promise.all([branch.stop(), bank.stop()])
