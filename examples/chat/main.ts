/**
 * A chat over WebSockets with two servers: whoever is connected to one hears what is said on the other. Two nodes, a
 * WebSocket server and a client on each. Run it with: npx tsx examples/chat/main.ts
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { type SkeinNode, serveRooms, startNode } from 'skein'
import { WebSocket, WebSocketServer } from 'ws'

const options = { cookie: randomBytes(32), host: '127.0.0.1', port: 0, discovery: false }

/** A node with a WebSocket server: ws://host/ROOM/NAME enters a room. */
const serve = async (name: string): Promise<{ node: SkeinNode; server: WebSocketServer; url: string }> => {
  const node = await startNode({ ...options, name })
  const rooms = node.rooms({
    // What is said here is said in public; a real program looks at who asks.
    authorize: ({ as }) => as !== 'mallory',
    maxBufferedBytes: 65_536,
  })
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  serveRooms(server, rooms, {
    enter: ({ url = '' }) => {
      const [, room, as] = url.split('/')
      return room && as ? { room, as } : undefined
    },
    said: (text, { name: speaker }) => `${speaker}: ${text}`,
  })
  await once(server, 'listening')
  return { node, server, url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

const [east, west] = await Promise.all([serve('east'), serve('west')])
await west.node.connect(`127.0.0.1:${east.node.addresses[0]?.port}`)

const isFull = (async (): Promise<void> => {
  for await (const event of east.node.rooms().watch('lobby')) {
    if (event.type === 'join') console.log(`${event.member.name} has come in on ${event.member.node}`)
    if (east.node.rooms().count('lobby') === 2) return
  }
})()

const anna = new WebSocket(`${east.url}/lobby/anna`)
const bert = new WebSocket(`${west.url}/lobby/bert`)
bert.on('message', (text) => {
  console.log(`bert reads  ${text}`)
  bert.send('good night')
})
const answered = once(anna, 'message')
await isFull
anna.send('hello from the other server')
const [answer] = await answered
console.log(`anna reads  ${answer}`)

const mallory = new WebSocket(`${east.url}/lobby/mallory`)
const [code] = await once(mallory, 'close')
console.log(`mallory was turned away, code ${code}`)

for (const socket of [anna, bert]) socket.close()
for (const { server, node } of [east, west]) {
  server.close()
  await node.stop()
}
