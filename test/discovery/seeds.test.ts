import * as assert from 'uvu/assert'
import { isSkeinError } from '../../certs/errors.ts'
import { MAX_SEEDS, type SeedOptions, seedSource } from '../../discovery/seeds.ts'
import type { DiscoverySource } from '../../discovery/source.ts'
import { formatAddress } from '../../transport/address.ts'
import { seededRandom } from '../../transport/random.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { suite } from '../support/suite.ts'
import { addressesOf, EventLog, nodeRecord } from './support.ts'

const test = suite('seeds')

const unknownHost = (): Promise<string[]> =>
  Promise.reject(Object.assign(new Error('no such host'), { code: 'ENOTFOUND' }))

interface World {
  readonly clock: VirtualClock
  readonly log: EventLog
  readonly source: DiscoverySource
  readonly started: Promise<void>
}

const start = (seeds: string[], options: Partial<SeedOptions> = {}, clock = new VirtualClock()): World => {
  const log = new EventLog()
  const source = seedSource({ seeds, clock, random: seededRandom(1), resolve: unknownHost, ...options })
  return { clock, log, source, started: source.start(nodeRecord(1), log.emit) }
}

const found = (log: EventLog): string[] =>
  log.events
    .splice(0)
    .map(({ type, sighting }) => `${type} ${sighting.key} ${sighting.addresses.map(formatAddress).join(' ')}`)

test('texts that are no addresses are refused at once, and so are too many', () => {
  const refused = (seeds: string[], code: Parameters<typeof isSkeinError>[1]): void => {
    assert.throws(
      () => start(seeds),
      (error: unknown) => isSkeinError(error, code),
    )
  }
  for (const bad of ['', 'host', 'host:0', 'host:65536', 'a b:1', '[nonsense]:1', 'host:x'])
    refused([bad], 'ERR_SKEIN_BAD_ADDRESS')
  refused(
    Array.from({ length: MAX_SEEDS + 1 }, (_, n) => `10.0.0.1:${n + 1}`),
    'ERR_SKEIN_BAD_OPTION',
  )
})

test('literal addresses are found without asking anybody, each once', async () => {
  const { log, source, started } = start(['10.77.0.2:4433', '[fd77::2]:4433', '10.77.0.2:4433'])
  await started
  assert.equal(found(log), ['found 10.77.0.2:4433 10.77.0.2:4433', 'found [fd77::2]:4433 [fd77::2]:4433'])
  assert.is(source.status().state, 'working')
  assert.is(source.status().seen, 2)
})

test('names are resolved to all their addresses; nonsense from the name service is left out', async () => {
  const { log, started } = start(['db:4433'], { resolve: async () => ['10.77.0.2', 'fd77::2', 'rubbish', '10.77.0.2'] })
  await started
  assert.equal(found(log), ['found db:4433 10.77.0.2:4433 [fd77::2]:4433'])
})

test('our own address among the seeds is left out', async () => {
  const { log, source, started } = start(['10.77.0.1:4433', '10.77.0.2:4433'])
  await started
  assert.equal(found(log), ['found 10.77.0.2:4433 10.77.0.2:4433'])
  assert.is(source.status().state, 'working')
})

test('an unknown host is a status with its reason, tried again with growing pauses up to 30 s', async () => {
  const askedMs: number[] = []
  const clock = new VirtualClock()
  const resolve = (): Promise<string[]> => {
    askedMs.push(clock.now())
    return unknownHost()
  }
  const { source, started, log } = start(['nowhere.invalid:4433', '10.77.0.2:4433'], { resolve }, clock)
  await started
  const { state, detail } = source.status()
  assert.is(state, 'degraded')
  assert.match(detail, 'ERR_SKEIN_UNKNOWN_HOST')
  assert.match(detail, 'nowhere.invalid:4433')
  assert.match(detail, 'ENOTFOUND')
  await clock.run({ untilMs: 300_000 })
  const pauses = askedMs.slice(1).map((atMs, index) => atMs - askedMs[index]!)
  ;[1000, 2000, 4000, 8000, 16_000, 30_000, 30_000].forEach((expectedMs, index) => {
    const pauseMs = pauses[index]!
    assert.ok(pauseMs >= expectedMs * 0.75 && pauseMs <= expectedMs * 1.25, `pause ${index}: ${pauseMs}`)
  })
  assert.is(log.events.length, 1)
  await source.stop()
})

test('only unknown hosts are a failure; one that appears is found', async () => {
  let known = false
  const { clock, log, source, started } = start(['late:4433'], {
    resolve: () => (known ? Promise.resolve(['10.77.0.9']) : unknownHost()),
  })
  await started
  assert.is(source.status().state, 'failed')
  assert.equal(found(log), [])
  known = true
  source.refresh()
  await clock.run({ untilMs: clock.now() + 1 })
  assert.equal(found(log), ['found late:4433 10.77.0.9:4433'])
  assert.is(source.status().state, 'working')
  await source.stop()
})

test('a name that moved is a change; while the name service fails the last address stays', async () => {
  let answer: () => Promise<string[]> = async () => ['10.77.0.2']
  const { clock, log, source, started } = start(['db:4433'], { resolve: () => answer() })
  await started
  answer = async () => ['10.77.0.3']
  await clock.run({ untilMs: 80_000 })
  answer = unknownHost
  await clock.run({ untilMs: 200_000 })
  assert.equal(found(log), ['found db:4433 10.77.0.2:4433', 'changed db:4433 10.77.0.3:4433'])
  assert.is(source.status().state, 'degraded')
  assert.is(source.status().seen, 1)
  await source.stop()
})

test('start waits two seconds at most for a slow name service, whose answer is welcome later', async () => {
  let answer: (hosts: string[]) => void = () => {}
  const { clock, log, source, started } = start(['slow:4433'], {
    resolve: () =>
      new Promise((resolve) => {
        answer = resolve
      }),
  })
  let settled = false
  void started.then(() => {
    settled = true
  })
  await clock.run({ untilMs: 1999 })
  assert.is(settled, false)
  assert.is(source.status().state, 'starting')
  await clock.run({ untilMs: 2001 })
  assert.is(settled, true)
  answer(['10.77.0.2'])
  await clock.run({ untilMs: 2002 })
  assert.equal(found(log), ['found slow:4433 10.77.0.2:4433'])
  await source.stop()
})

test('after stop nothing is asked and nothing is told', async () => {
  let asked = 0
  let answer: (hosts: string[]) => void = () => {}
  const { clock, log, source } = start(['slow:4433'], {
    resolve: () => {
      asked++
      return new Promise((resolve) => {
        answer = resolve
      })
    },
  })
  await source.stop()
  await source.stop()
  answer(['10.77.0.2'])
  await clock.run({ untilMs: 300_000 })
  assert.is(asked, 1)
  assert.equal(found(log), [])
  assert.is(source.status().state, 'stopped')
})

test('the name service of the system knows localhost', async () => {
  const log = new EventLog()
  const source = seedSource({ seeds: ['localhost:4433'], clock: new VirtualClock(), random: seededRandom(1) })
  await source.start({ ...nodeRecord(1), addresses: addressesOf('10.77.0.1:4433') }, log.emit)
  assert.ok(log.events[0]?.sighting.addresses.length)
  await source.stop()
})

test.run()
