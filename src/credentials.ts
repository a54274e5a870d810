/**
 * What a node shows of itself and goes by, and what of it changes while it runs: the cookies of its cluster, its certificate.
 */
import { CertificateKeeper } from './certificate-keeper.ts'
import { Cookies } from './cookies.ts'
import type { NodeEvent } from './event-stream.ts'
import type { NodeParts } from './node-parts.ts'

export interface CredentialsHost {
  readonly parts: NodeParts
  /** How many connected nodes were proven by the key with this fingerprint. */
  provenBy(fingerprint: string): number
  emit(event: NodeEvent): void
}

export class Credentials {
  readonly cookies: Cookies
  readonly certificate: CertificateKeeper

  constructor({ parts, provenBy, emit }: CredentialsHost) {
    const { cluster, keys, clock, logger, identity, renewal, authorities, transport } = parts
    keys.onChange(() => transport.useGateKeys(keys.all().map(({ gate }) => gate)))
    this.cookies = new Cookies({ cluster, keys, clock, logger, provenBy, emit })
    this.certificate = new CertificateKeeper({ identity, renewal, authorities, clock, transport, logger, emit })
  }

  stop(): void {
    this.cookies.stop()
    this.certificate.stop()
  }
}
