/**
 * CommonJS: `require` of the package, which is ESM, and the same exchange.
 */
const { randomBytes } = require('node:crypto')
const { genServer, startNode } = require('skein')

const main = async () => {
  const options = { cookie: randomBytes(32), host: '127.0.0.1', port: 0, discovery: false }
  const here = await startNode({ ...options, name: 'here' })
  const there = await startNode({ ...options, name: 'there' })
  const greeter = genServer({
    init: () => ({ state: 'hello' }),
    handleCall: (name, _from, greeting) => ({ reply: `${greeting}, ${name}` }),
  })
  there.register('greeter', await there.start(greeter))
  await here.connect(`127.0.0.1:${there.addresses[0].port}`)
  console.log(await here.call({ name: 'greeter', node: there.name }, 'CommonJS'))
  await Promise.all([here.stop(), there.stop()])
}
main()
