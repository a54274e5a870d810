/** The adapter for WebSocket servers, on sockets that behave as those of `ws` do. */
import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import * as assert from 'uvu/assert'
import { type Entrance, type ServeRoomsOptions, type SkeinNode, serveRooms } from '../../../../src/index.ts'
import type { SimulatedCluster } from '../../../../src/testing/index.ts'
import { suite, type TestContext } from '../../../support/suite.ts'
import { meshed, pass, startCluster, until } from '../../node-support.ts'

const test = suite('serveRooms')

class Socket extends EventEmitter {
  readyState = 1
  bufferedAmount = 0
  readonly got: (string | Uint8Array)[] = []
  code: number | undefined

  send(data: string | Uint8Array): void {
    this.got.push(data)
  }

  close(code?: number): void {
    this.readyState = 3
    this.code = code
    this.emit('close')
  }

  addEventListener(type: 'close', listener: () => void): void {
    this.on(type, listener)
  }

  /** As if the browser had said it. */
  says(text: string): void {
    this.emit('message', Buffer.from(text), false)
  }
}

const scene = async (
  t: TestContext,
  options: ServeRoomsOptions,
): Promise<{ cluster: SimulatedCluster; node: SkeinNode; connect: (url: string) => Socket }> => {
  const cluster = await startCluster(t, 2)
  await meshed(cluster)
  const node = cluster.nodes[0] as SkeinNode
  const server = new EventEmitter()
  serveRooms(server, node.rooms(), options)
  const connect = (url: string): Socket => {
    const socket = new Socket()
    server.emit('connection', socket, { url } as IncomingMessage)
    return socket
  }
  return { cluster, node, connect }
}

const byUrl = ({ url = '' }: IncomingMessage): Entrance | undefined => {
  const [, room, as] = url.split('/')
  return room && as ? { room, as } : undefined
}

test('sockets enter the room of their request, and hear what the others say, from the first word on', async (t) => {
  const { cluster, node, connect } = await scene(t, { enter: byUrl })
  const anna = connect('/lobby/anna')
  await until(cluster, 'one', () => node.rooms().count('lobby') === 1)
  const bert = connect('/lobby/bert')
  bert.says('early')
  await until(cluster, 'the word', () => anna.got.length === 1)
  bert.emit('message', [Buffer.of(1), Buffer.of(2)], true)
  bert.emit('message', Uint8Array.of(3).buffer, true)
  await until(cluster, 'bytes', () => anna.got.length === 3)
  assert.is(anna.got[0], 'early')
  assert.equal(
    anna.got.slice(1).map((data) => [...(data as Uint8Array)]),
    [[1, 2], [3]],
  )
  assert.equal(bert.got, [])
  bert.emit('error', new Error('reset'))
  bert.close()
  assert.is(node.rooms().count('lobby'), 1)
})

test('who may not enter, or makes the program throw, is closed', async (t) => {
  const { cluster, node, connect } = await scene(t, {
    enter: async (request) => {
      if (request.url === '/throw') throw new Error('no')
      return byUrl(request)
    },
    said: (data, { name }, room) => {
      if (data === 'throw') throw new Error('no')
      return data === 'secret' ? undefined : `${name} in ${room}: ${data}`
    },
  })
  const refused = [connect('/throw'), connect('/'), connect(`/${'x'.repeat(161)}/a`)]
  await until(cluster, 'refusals', () => refused.every(({ code }) => code === 1008))
  const [anna, bert] = [connect('/lobby/anna'), connect('/lobby/bert')]
  await until(cluster, 'both', () => node.rooms().count('lobby') === 2)
  for (const text of ['secret', 'hi', 'throw']) bert.says(text)
  await until(cluster, 'the word', () => anna.got.length > 0)
  assert.equal(anna.got, ['bert in lobby: hi'])
  assert.is(bert.code, 1008)
  const eager = connect('/lobby/eager')
  for (let i = 0; i < 17; i++) eager.says('x')
  assert.is(eager.code, 1008)
})

test('who was made to leave says nothing more there', async (t) => {
  const said: string[] = []
  const { cluster, node, connect } = await scene(t, {
    enter: byUrl,
    said: (data) => {
      said.push(String(data))
      return data
    },
  })
  const anna = connect('/lobby/anna')
  const bert = connect('/lobby/bert')
  await until(cluster, 'two', () => node.rooms().count('lobby') === 2)
  assert.ok(node.rooms().has('lobby', bert))
  node.rooms().leave('lobby', bert)
  assert.not(node.rooms().has('lobby', bert))
  bert.says('still here')
  anna.says('hello')
  await pass(cluster, 50)
  assert.equal([said, anna.got], [['hello'], []])
})

test('what comes before a socket has entered is kept up to a size', async (t) => {
  let letIn = (_: Entrance): void => {}
  const { connect } = await scene(t, {
    enter: () =>
      new Promise((resolve) => {
        letIn = resolve
      }),
  })
  const anna = connect('/lobby/anna')
  anna.says('x'.repeat(65_536))
  assert.is(anna.code, undefined)
  anna.says('x')
  assert.is(anna.code, 1008)
  letIn({ room: 'lobby', as: 'anna' })
})

test('a socket that says more than the nodes take is not read meanwhile', async (t) => {
  const { cluster, node, connect } = await scene(t, { enter: byUrl })
  const anna = connect('/lobby/anna')
  const bert = connect('/lobby/bert')
  await until(cluster, 'two', () => node.rooms().count('lobby') === 2)
  const log: string[] = []
  Object.assign(bert, { pause: () => log.push('pause'), resume: () => log.push('resume') })
  for (let i = 0; i < 100_000 && log.length === 0; i++) bert.says('x')
  assert.equal(log, ['pause'])
  await until(cluster, 'it is read again', () => log.length === 2)
  assert.is(log[1], 'resume')
  assert.ok(anna.got.length > 0)
})

test.run()
