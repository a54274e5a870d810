/** A port with a new certificate: new connections show it, those that are there go on, and nothing old is resumed. */
import * as assert from 'uvu/assert'
import { type Identity, renewIdentity } from '../../certs/identity.ts'
import type { Transport } from '../../transport/transport.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { addressOf, dial, type Party, serve } from './compliance.ts'
import { count, exchange, newIdentity, openPort, until } from './quic-support.ts'
import { openTcpPort } from './tcp-support.ts'

const test = suite('a renewed certificate')

const NO_CERTIFICATE = '-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n'

const shown = (party: Party): string => Buffer.from(party.connection.peer!.certificate).toString('hex')
const certificateOf = ({ certificate }: Identity): string => Buffer.from(certificate).toString('hex')

const connected = async (from: Transport, to: Transport, acceptors: Party[]): Promise<[Party, Party]> => {
  const before = acceptors.length
  const initiator = dial(from, addressOf(to))
  await until(() => initiator.isOpen && acceptors[before]?.isOpen === true, 'the connection opens')
  return [initiator, acceptors[before]!]
}

for (const [carrier, open] of [
  ['QUIC', openPort],
  ['TCP', openTcpPort],
] as const) {
  test(`${carrier}: either end shows its new one to new connections, and old ones go on`, async (t: TestContext) => {
    const [identityA, identityB] = [await newIdentity(), await newIdentity()]
    const [a, b] = [await open(t, { identity: identityA }), await open(t, { identity: identityB })]
    const acceptors = serve(b)
    const [oldA, oldB] = await connected(a, b, acceptors)
    assert.is(shown(oldA), certificateOf(identityB))
    assert.is(shown(oldB), certificateOf(identityA))

    const wallNowMs = Date.now() + 1000
    const [nextA, nextB] = [
      await renewIdentity(identityA, { wallNowMs }),
      await renewIdentity(identityB, { wallNowMs }),
    ]
    a.useIdentity(nextA)
    b.useIdentity(nextB)
    const [newA, newB] = await connected(a, b, acceptors)
    assert.is(shown(newA), certificateOf(nextB))
    assert.is(shown(newB), certificateOf(nextA))
    assert.ok(await exchange(oldA, oldB, new Uint8Array(100_000).fill(7)))
    assert.ok(await exchange(newA, newB, new Uint8Array(100_000).fill(8)))
    assert.throws(() => a.useIdentity({ ...nextA, certificatePem: NO_CERTIFICATE }))
    const [stillA] = await connected(a, b, acceptors)
    assert.is(shown(stillA), certificateOf(nextB))
  })
}

test('what a connection leaves that began before is not gone on with, on either end', async (t) => {
  const [identityA, identityB] = [await newIdentity(), await newIdentity()]
  const [a, b] = [await openPort(t, { identity: identityA }), await openPort(t, { identity: identityB })]
  const acceptors = serve(b)
  const [first, firstAtB] = await connected(a, b, acceptors)
  await exchange(firstAtB, first, Uint8Array.of(1))
  const nextA = await renewIdentity(identityA, { wallNowMs: Date.now() + 1000 })
  a.useIdentity(nextA)
  first.connection.close(0, 'closed', 'enough')
  await until(() => first.closes.length > 0, 'it is over')
  assert.is(count(a, 'tickets'), 0, 'its ticket is bound to the old certificate')
  const [second, atB] = await connected(a, b, acceptors)
  assert.is(count(a, 'resumed'), 0)
  assert.is(shown(atB), certificateOf(nextA))

  // That of the second one is good, until the acceptor has another certificate.
  await exchange(atB, second, Uint8Array.of(2))
  second.connection.close(0, 'closed', 'enough')
  await until(() => count(a, 'tickets') === 1, 'a ticket')
  const nextB = await renewIdentity(identityB, { wallNowMs: Date.now() + 1000 })
  b.useIdentity(nextB)
  const [third] = await connected(a, b, acceptors)
  await until(() => shown(third) === certificateOf(nextB), 'the new certificate is shown')
  assert.is(count(a, 'resumed'), 0)
})

test.run()
