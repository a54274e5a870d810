/** The certificate of a running node: renewed in time, also when the calendar jumps or the disk is full. */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { createAuthority, parseAuthorities, type TrustedAuthority } from '../../certs/authorities.ts'
import { isSkeinError } from '../../certs/errors.ts'
import {
  createIdentity,
  type Identity,
  inspectIdentity,
  loadIdentity,
  renewIdentity,
  saveIdentity,
} from '../../certs/identity.ts'
import { CertificateKeeper } from '../../src/certificate-keeper.ts'
import type { NodeEvent } from '../../src/event-stream.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { DAY_MS, temporaryFolder } from '../certs/support.ts'
import { suite, type TestContext } from '../support/suite.ts'

const test = suite('certificate keeper')

const ignore = (): void => {}

interface World {
  readonly clock: VirtualClock & { aheadMs: number }
  readonly keeper: CertificateKeeper
  readonly shown: Identity[]
  readonly events: NodeEvent[]
  readonly warnings: string[]
  /** Runs time, and waits for what is under way in the machine after each step. */
  pass(ms: number, stepMs?: number): Promise<void>
}

const worldOf = (
  t: TestContext,
  identity: Identity,
  file: string | undefined,
  clock: World['clock'],
  authorities?: readonly TrustedAuthority[],
): World => {
  const shown: Identity[] = []
  const events: NodeEvent[] = []
  const warnings: string[] = []
  const keeper = new CertificateKeeper({
    identity,
    renewal: { file },
    authorities,
    clock,
    transport: { useIdentity: (next) => shown.push(next) },
    logger: { error: ignore, warn: (_about, text) => warnings.push(String(text)), info: ignore, debug: ignore },
    emit: (event) => events.push(event),
  })
  t.defer(() => keeper.stop())
  const pass = async (ms: number, stepMs = ms): Promise<void> => {
    for (let passedMs = 0; passedMs < ms; passedMs += stepMs) {
      await clock.run({ untilMs: clock.now() + stepMs })
      // A renewal is a matter of the thread pool and of the disk.
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }
  return { clock, keeper, shown, events, warnings, pass }
}

const skewedClock = (): World['clock'] => {
  const clock = new VirtualClock()
  const wallNow = clock.wallNow.bind(clock)
  const skewed = Object.assign(clock, { aheadMs: 0 })
  skewed.wallNow = () => wallNow() + skewed.aheadMs
  return skewed
}

const types = ({ events }: World): string[] => events.map(({ type }) => type)

test('a certificate of a year is renewed 90 days before its end, once, with the same key', async (t) => {
  const clock = skewedClock()
  const identity = await createIdentity({ wallNowMs: clock.wallNow() })
  const world = worldOf(t, identity, undefined, clock)
  await world.pass(274 * DAY_MS, 137 * DAY_MS)
  assert.equal(world.events, [])
  await world.pass(3 * DAY_MS, DAY_MS)
  assert.equal(types(world), ['certificateRenewed'])
  const [renewed] = world.shown
  assert.is(renewed?.nodeId, identity.nodeId)
  assert.equal(renewed?.publicKey, identity.publicKey)
  assert.ok(renewed!.notAfterMs > identity.notAfterMs + 270 * DAY_MS)
  await world.pass(200 * DAY_MS, 100 * DAY_MS)
  assert.is(world.shown.length, 1)
})

test('a calendar that jumps is noticed within a day, ahead and back again', async (t) => {
  const clock = skewedClock()
  const identity = await createIdentity({ wallNowMs: clock.wallNow() })
  const world = worldOf(t, identity, undefined, clock)
  await world.pass(10 * DAY_MS)
  clock.aheadMs = 3000 * DAY_MS
  await world.pass(DAY_MS + 1000)
  assert.is(world.shown.length, 1)
  assert.ok(world.shown[0]!.notAfterMs > clock.wallNow())
  // The one made meanwhile begins in the future: nobody would take it.
  clock.aheadMs = 0
  await world.pass(DAY_MS + 1000)
  assert.is(world.shown.length, 2)
  assert.ok(world.shown[1]!.notAfterMs < clock.wallNow() + 366 * DAY_MS)
})

test('the file gets it too; where that fails the node says so, goes on, and tries again', async (t) => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'identity.pem')
  const clock = skewedClock()
  const identity = await loadIdentity(file, { wallNowMs: clock.wallNow() })
  const world = worldOf(t, identity, file, clock)
  const before = await readFile(file, 'utf8')
  await world.pass(DAY_MS)
  assert.is(await world.keeper.renew(), world.shown[0]?.notAfterMs)
  assert.ok((await readFile(file, 'utf8')).includes(world.shown[0]!.certificatePem))
  assert.is.not(await readFile(file, 'utf8'), before)

  // Something that is no identity is not overwritten: it may be somebody else's.
  await writeFile(file, 'something else')
  await world.keeper.renew()
  assert.is(await readFile(file, 'utf8'), 'something else')
  assert.equal(types(world), ['certificateRenewed', 'certificateUnsaved', 'certificateRenewed'])
  assert.is(world.shown.length, 2, 'new connections show it all the same')
  await rm(file)
  await world.pass(11 * 60_000)
  assert.is((await inspectIdentity(file))?.notAfterMs, world.shown[1]?.notAfterMs)
  assert.is(types(world).length, 3)
})

