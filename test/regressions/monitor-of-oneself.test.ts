/**
 * A monitor on oneself can never fire, so Erlang makes none, and `demonitor` says that it was not there. Here one was
 * kept, once: random lives compared with Erlang showed it.
 */
import * as assert from 'uvu/assert'
import { actor, pair } from '../src/process/process-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('a monitor on oneself')

test('is none: demonitor says so, by pid and by name', async (t) => {
  const net = pair(t)
  const { self } = await actor(net.a)
  self.register('me')
  for (const target of [self.pid, 'me', { name: 'me', node: self.node }]) {
    assert.is(self.demonitor(self.monitor(target)), false)
  }
})

test.run()
