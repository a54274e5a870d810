/**
 * One terminal of the chat: a node that finds the others by itself, and a process in their common group. What is typed goes
 * to all, `/who` lists them, Ctrl-C or Ctrl-D leaves. Nobody is told of those who come and go: every node sees it.
 */
import { createInterface } from 'node:readline'
import { type Self, startNode } from 'skein'

const GROUP = 'chat'

interface Line {
  readonly from: string
  readonly text: string
}

const nameOf = (node: string): string => node.split('@')[0] ?? node

/** What others typed goes to a terminal, so it must not steer it. */
const print = (text: string): void => console.log(text.replaceAll(/\p{C}/gu, ''))

export const openTerminal = async (name: string): Promise<void> => {
  // No addresses and no cookie: nodes of one network find each other, those of one user have a cookie in common.
  const node = await startNode({ name, cluster: 'chat-example' })
  const pid = node.spawn(async (self: Self<Line>) => {
    for await (const { from, text } of self) print(`${from}: ${text}`)
  })
  const coming = node.groups.watch(GROUP)
  node.groups.join(GROUP, pid)
  const keyboard = createInterface({ input: process.stdin })

  const tellWhoComes = async (): Promise<void> => {
    for await (const event of coming) {
      if (event.type === 'lagged') continue
      const others = event.pids.filter((one) => one.node !== node.name)
      for (const one of others) print(`* ${nameOf(one.node)} ${event.type === 'join' ? 'is here' : 'is gone'}`)
    }
  }
  void tellWhoComes()
  print(`* you are ${name}, at ${node.addresses.map(({ host, port }) => `${host}:${port}`).join(' and ')}`)

  process.once('SIGINT', () => keyboard.close())
  for await (const text of keyboard) {
    if (text === '/who')
      print(
        `* here: ${node.groups
          .members(GROUP)
          .map((one) => nameOf(one.node))
          .sort()
          .join(', ')}`,
      )
    else if (text !== '') node.groups.publish(GROUP, { from: name, text }, { exclude: pid })
  }
  await node.stop()
}
