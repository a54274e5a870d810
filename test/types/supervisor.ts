/** What the compiler knows of supervisors and tasks. Checked by `npm run test:types`; nothing here runs. */
import { type Pid, type Self, type SkeinNode, startTask, supervisor, supervisorOf, taskMap } from '../../src/index.ts'

declare const node: SkeinNode
declare const self: Self<'go'>

const counter = async (_self: Self<{ add: number }>, _start: number, _name?: string): Promise<void> => {}
const plain = async (_self: Self<string>): Promise<void> => {}

// Arguments are those of the behaviour, child by child.
supervisor({
  children: [
    { id: 'a', start: counter, args: [1] },
    { id: 'b', start: counter, args: [1, 'b'] },
    { id: 'c', start: plain },
    { id: 'd', start: 'by name', args: ['whatever'] },
  ],
})
// @ts-expect-error: an argument of the wrong type
supervisor({ children: [{ id: 'a', start: counter, args: ['one'] }] })
// @ts-expect-error: an argument is missing
supervisor({ children: [{ id: 'a', start: counter }] })
// @ts-expect-error: no such strategy
supervisor({ strategy: 'one_for_one', children: [] })
const [one, two] = [
  { id: 'a', start: plain },
  { id: 'b', start: plain },
]
// @ts-expect-error: one pattern, not two
supervisor({ strategy: 'simpleOneForOne', children: [one, two] })
supervisor({ strategy: 'simpleOneForOne', children: [{ id: 'a', start: counter }] })

// A list made by the program.
supervisor({ children: ['a', 'b'].map((id) => ({ id, start: plain })) })

// Made of its arguments, which `start` then wants.
const made = supervisor((count: number) => ({ children: [{ id: 'a', start: counter, args: [count] }] }))
node.start(made, 5)
// @ts-expect-error: the argument is missing
node.start(made)

// A supervisor is asked, not sent to.
const tree: Promise<Pid> = node.start(supervisor({ children: [] })) as Promise<Pid>
tree.then(async (pid) => {
  const client = supervisorOf(node, pid)
  supervisorOf(self, { name: 'tree', node: 'there@host' })
  const child: Pid = await client.startChild({ id: 'a', start: counter, args: [1] })
  // @ts-expect-error: an argument of the wrong type
  await client.startChild({ id: 'a', start: counter, args: ['one'] })
  await client.terminateChild(child)
})
node.start(supervisor({ children: [] })).then((pid) => {
  // @ts-expect-error: nothing can be sent to it
  node.send(pid, 'hello')
})

// A task gives what its function returns.
const length: Promise<number> = startTask(self, async () => 'text'.length).result()
const lengths: Promise<number[]> = taskMap(self, ['a', 'b'], (text) => text.length)
// @ts-expect-error: it is a number
const wrong: Promise<string> = startTask(self, () => 5).result()

export { length, lengths, wrong }
