/** Frames about ways to others: relay, punch plan, observed address, probes; and a relay that serves two members. */
import { isDeepStrictEqual } from 'node:util'
import { CONTROL } from '../../../src/cluster/control.ts'
import { decodeProbe, encodeProbe } from '../../../src/cluster/reach/probe-frames.ts'
import { decodeObserved, decodePlan, encodeObserved, encodePlan } from '../../../src/cluster/reach/punch-plan.ts'
import type { ReachPeer } from '../../../src/cluster/reach/reach-peer.ts'
import {
  decodeRelayAsk,
  decodeRelayClose,
  decodeRelayIncoming,
  decodeRelayOpened,
  decodeRelayRefused,
  encodeRelayAsk,
  encodeRelayClose,
  encodeRelayIncoming,
  encodeRelayOpened,
  encodeRelayRefused,
  writeHead,
} from '../../../src/cluster/reach/relay-frames.ts'
import { RelayService } from '../../../src/cluster/reach/relay-service.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { Chance } from '../chance.ts'
import { holds, isOneIn, joined, partsOf, type Target, tried } from '../target.ts'
import { HERE, THERE } from '../values.ts'

const observed = { host: '10.0.0.9', port: 7 }
const DATAGRAM = 0
const PROBE = 1
const TIME = 2

const bodyOf = (type: number, chance: Chance): Uint8Array => {
  const token = chance.bytes(16)
  const channel = chance.pick([0, 1, 2 ** 31, 2 ** 31 + 1])
  switch (type) {
    case CONTROL.relayAsk:
      return encodeRelayAsk({ request: chance.below(3), target: chance.pick([HERE, THERE]).id })
    case CONTROL.relayOpened:
      return encodeRelayOpened({ request: 1, channel, token, observed })
    case CONTROL.relayRefused:
      return encodeRelayRefused({ request: 1, reason: 'full' })
    case CONTROL.relayIncoming:
      return encodeRelayIncoming({ channel, id: HERE.id, name: HERE.name, token, observed })
    case CONTROL.relayClose:
      return encodeRelayClose({ direction: chance.pick(['toRelay', 'fromRelay']), channel })
    case CONTROL.punchPlan:
      return encodePlan({ token, nat: 'cone', candidates: [observed] })
    case CONTROL.observed:
      return encodeObserved(observed)
    case PROBE:
      return encodeProbe({ kind: 'both', token, number: chance.next(), echo: 1 })
    default: {
      const bytes = chance.bytes(6 + chance.below(20))
      writeHead(bytes, chance.pick(['toRelay', 'fromRelay']), channel)
      return bytes
    }
  }
}

const { relayAsk, relayOpened, relayRefused, relayIncoming, relayClose, punchPlan } = CONTROL
const TYPES = [relayAsk, relayAsk, relayOpened, relayRefused, relayIncoming, relayClose, punchPlan, CONTROL.observed]

const comesBack = <T>(decode: (bytes: Uint8Array) => T, encode: (value: T) => Uint8Array, body: Uint8Array): void => {
  const value = tried(() => decode(body))
  if (value !== undefined && isOneIn(4, body))
    holds(isDeepStrictEqual(decode(encode(value)), value), 'a frame comes back')
}

export const target: Target = {
  name: 'reach',
  about: 'members and what comes to the port: relay, punch and probe frames; a relay and two members that use it',
  dictionary: [
    HERE.id,
    THERE.id,
    HERE.name,
    observed.host,
    Buffer.of(0x80, 0, 0, 0),
    Buffer.of(1, 0, 0, 0, 1),
    Buffer.of(0, 32),
  ],
  sample: (chance) =>
    joined(
      Array.from({ length: 1 + chance.below(5) }, () => {
        const type = chance.pick([...TYPES, DATAGRAM, DATAGRAM, PROBE, TIME])
        return Buffer.concat([Buffer.of(chance.below(2), type), bodyOf(type, chance)])
      }),
    ),
  run: (bytes) => {
    const clock = new VirtualClock()
    const members: ReachPeer[] = [HERE, THERE].map(({ id, name }) => ({
      id,
      name,
      address: observed,
      sendFrame: () => {},
      sendDatagram: () => true,
    }))
    const peer = (id: string): ReachPeer | undefined => members.find((one) => one.id === id)
    const relay = new RelayService({ clock, random: new Chance(1), peer, isEnabled: true })
    for (const part of partsOf(bytes)) {
      if (part.length < 2) continue
      const from = members[part[0]! & 1]!
      const body = part.subarray(2)
      switch (part[1]) {
        case relayAsk:
          comesBack(decodeRelayAsk, encodeRelayAsk, body)
          tried(() => relay.ask(from, body))
          break
        case relayOpened:
          comesBack(decodeRelayOpened, encodeRelayOpened, body)
          break
        case relayRefused:
          comesBack(decodeRelayRefused, encodeRelayRefused, body)
          break
        case relayIncoming:
          comesBack(decodeRelayIncoming, encodeRelayIncoming, body)
          break
        case relayClose:
          comesBack(decodeRelayClose, encodeRelayClose, body)
          tried(() => relay.close(from, body))
          break
        case punchPlan:
          comesBack(decodePlan, encodePlan, body)
          break
        case CONTROL.observed:
          comesBack(decodeObserved, encodeObserved, body)
          break
        case PROBE:
          decodeProbe(body)
          break
        case TIME:
          clock.advance(1000 * (body[0] ?? 0))
          break
        default:
          relay.datagram(from, body)
      }
    }
    holds(relay.figures.channels <= 1, 'two members have one channel')
    relay.stop()
  },
}