test('the file of another node is left alone', async (t) => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'identity.pem')
  const clock = skewedClock()
  const identity = await loadIdentity(file, { wallNowMs: clock.wallNow() })
  const world = worldOf(t, identity, file, clock)
  await rm(file)
  const other = await loadIdentity(file, { wallNowMs: clock.wallNow() })
  await world.keeper.renew()
  assert.is((await inspectIdentity(file))?.nodeId, other.nodeId)
  assert.equal(types(world), ['certificateUnsaved', 'certificateRenewed'])
})

test('a folder that is none any more is a line and an event, and never a crash', async (t) => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'identity.pem')
  const clock = skewedClock()
  const identity = await loadIdentity(file, { wallNowMs: clock.wallNow() })
  const world = worldOf(t, identity, file, clock)
  await rm(folder, { recursive: true })
  await writeFile(folder, 'in its place')
  await world.keeper.renew()
  assert.equal(types(world), ['certificateUnsaved', 'certificateRenewed'])
})

test('two calls at once are one renewal; after the stop nothing happens by itself', async (t) => {
  const clock = skewedClock()
  const identity = await createIdentity({ wallNowMs: clock.wallNow() })
  const world = worldOf(t, identity, undefined, clock)
  const [one, other] = await Promise.all([world.keeper.renew(), world.keeper.renew()])
  assert.is(one, other)
  assert.is(world.shown.length, 1)
  world.keeper.stop()
  await world.pass(400 * DAY_MS)
  assert.is(world.shown.length, 1)
})

test('what an authority has signed is never replaced by the node, and taken up from the file within an hour', async (t) => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'identity.pem')
  const clock = skewedClock()
  const authority = await createAuthority({ wallNowMs: clock.wallNow(), validForMs: 400 * DAY_MS })
  const first = await createIdentity({ wallNowMs: clock.wallNow(), validForMs: 20 * DAY_MS, authority })
  await saveIdentity(file, first)
  const world = worldOf(t, first, file, clock)
  await world.pass(15 * DAY_MS, DAY_MS)
  assert.is(await world.keeper.renew(), first.notAfterMs)
  assert.equal([world.shown, world.events], [[], []])
  assert.is((await inspectIdentity(file))?.notAfterMs, first.notAfterMs)

  const second = await renewIdentity(first, { wallNowMs: clock.wallNow(), authority })
  await saveIdentity(file, second)
  await world.pass(61 * 60_000)
  assert.equal(
    world.shown.map(({ nodeId, notAfterMs }) => [nodeId, notAfterMs]),
    [[first.nodeId, second.notAfterMs]],
  )
  assert.equal(types(world), ['certificateRenewed'])
})

test('an authority is reminded once a day when the last quarter of a short life has begun, or the last two weeks', async (t) => {
  for (const [days, quietDays] of [
    [8, 6],
    [365, 351],
  ] as const) {
    const file = join(await temporaryFolder(t), 'identity.pem')
    const clock = skewedClock()
    const authority = await createAuthority({ wallNowMs: clock.wallNow(), validForMs: 400 * DAY_MS })
    const identity = await createIdentity({ wallNowMs: clock.wallNow(), validForMs: days * DAY_MS, authority })
    await saveIdentity(file, identity)
    const world = worldOf(t, identity, file, clock)
    // The calendar goes on faster than the clock, which has a look every hour.
    clock.aheadMs = (quietDays - 1) * DAY_MS
    await world.pass(23 * 60 * 60_000, 60 * 60_000)
    assert.equal(world.warnings, [], `${days} days`)
    await world.pass(27 * 60 * 60_000, 60 * 60_000)
    assert.equal(world.warnings, Array(2).fill('the certificate ends soon'), `${days} days`)
  }
})

