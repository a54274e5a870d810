/** Lines for `skein join`, which somebody else made: tokens, with a checksum that fits where it is meant to be looked behind. */
import { createHash } from 'node:crypto'
import { decodeToken, encodeToken, MAX_TOKEN_ADDRESSES, SECRET_BYTES } from '../../../src/cli/invitation-token.ts'
import { formatAddress } from '../../../transport/address.ts'
import { holds, type Target, tried } from '../target.ts'

const HOSTS = ['10.0.0.1', '2001:db8::1', 'fe80::1%eth0', 'host.example']
const CHECKSUM_BYTES = 4
/** Of what the address may consist, when it is shown. */
const PLAIN = /^[\x21-\x7e]+$/

const check = (token: string): void => {
  const invitation = tried(() => decodeToken(token))
  if (invitation === undefined) return
  const { addresses, secret, endMs } = invitation
  holds(secret.length === SECRET_BYTES && Number.isSafeInteger(endMs), 'a token has a secret and an end')
  holds(addresses.length <= MAX_TOKEN_ADDRESSES, 'a token has few addresses')
  for (const address of addresses) holds(PLAIN.test(formatAddress(address)), 'an address steers no terminal')
  const again = decodeToken(encodeToken(invitation))
  holds(Buffer.compare(again.secret, secret) === 0 && again.endMs === endMs, 'a token comes back')
  holds(again.addresses.length === addresses.length, 'its addresses come back')
}

export const target: Target = {
  name: 'invitation',
  about: 'whoever invites: the token of `skein join`',
  neverThrows: true,
  dictionary: [
    ',',
    '[',
    ']:',
    '%',
    ':65535',
    ':65536',
    ':0',
    '\u001b[2J',
    'é',
    '\u0000',
    Buffer.of(1),
    Buffer.of(0xff, 0xff),
  ],
  maxBytes: 3000,
  /** What the token stands for: the body that the checksum is made of. */
  sample: (chance) => {
    const addresses = Array.from({ length: chance.below(MAX_TOKEN_ADDRESSES + 2) }, () => ({
      host: chance.pick(HOSTS),
      port: 1 + chance.below(65_535),
    }))
    const token = encodeToken({ secret: chance.bytes(SECRET_BYTES), endMs: chance.below(2 ** 31) * 1000, addresses })
    return Buffer.from(token, 'base64url').subarray(0, -CHECKSUM_BYTES)
  },
  run: (bytes) => {
    const checksum = createHash('sha256').update(bytes).digest().subarray(0, CHECKSUM_BYTES)
    check(Buffer.concat([bytes, checksum]).toString('base64url'))
    check(bytes.toString('base64url'))
    check(bytes.toString('latin1'))
  },
}
