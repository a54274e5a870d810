/**
 * A second connection to a member that was connected through a relay was remembered until the relay's channel closed, also
 * when it had lost and was over: with its buffers, and with the socket that a punch had opened for it.
 */
import * as assert from 'uvu/assert'
import type { Punch, Puncher } from '../../src/cluster/reach/puncher.ts'
import { Upgrade } from '../../src/cluster/reach/upgrade.ts'
import type { Session } from '../../src/cluster/session.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import type { Way } from '../../transport/way.ts'
import { relayedOf, wayOf } from '../src/cluster/reach/idle-ways.ts'
import { suite } from '../support/suite.ts'

const test = suite('lost rival')

const sessionBy = (way: Way) => {
  const session = {
    role: 'acceptor',
    isOver: false,
    way: way.kind,
    lanes: { connection: { way, offer: () => {} } },
    meshFrame: () => {},
  }
  return { session, asSession: session as unknown as Session }
}

/** What is released when a new punch begins, after a rival by a way that a punch had found has ended or not. */
const released = (isOver: boolean): string[] => {
  const log: string[] = []
  const finders: ((way: Way) => void)[] = []
  const puncher: Pick<Puncher, 'begin' | 'release'> = {
    begin: ({ found }) => {
      finders.push(found)
      const punch: Punch = { addTargets: () => {}, spread: () => {}, sweep: () => {}, end: () => {} }
      return punch
    },
    release: ({ key }) => void log.push(key),
  }
  const host = {
    clock: new VirtualClock(),
    puncher: puncher as Puncher,
    self: () => ({ nat: 'cone' as const, candidates: [] }),
    again: () => {},
  }
  const upgrade = new Upgrade(host, relayedOf(1))
  upgrade.up(sessionBy(relayedOf(1).way).asSession)
  const punched = wayOf('port', 'punched')
  const rival = sessionBy(punched)
  upgrade.opened(rival.asSession)
  finders[0]?.(punched)
  rival.session.isOver = isOver
  upgrade.begin(relayedOf(2))
  const atOnce = [...log]
  upgrade.end()
  return atOnce
}

test('what only a rival used that has lost is given up', () => {
  assert.equal(released(true), ['punched'])
})

test('what one uses that is not over is not', () => {
  assert.equal(released(false), [])
})

test.run()
