/**
 * NestJS: a node as a provider that starts and stops with the application, injected by its type.
 */
import 'reflect-metadata'
import { randomBytes } from 'node:crypto'
import { Injectable, Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { genServer, type SkeinNode, startNode } from 'skein'

const options = { cookie: randomBytes(32), host: '127.0.0.1', port: 0, discovery: false }

@Injectable()
class Cluster implements OnModuleInit, OnApplicationShutdown {
  here!: SkeinNode
  there!: SkeinNode

  async onModuleInit(): Promise<void> {
    this.here = await startNode({ ...options, name: 'here' })
    this.there = await startNode({ ...options, name: 'there' })
    await this.here.connect(`127.0.0.1:${this.there.addresses[0]?.port}`)
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.here.stop(), this.there.stop()])
  }
}

@Injectable()
class Greeter {
  readonly #cluster: Cluster

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  async greet(name: string): Promise<string> {
    const { here, there } = this.#cluster
    const greeter = genServer({
      init: () => ({ state: 'hello' }),
      handleCall: (who: string, _from, greeting) => ({ reply: `${greeting}, ${who}` }),
    })
    return here.call(await there.start(greeter), name)
  }
}

@Module({ providers: [Cluster, Greeter] })
class App {}

const app = await NestFactory.createApplicationContext(App, { logger: ['error'] })
console.log(await app.get(Greeter).greet('Nest'))
await app.close()
