/** What two nodes may do with each other only if both said so in their hellos. docs/handshake.md and docs/wire.md. */
import type { PeerAbilities } from './peer.ts'
import type { Session } from './session.ts'

/** Can be reached through relays and by punching, and can relay itself: reach/reach.ts. */
export const REACH = 'reach'
/** Understands packed bodies: src/wire/packing.ts. */
const PACKING = 'packed-brotli'
/** Knows keys and names by number: src/wire/key-tables.ts. */
const KEYS = 'keys'
/** Proves its membership anew within a session: standing.ts. */
export const REPROOF = 'reproof'

/** Of a node whose transport can take other ways than its own, or cannot. */
export const ownCapabilities = (reaches: boolean): readonly string[] =>
  reaches ? [REACH, PACKING, KEYS, REPROOF] : [PACKING, KEYS, REPROOF]

/** What the process layer's signals to a peer may make use of. */
export const abilitiesOf = (capabilities: readonly string[], session: Session): PeerAbilities => ({
  packs: capabilities.includes(PACKING),
  tell: capabilities.includes(KEYS) ? (type, body) => session.meshFrame(type, body) : undefined,
})
