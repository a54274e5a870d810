/**
 * A chat room on one node, guests on two, and a room that notices who left without a word.
 * Run it with: npx tsx examples/chat.ts
 */
import { randomBytes } from 'node:crypto'
import { type Pid, type Self, type SystemMessage, startNode } from 'skein'

interface Line {
  readonly type: 'line'
  readonly from: string
  readonly text: string
}
type ToRoom = Line | { readonly type: 'join'; readonly name: string; readonly pid: Pid<Line> } | SystemMessage

/** Passes every line on to all guests. It monitors them, so it needs no goodbye. */
const room = async (self: Self<ToRoom>): Promise<void> => {
  const guests = new Map<string, { readonly name: string; readonly pid: Pid<Line> }>()
  const tellAll = (line: Line): void => {
    for (const { pid } of guests.values()) self.send(pid, line)
  }
  for await (const message of self) {
    if (message.type === 'join') {
      guests.set(self.monitor(message.pid).key, message)
      tellAll({ type: 'line', from: 'room', text: `${message.name} is here` })
    } else if (message.type === 'DOWN') {
      const gone = guests.get(message.ref.key)
      guests.delete(message.ref.key)
      tellAll({ type: 'line', from: 'room', text: `${gone?.name} is gone (${message.reason})` })
    } else if (message.type === 'line') {
      tellAll(message)
    }
  }
}

/** Reads what the room says until it has heard `lastText`. */
const guest = async (self: Self<Line>, name: string, node: string, lastText: string, left: () => void) => {
  self.send({ name: 'room', node }, { type: 'join', name, pid: self.pid })
  for await (const { from, text } of self) {
    console.log(`${name.padEnd(5)} reads  ${from}: ${text}`)
    if (text.includes(lastText)) return left()
  }
}

const options = { cookie: randomBytes(32), host: '127.0.0.1', port: 0, discovery: false }
const home = await startNode({ ...options, name: 'home' })
const away = await startNode({ ...options, name: 'away' })
await away.connect(`127.0.0.1:${home.addresses[0]?.port}`)

home.register('room', home.spawn(room))
const say = (node: typeof home, from: string, text: string): boolean =>
  node.send({ name: 'room', node: home.name }, { type: 'line', from, text })

const annaHeardAll = new Promise<void>((resolve) => {
  home.spawn(guest, 'anna', home.name, 'bert is gone', resolve)
})
await new Promise<void>((resolve) => {
  away.spawn(guest, 'bert', home.name, 'good night', resolve)
  say(away, 'bert', 'hello from another node')
  say(home, 'anna', 'good night')
})
await annaHeardAll
await Promise.all([home.stop(), away.stop()])
