/**
 * What a stranger on the LAN said about a registered name reached the terminal of "skein dht find" as it was, escape
 * sequences included.
 */
import * as assert from 'uvu/assert'
import { table } from '../../src/cli/output.ts'
import { suite } from '../support/suite.ts'

const test = suite('terminal orders')

test('a table shows control characters as question marks', () => {
  assert.equal(table([['REGISTERED'], ['web a=\u001b[2J\u009b1m\n\u202e b']]), ['REGISTERED', 'web a=?[2J?1m?? b'])
})

test.run()
