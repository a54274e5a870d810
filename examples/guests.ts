/**
 * A chat room on one node, guests on two, and a room that notices who left without a word.
 * Run it with: npx tsx examples/guests.ts
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
      tellAll({ type: 'line', from: 'room', text: `${gone?.name} is gone` })
    } else if (message.type === 'line') {
      tellAll(message)
    }
  }
}

/** For each text that is heard what to say to it; `leave` ends the process, without a word to the room. */
type Script = Readonly<Record<string, string>>

const guest = async (self: Self<Line>, name: string, node: string, script: Script): Promise<void> => {
  const target = { name: 'room', node }
  self.send(target, { type: 'join', name, pid: self.pid })
  for await (const { from, text } of self) {
    console.log(`${name} reads  ${from}: ${text}`)
    const answer = script[text]
    if (answer === 'leave') return
    if (answer !== undefined) self.send(target, { type: 'line', from: name, text: answer })
  }
}

const options = { cookie: randomBytes(32), host: '127.0.0.1', port: 0, discovery: false }
const home = await startNode({ ...options, name: 'home' })
const away = await startNode({ ...options, name: 'away' })
await away.connect(`127.0.0.1:${home.addresses[0]?.port}`)

home.register('room', home.spawn(room))
const anna = home.spawn(guest, 'anna', home.name, { 'hello from another node': 'good night', 'bert is gone': 'leave' })
away.spawn(guest, 'bert', home.name, { 'bert is here': 'hello from another node', 'good night': 'leave' })

await new Promise<void>((resolve) => {
  home.spawn<SystemMessage, []>(async (self) => {
    self.monitor(anna)
    await self.receive()
    resolve()
  })
})
await Promise.all([home.stop(), away.stop()])
