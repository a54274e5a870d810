import * as assert from 'uvu/assert'
import { isSkeinError } from '../../certs/errors.ts'
import { type DnsOptions, dnsSource, MAX_DNS_NAMES } from '../../discovery/dns.ts'
import type { DiscoverySource } from '../../discovery/source.ts'
import { formatAddress } from '../../transport/address.ts'
import { seededRandom } from '../../transport/random.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { suite } from '../support/suite.ts'
import { EventLog, nodeRecord } from './support.ts'

const test = suite('dns')

const failing = (code: string) => () => Promise.reject(Object.assign(new Error('no'), { code }))

interface World {
  readonly clock: VirtualClock
  readonly log: EventLog
  readonly source: DiscoverySource
  readonly started: Promise<void>
  /** Questions asked so far. */
  readonly asked: string[]
}

/** What the name service knows; a test may change it. */
interface Zone {
  hosts: Record<string, readonly string[]>
  services?: Record<string, readonly { name: string; port: number }[]>
  failure?: string
}

const start = (names: string[], zone: Zone, options: Partial<DnsOptions> = {}): World => {
  const clock = new VirtualClock()
  const log = new EventLog()
  const asked: string[] = []
  const answer = <T>(name: string, answers: Record<string, T> | undefined): Promise<T> => {
    asked.push(name)
    const found = zone.failure === undefined ? answers?.[name] : undefined
    return found === undefined ? failing(zone.failure ?? 'ENOTFOUND')() : Promise.resolve(found)
  }
  const source = dnsSource({
    names,
    defaultPort: 4433,
    clock,
    random: seededRandom(1),
    resolve: (host) => answer(host, zone.hosts),
    resolveServices: (name) => answer(name, zone.services),
    ...options,
  })
  return { clock, log, source, asked, started: source.start(nodeRecord(1), log.emit) }
}

const told = (log: EventLog): string[] =>
  log.events.splice(0).map(({ type, sighting }) => `${type} ${sighting.addresses.map(formatAddress).join(' ')}`)

test('every address behind a name is somebody of its own, the port is given or the default', async () => {
  const { log, source, started } = start(['nodes.example', 'more.example:7'], {
    hosts: { 'nodes.example': ['10.0.0.1', '10.0.0.2', '10.0.0.1'], 'more.example': ['fd00::1', 'rubbish'] },
  })
  await started
  assert.equal(told(log), ['found 10.0.0.1:4433', 'found 10.0.0.2:4433', 'found [fd00::1]:7'])
  assert.is(source.status().state, 'working')
  assert.is(source.status().seen, 3)
})

test('SRV records lead to hosts and ports; a target without an address costs nobody else anything', async () => {
  const service = '_skein._udp.nodes.example'
  const { log, started } = start([service], {
    services: {
      [service]: [
        { name: 'a.example', port: 1 },
        { name: 'gone.example', port: 2 },
        { name: '10.0.0.3', port: 3 },
      ],
    },
    hosts: { 'a.example': ['10.0.0.1', 'fd00::1'] },
  })
  await started
  assert.equal(told(log), ['found 10.0.0.1:1', 'found [fd00::1]:1', 'found 10.0.0.3:3'])
})

test('asked again at the interval: what came and went is told', async () => {
  const zone: Zone = { hosts: { 'nodes.example': ['10.0.0.1', '10.0.0.2'] } }
  const { clock, log, asked, started } = start(['nodes.example'], zone, { pollIntervalMs: 10_000 })
  await started
  told(log)
  zone.hosts = { 'nodes.example': ['10.0.0.2', '10.0.0.3'] }
  await clock.run({ untilMs: 7000 })
  assert.equal(told(log), [])
  await clock.run({ untilMs: 13_000 })
  assert.equal(told(log), ['lost 10.0.0.1:4433', 'found 10.0.0.3:4433'])
  await clock.run({ untilMs: 1_000_000 })
  assert.ok(asked.length > 80 && asked.length < 120, `${asked.length} questions in 100 intervals`)
})

test('a failure is a status with its reason, and what was said last stands; then it is asked sooner', async () => {
  const zone: Zone = { hosts: { 'nodes.example': ['10.0.0.1'] } }
  const { clock, log, source, asked, started } = start(['nodes.example'], zone)
  await started
  told(log)
  zone.failure = 'ESERVFAIL'
  await clock.run({ untilMs: 80_000 })
  assert.equal(told(log), [])
  assert.is(source.status().state, 'degraded')
  assert.match(source.status().detail, /ERR_SKEIN_UNKNOWN_HOST: no answer for nodes\.example \(ESERVFAIL\)/)
  assert.ok(asked.length >= 4, 'retried with growing pauses')
  delete zone.failure
  await clock.run({ untilMs: 300_000 })
  assert.is(source.status().state, 'working')
})

test('a name that never had an address has failed; an empty answer is none', async () => {
  for (const hosts of [{}, { 'nodes.example': [] }]) {
    const { log, source, started } = start(['nodes.example'], { hosts })
    await started
    assert.is(source.status().state, 'failed')
    assert.equal(told(log), [])
  }
})

test('a name service that does not answer holds up neither start nor stop', async () => {
  const { clock, log, source, started } = start(
    ['nodes.example'],
    { hosts: {} },
    { resolve: () => new Promise(() => {}) },
  )
  assert.is(source.status().state, 'starting')
  let isStarted = false
  void started.then(() => {
    isStarted = true
  })
  await clock.run({ untilMs: 2500 })
  assert.ok(isStarted)
  await source.stop()
  assert.is(source.status().state, 'stopped')
  assert.equal(told(log), [])
})

test('its own address is left out, refresh asks at once, and stop ends all questions', async () => {
  const zone: Zone = { hosts: { 'nodes.example': ['10.77.0.1', '10.0.0.1'] } }
  const { clock, log, source, asked, started } = start(['nodes.example'], zone)
  await started
  assert.equal(told(log), ['found 10.0.0.1:4433'])
  void source.refresh()
  await clock.run({ untilMs: 100 })
  assert.is(asked.length, 2)
  await source.stop()
  void source.refresh()
  await clock.run({ untilMs: 1_000_000 })
  assert.is(asked.length, 2)
})

test('texts that are no names are refused, and so are too many', () => {
  const refused = (names: string[], code: Parameters<typeof isSkeinError>[1]): void => {
    assert.throws(
      () => start(names, { hosts: {} }),
      (error: unknown) => isSkeinError(error, code),
    )
  }
  for (const bad of ['', 'two words', 'a:0', '[x]']) refused([bad], 'ERR_SKEIN_BAD_ADDRESS')
  refused(
    Array.from({ length: MAX_DNS_NAMES + 1 }, (_, i) => `n${i}.example`),
    'ERR_SKEIN_BAD_OPTION',
  )
})

test.run()
