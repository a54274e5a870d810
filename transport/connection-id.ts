/**
 * Connection ids: how a node makes its own, knows them again, finds a connection by one, and disowns one it has no use for.
 *
 * An id of ours is 16 bytes: a body of 12, which begins with a byte >= 0x80, and a keyed check of 4. The first byte keeps
 * QUIC and KRPC apart on one port (demux.ts). The check tells an id of this node, or of its predecessor with the same key,
 * from bytes that a stranger made up, so that only real peers are ever sent a stateless reset; without the key it looks
 * random, and no two ids can be linked.
 *
 * A client proposes a destination id, but never gets it: the id the connection lives under is derived from the proposal with
 * the key, so a client can neither choose it nor guess it, and the same Initial sent twice leads to the same connection
 * without any table. Stateless reset tokens are derived as well (RFC 9000 section 10.3.2). With a key that survives a restart,
 * the restarted node can tell the peers of its predecessor at once that their connections are gone.
 *
 * All ids of one connection are siblings: with the key, and only with it, each tells the same family. quiche 0.18 knows no
 * reset token but that of the first id, so a reset carries the family's, whichever id the peer uses by then.
 */
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import { SkeinError } from '../certs/errors.ts'
import type { Random } from './random.ts'

export const CONNECTION_ID_BYTES = 16

/** 95 free bits: two ids of a node will not meet. */
const BODY_BYTES = 12
const CHECK_BYTES = CONNECTION_ID_BYTES - BODY_BYTES

/** The body: so much chance, then the family, masked with a hash of the chance. */
const CHANCE_BYTES = 4

/** Set in the first byte of every id. */
const FIRST_BYTE_MARK = 0x80

const RESET_TOKEN_BYTES = 16
/** Five bytes that look like a short header, then the token: the least that can be a stateless reset (RFC 9000 section 10.3). */
const MIN_RESET_BYTES = 21
/** As long as a small packet of ours (first byte, id, 4 of header protection sample, tag of 16, a few of content). */
const USUAL_RESET_BYTES = 43

/** Keys are outputs of a key derivation; fewer bits than a reset token has would be a mistake. */
const MIN_KEY_BYTES = 16

/** What a hash is for goes into its input, so that no id gives away a token. Of one length, so label and input stay apart. */
type Purpose = 'skein id body ' | 'skein id check' | 'skein id mask ' | 'skein id reset' | 'skein id spare'

export class ConnectionIds {
  readonly #key: KeyObject
  readonly #random: Random

  /** The key: 16 bytes or more, known to this node only. Throws ERR_SKEIN_BAD_ARGUMENT for a shorter one. */
  constructor(key: Uint8Array, random: Random) {
    if (key.length < MIN_KEY_BYTES) {
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', `The key for connection ids needs ${MIN_KEY_BYTES} bytes or more.`)
    }
    this.#key = createSecretKey(key)
    this.#random = random
  }

  /** A fresh id that nobody can predict. */
  random(): Uint8Array {
    return this.#complete(this.#random.bytes(BODY_BYTES))
  }