test('what is in the file counts, be it by another authority or end earlier; never what is no certificate for this node', async (t) => {
  const file = join(await temporaryFolder(t), 'identity.pem')
  const clock = skewedClock()
  const wallNowMs = clock.wallNow()
  const newAuthority = () => createAuthority({ wallNowMs, validForMs: 400 * DAY_MS })
  const [old, young] = await Promise.all([newAuthority(), newAuthority()])
  const first = await createIdentity({ wallNowMs, validForMs: 20 * DAY_MS, authority: old })
  await saveIdentity(file, first)
  const world = worldOf(t, first, file, clock)
  const failure = async (): Promise<string> => String(await world.keeper.renew().catch((error: unknown) => error))

  // A file that is away for a moment, while another one is copied to its place, is not made anew with another key.
  await rm(file)
  assert.match(await failure(), 'no certificate by an authority')
  assert.is(await inspectIdentity(file), undefined)
  for (const other of [
    await createIdentity({ wallNowMs, authority: old }),
    await renewIdentity(first, { wallNowMs }),
    await renewIdentity(first, { wallNowMs: wallNowMs - 2 * DAY_MS, validForMs: DAY_MS, authority: old }),
  ]) {
    await rm(file, { force: true })
    await saveIdentity(file, other)
    const content = await readFile(file, 'utf8')
    assert.match(await failure(), 'no certificate by an authority')
    assert.is(await readFile(file, 'utf8'), content)
  }
  assert.equal([world.shown, world.events], [[], []])

  await rm(file)
  const moved = await renewIdentity(first, { wallNowMs, validForMs: 10 * DAY_MS, authority: young })
  await saveIdentity(file, moved)
  await world.pass(61 * 60_000)
  assert.equal(
    world.shown.map(({ authority, notAfterMs }) => [authority, notAfterMs]),
    [[young.id, moved.notAfterMs]],
  )
})

test('a certificate that nodes with the same authorities would refuse is not taken up, and said so', async (t) => {
  const file = join(await temporaryFolder(t), 'identity.pem')
  const clock = skewedClock()
  const wallNowMs = clock.wallNow()
  const newAuthority = () => createAuthority({ wallNowMs, validForMs: 400 * DAY_MS })
  const [trusted, other] = await Promise.all([newAuthority(), newAuthority()])
  const first = await createIdentity({ wallNowMs, validForMs: 200 * DAY_MS, authority: trusted })
  await saveIdentity(file, first)
  const world = worldOf(t, first, file, clock, parseAuthorities(trusted.certificatePem))
  assert.is(await world.keeper.renew(), first.notAfterMs)
  for (const refused of [
    await renewIdentity(first, { wallNowMs, authority: other }),
    // By a calendar that is ahead.
    await renewIdentity(first, { wallNowMs: wallNowMs + DAY_MS, authority: trusted }),
  ]) {
    await saveIdentity(file, refused)
    const failure = await world.keeper.renew().catch((error: unknown) => error)
    assert.ok(isSkeinError(failure, 'ERR_SKEIN_BAD_AUTHORITY'), String(failure))
  }
  assert.equal([world.shown, world.events], [[], []])
  const next = await renewIdentity(first, { wallNowMs, validForMs: 300 * DAY_MS, authority: trusted })
  await saveIdentity(file, next)
  await world.pass(61 * 60_000)
  assert.equal(
    world.shown.map(({ notAfterMs }) => notAfterMs),
    [next.notAfterMs],
  )
})

test('a node that has signed its own certificate takes up that of an authority, and does not write over it', async (t) => {
  const file = join(await temporaryFolder(t), 'identity.pem')
  const clock = skewedClock()
  const wallNowMs = clock.wallNow()
  const identity = await loadIdentity(file, { wallNowMs })
  const world = worldOf(t, identity, file, clock)
  const authority = await createAuthority({ wallNowMs, validForMs: 900 * DAY_MS })
  const issued = await renewIdentity(identity, { wallNowMs, validForMs: 600 * DAY_MS, authority })
  await saveIdentity(file, issued)
  // Its own nears its end.
  await world.pass(277 * DAY_MS, 277 * DAY_MS)
  await world.pass(2 * DAY_MS, DAY_MS)
  assert.equal(
    world.shown.map(({ notAfterMs }) => notAfterMs),
    [issued.notAfterMs],
  )
  assert.is((await inspectIdentity(file))?.authority, authority.id)
  // From then on it looks every hour.
  const next = await renewIdentity(issued, { wallNowMs: clock.wallNow(), authority })
  await saveIdentity(file, next)
  await world.pass(61 * 60_000)
  assert.is(world.shown.at(-1)?.notAfterMs, next.notAfterMs)
})

test('without a file there is nowhere an authority could put a new certificate: said so, and not looked for', async (t) => {
  const clock = skewedClock()
  const authority = await createAuthority({ wallNowMs: clock.wallNow(), validForMs: 400 * DAY_MS })
  const identity = await createIdentity({ wallNowMs: clock.wallNow(), validForMs: 20 * DAY_MS, authority })
  const world = worldOf(t, identity, undefined, clock)
  await world.pass(19 * DAY_MS, DAY_MS)
  assert.equal(world.events, [])
  try {
    await world.keeper.renew()
    assert.unreachable()
  } catch (error) {
    assert.match(String(error), authority.id)
  }
})

test.run()
