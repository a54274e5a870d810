/**
 * An order to start a child whose arguments decode to something else than a list, with a state to hand over: the agent added
 * the state to what was no list, and took its own TypeError for a defect of the node. Found by the fuzzer.
 */
import { target } from '../fuzz/targets/supervision.ts'
import { suite } from '../support/suite.ts'

const test = suite('an order without a list')

const ORDER = [
  '00020302007d0086a474797065a57374617274aa73757065727669736f72a3737570a26964a178a372756ea132a473706563',
  '85a96265686176696f7572a7636f756e746572a776657273696f6ea0a461726773c9000000030901a101a772657374617274',
  'a97065726d616e656e74aa73687574646f776e4d7364a57374617465c40101',
].join('')

test('is refused, and no defect', async () => {
  await target.run(Buffer.from(ORDER, 'hex'))
})

test.run()
