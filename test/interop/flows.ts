/** What every program that stores and finds things must be able to do with us, in both directions. */
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import * as assert from 'uvu/assert'
import { type LanHost, lan } from '../support/lan.ts'
import type { TestContext } from '../support/suite.ts'
import {
  BUSY_HOST,
  BUSY_PORT,
  eventually,
  type Key,
  type OwnCommands,
  type Peer,
  startBusyNode,
  startOurs,
} from './peer.ts'

/** A namespace of its own with these addresses: no datagram leaves it. Any node in it can reach any other. */
export const island = (t: TestContext, addresses: readonly string[]): LanHost => {
  const [host] = lan(t, 1, { loopbackOnly: true })
  for (const address of addresses) host!.ip('addr', 'add', `${address}/8`, 'dev', 'lo')
  return host!
}

/** A node of ours and two of theirs, who all came in through the busy port of a Skein node. */
export interface Party {
  readonly ours: Peer<OwnCommands>
  readonly theirs: Peer
  readonly gate: string
  readonly our: string
  readonly their: string
  readonly theirOther: string
  /** Ends the transfer on the gate's port; fails if that failed. */
  finish(): Promise<number>
}

const ADDRESSES = [BUSY_HOST, '10.77.0.2', '10.77.0.3', '10.77.0.4'] as const
export const PORT = BUSY_PORT

/** Each was told of the gate only, and gets to know all others. */
export const party = async (t: TestContext, startTheirs: (t: TestContext, host: LanHost) => Peer): Promise<Party> => {
  const host = island(t, ADDRESSES)
  const ours = startOurs(t, host)
  const theirs = startTheirs(t, host)
  const finish = await startBusyNode(t, host)
  const [gate, our, their, theirOther] = ADDRESSES.map((address) => `${address}:${PORT}`) as [
    string,
    string,
    string,
    string,
  ]
  await ours.do('open', { host: ADDRESSES[1], port: PORT })
  for (const address of ADDRESSES.slice(2)) await theirs.do('open', { host: address, port: PORT })
  for (const node of [their, theirOther]) await theirs.do('bootstrap', { node, through: [gate] })
  await ours.do('bootstrap', { node: our, through: [gate] })
  await eventually(async () => {
    await ours.do('explore', { node: our })
    return (await ours.do('contacts', { node: our })) === 3
  })
  for (const node of [their, theirOther])
    await eventually(async () => {
      await theirs.do('explore', { node })
      return (await theirs.do('contacts', { node })) === 3
    })
  return { ours, theirs, gate, our, their, theirOther, finish }
}

export const announces = async ({ ours, theirs, our, their, theirOther }: Party): Promise<void> => {
  const [theirKey, ourKey] = [key(), key()]
  await theirs.do('announce', { node: their, key: theirKey })
  await eventually(async () => (await ours.do('getPeers', { node: our, key: theirKey })).includes(their))
  await ours.do('announce', { node: our, key: ourKey })
  assert.equal(await theirs.do('getPeers', { node: theirOther, key: ourKey }), [our])
}

/** The largest, for which a node that does not know the asker has no room in a reply, and the smallest. */
const VALUE_SIZES_BYTES = [990, 0] as const

export const keepsImmutable = async ({ ours, theirs, our, their, theirOther }: Party): Promise<void> => {
  for (const sizeBytes of VALUE_SIZES_BYTES) {
    const [theirValue, ourValue] = [value(sizeBytes), value(sizeBytes)]
    const theirTarget = await theirs.do('putImmutable', { node: their, value: theirValue })
    assert.is(await ours.do('getImmutable', { node: our, target: theirTarget }), theirValue)
    const ourTarget = await ours.do('putImmutable', { node: our, value: ourValue })
    assert.is(await theirs.do('getImmutable', { node: theirOther, target: ourTarget }), ourValue)
  }
}

/** Both write the same item in turn; both read what the other wrote last. */
export const keepsMutable = async ({ ours, theirs, our, their, theirOther }: Party, salt: string): Promise<void> => {
  const pair = keyPair()
  const { publicKey } = pair
  for (let sequence = 1; sequence <= 4; sequence += 2) {
    const [theirValue, ourValue] = [value(100 * sequence), value(200 * sequence)]
    assert.is(await theirs.do('putMutable', { node: their, ...pair, salt, value: theirValue }), sequence)
    const theirVersion = { sequence, value: theirValue }
    assert.equal(await ours.do('getMutable', { node: our, publicKey, salt }), theirVersion)
    assert.is(await ours.do('putMutable', { node: our, ...pair, salt, value: ourValue }), sequence + 1)
    const ourVersion = { sequence: sequence + 1, value: ourValue }
    assert.equal(await theirs.do('getMutable', { node: theirOther, publicKey, salt }), ourVersion)
  }
}

const key = (): string => randomBytes(20).toString('hex')
const value = (sizeBytes: number): string => randomBytes(sizeBytes).toString('hex')

const keyPair = (): Key => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const text = (part: string | undefined): string => Buffer.from(part!, 'base64url').toString('hex')
  return {
    publicKey: text(publicKey.export({ format: 'jwk' }).x),
    seed: text(privateKey.export({ format: 'jwk' }).d),
  }
}

/** Ends the test as skipped where this program is not installed. */
export const needs = (t: TestContext, what: string, command: string, args: readonly string[]): void => {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
  } catch {
    t.missing(what)
  }
}

/** The same for a package of bench/peers. */
export const needsPeer = (t: TestContext, name: string): void => {
  if (!existsSync(new URL(`../../bench/peers/node_modules/${name}/package.json`, import.meta.url)))
    t.missing(`npm ci --prefix bench/peers, for ${name}`)
}
