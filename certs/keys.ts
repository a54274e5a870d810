/**
 * Keys from the cookie: one secret in, one key for each purpose out, by HKDF-SHA256 (RFC 5869).
 *
 * The label in HKDF's `info` keeps the keys apart: knowing one tells nothing of another or of the cookie. The gate's key
 * comes from the cookie alone, so that a node of another cluster with the same cookie gets through the gate and is told
 * which mistake was made; all others depend on the cluster's name as well.
 *
 * HKDF does not make a weak cookie strong: who has seen a tag of the gate can try cookies against it at leisure.
 */
import { hkdfSync } from 'node:crypto'

const KEY_BYTES = 32
const CLUSTER_TAG_BYTES = 8
/** Salt and labels carry the version: a protocol that uses the keys otherwise must not share them. */
const SALT = 'skein v1'

/** What is derived from a cookie and a cluster name. */
export interface ClusterKeys {
  /** Tags on datagrams that may open a connection. From the cookie alone. */
  readonly gate: Uint8Array
  /** Proof of membership in the handshake, see proof.ts. */
  readonly proof: Uint8Array
  /** Where members meet in the DHT. */
  readonly rendezvous: Uint8Array
  /** Seals what members publish there. */
  readonly sealing: Uint8Array
  /** Shown in the hello: equal exactly for the same cookie and cluster, and it does not name the cluster. */
  readonly clusterCheck: Uint8Array
  /** 16 hex digits: the same for mDNS, where records are short. */
  readonly clusterTag: string
}

/** All keys of a cluster. Deterministic: every member derives the same. */
export const deriveKeys = (cookie: Uint8Array, cluster: string): ClusterKeys => {
  // Labels hold no zero byte, so a label and a name after it cannot be read in two ways.
  const ofCluster = (label: string, size = KEY_BYTES) => hkdfSha256(cookie, SALT, `${label}\0${cluster}`, size)
  return {
    gate: hkdfSha256(cookie, SALT, 'gate', KEY_BYTES),
    proof: ofCluster('proof'),
    rendezvous: ofCluster('rendezvous'),
    sealing: ofCluster('sealing'),
    clusterCheck: ofCluster('cluster check'),
    clusterTag: Buffer.from(ofCluster('cluster tag', CLUSTER_TAG_BYTES)).toString('hex'),
  }
}

/** Extract and expand in one step (RFC 5869 sections 2.2 and 2.3); texts count as UTF-8. */
export const hkdfSha256 = (
  secret: Uint8Array,
  salt: string | Uint8Array,
  info: string | Uint8Array,
  size: number,
): Uint8Array => new Uint8Array(hkdfSync('sha256', secret, salt, info, size))
