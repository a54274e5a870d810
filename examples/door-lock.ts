/**
 * A door with a code lock, as a state machine, and the picture of it. Run it with: npx tsx examples/door-lock.ts
 */
import { randomBytes } from 'node:crypto'
import { startNode, stateMachine } from 'skein'

const doorLock = stateMachine({
  // The data beside the state, from the arguments of the process.
  data: (code: string) => ({ code, typed: '' }),
  initial: 'locked',
  states: {
    locked: {
      on: {
        button: {
          // What is not declared here cannot happen; the compiler sees to it too.
          to: 'open',
          do({ data }, { digit }: { readonly digit: string }) {
            const typed = (data.typed + digit).slice(-data.code.length)
            if (typed === data.code) return { next: 'open', data: { ...data, typed: '' } }
            // Whoever hesitates begins again.
            return { data: { ...data, typed }, eventTimeoutMs: 3_000 }
          },
        },
      },
      eventTimeout: ({ data }) => ({ data: { ...data, typed: '' } }),
      calls: { pass: 'postpone' },
    },
    open: {
      enter: () => console.log('the door is open'),
      stateTimeout: { afterMs: 200, to: 'locked' },
      on: { button: 'postpone' },
      calls: { pass: (_machine, { who }: { readonly who: string }) => ({ reply: `welcome, ${who}` }) },
    },
  },
})

console.log(doorLock.mermaid())

const node = await startNode({ cookie: randomBytes(32), host: '127.0.0.1', port: 0, discovery: false, name: 'house' })
const door = await node.start(doorLock, '1234')

// Both wait: they come again whenever the state changes.
const anna = node.call(door, { type: 'pass', who: 'Anna' })
const ben = node.call(door, { type: 'pass', who: 'Ben' })
for (const digit of '991234') node.cast(door, { type: 'button', digit })
console.log(await anna)
console.log(await ben)
// Typed while the door is open: the lock minds it when it is locked again.
for (const digit of '1234') node.cast(door, { type: 'button', digit })
await new Promise((resolve) => setTimeout(resolve, 300))
console.log(await node.call(door, { type: 'pass', who: 'Carl' }))
await node.stop()
