/**
 * While one relay was asked for a channel, the connection to the next one ended; it was asked nevertheless, and so the
 * ended session was remembered as that of this relay for ever: its buffers were kept, and when the relay was connected
 * again, what it relayed was sent into the old session.
 */
import * as assert from 'uvu/assert'
import { type Member, World } from '../src/cluster/reach/reach-world.ts'
import { suite } from '../support/suite.ts'

const test = suite('relay that went')

const open = (from: Member, to: Member, introducer: Member) =>
  from.reach.open({ id: to.id, addresses: [], introducers: [introducer.address] })

test('a relay that went while another one was asked is not asked, and works when it is back', async () => {
  const world = new World()
  const [asker, silent, relay, target] = [world.member(), world.member(), world.member(), world.member()]
  target.link(relay)
  const [toSilent] = asker.link(silent)
  toSilent.cut()
  const ends = asker.link(relay)
  const failing = open(asker, target, silent).catch((error: unknown) => error)
  await world.pass(100)
  for (const end of ends) end.end()
  await world.pass(10_000)
  assert.is(((await failing) as { code?: string }).code, 'ERR_SKEIN_NO_RELAY')
  toSilent.end()
  asker.link(relay)
  const opening = open(asker, target, relay)
  await world.pass(1000)
  const { way } = await opening
  way.send(Buffer.from('hello'), 5)
  await world.pass(100)
  assert.equal(target.received, ['hello'])
  assert.equal(asker.defects, [])
  for (const { reach } of world.members) reach.stop()
})

test.run()