  /** A fresh id for the connection that this one belongs to. */
  sibling(id: Uint8Array): Uint8Array {
    const body = this.#random.bytes(BODY_BYTES)
    body[0] = body[0]! | FIRST_BYTE_MARK
    body.set(this.#masked(body, this.#familyOf(id)), CHANCE_BYTES)
    return this.#complete(body)
  }

  /** The same for all ids of a connection, and no other's. */
  family(id: Uint8Array): string {
    return Buffer.from(this.#familyOf(id)).toString('latin1')
  }

  /** Our id for the connection that a client opens under the id it chose; always the same for the same choice. */
  derive(clientChosen: Uint8Array): Uint8Array {
    return this.#complete(this.#hash('skein id body ', clientChosen).subarray(0, BODY_BYTES))
  }

  /** True for ids made with this key, of which a stranger guesses one in 2^32. */
  isOurs(id: Uint8Array): boolean {
    if (id.length !== CONNECTION_ID_BYTES || id[0]! < FIRST_BYTE_MARK) return false
    return timingSafeEqual(this.#check(id.subarray(0, BODY_BYTES)), id.subarray(BODY_BYTES))
  }

  /** The 128-bit token of an id's connection, in network byte order as quiche takes it. */
  resetToken(id: Uint8Array): bigint {
    return asToken(this.#hash('skein id reset', this.#familyOf(id)))
  }

  /** A token to announce with a later id, as no two ids may have the same (RFC 9000 section 10.3.2). It is never sent. */
  spareToken(id: Uint8Array): bigint {
    return asToken(this.#hash('skein id spare', id))
  }

  /**
   * The datagram that tells the sender of a packet of `causeBytes` for `id` that there is no such connection; undefined if
   * the id is not ours. It is always shorter than its cause, so two nodes cannot keep answering each other (RFC 9000 section
   * 10.3.3), and undefined when that leaves no room. Its second byte is >= 0x80 like that of any short header of ours, so
   * the receiver's demultiplexer lets it pass.
   */
  statelessReset(id: Uint8Array, causeBytes: number): Uint8Array | undefined {
    const length = Math.min(causeBytes - 1, USUAL_RESET_BYTES)
    if (length < MIN_RESET_BYTES || !this.isOurs(id)) return undefined
    const datagram = this.#random.bytes(length)
    datagram[0] = 0x40 | (datagram[0]! & 0x3f)
    datagram[1] = datagram[1]! | FIRST_BYTE_MARK
    datagram.set(
      this.#hash('skein id reset', this.#familyOf(id)).subarray(0, RESET_TOKEN_BYTES),
      length - RESET_TOKEN_BYTES,
    )
    return datagram
  }

  #complete(body: Uint8Array): Uint8Array {
    const id = new Uint8Array(CONNECTION_ID_BYTES)
    id.set(body)
    id[0] = id[0]! | FIRST_BYTE_MARK
    id.set(this.#check(id.subarray(0, BODY_BYTES)), BODY_BYTES)
    return id
  }

  #familyOf(id: Uint8Array): Uint8Array {
    return this.#masked(id, id.subarray(CHANCE_BYTES, BODY_BYTES))
  }

  /** The family of a body with this chance, masked; or of a masked one, bare. */
  #masked(body: Uint8Array, family: Uint8Array): Uint8Array {
    const mask = this.#hash('skein id mask ', body.subarray(0, CHANCE_BYTES))
    return family.map((byte, index) => byte ^ mask[index]!)
  }

  #check(body: Uint8Array): Uint8Array {
    return this.#hash('skein id check', body).subarray(0, CHECK_BYTES)
  }

  #hash(purpose: Purpose, input: Uint8Array): Buffer {
    return createHmac('sha256', this.#key).update(purpose).update(input).digest()
  }
}

const asToken = (hash: Buffer): bigint => BigInt(`0x${hash.toString('hex', 0, RESET_TOKEN_BYTES)}`)

/**
 * The 16 bytes at `offset` as a key for a Map: eight 16-bit code units. This runs once for every datagram; measured with
 * the look-up it takes 70 ns, the latin1 text of the same bytes 105 ns and the hexadecimal one 155 ns.
 */
export const connectionKey = (bytes: Uint8Array, offset: number): string =>
  String.fromCharCode(
    (bytes[offset]! << 8) | bytes[offset + 1]!,
    (bytes[offset + 2]! << 8) | bytes[offset + 3]!,
    (bytes[offset + 4]! << 8) | bytes[offset + 5]!,
    (bytes[offset + 6]! << 8) | bytes[offset + 7]!,
    (bytes[offset + 8]! << 8) | bytes[offset + 9]!,
    (bytes[offset + 10]! << 8) | bytes[offset + 11]!,
    (bytes[offset + 12]! << 8) | bytes[offset + 13]!,
    (bytes[offset + 14]! << 8) | bytes[offset + 15]!,
  )
