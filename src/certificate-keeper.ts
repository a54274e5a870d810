/**
 * Keeps the certificate of a running node young: renews it well before its end, with the same key, and on demand.
 *
 * New connections show the new one, those that are there go on. It looks at least once a day, since the calendar may jump,
 * and at most once a minute. The file that the identity came from is rewritten; where that fails (a full disk) the node
 * says so, goes on with what it has in memory, and tries again. A certificate of an authority is renewed by an authority
 * alone: the node looks every hour whether there is another one in its file, and never writes there. One by an authority
 * that the node itself does not trust is not taken up: nodes with the same option would refuse it. One that is put there for
 * a node that has signed its own is taken up instead of a renewal.
 */
import { type TrustedAuthority, voucherOf } from '../certs/authorities.ts'
import { endsSoon, parseCertificate } from '../certs/certificate.ts'
import { SkeinError } from '../certs/errors.ts'
import {
  type Identity,
  isDueForRenewal,
  RENEW_BEFORE_MS,
  readIdentity,
  renewIdentity,
  saveIdentity,
} from '../certs/identity.ts'
import type { Clock, Timer } from '../transport/clock.ts'
import type { Transport } from '../transport/transport.ts'
import type { Logger } from './config.ts'
import type { NodeEvent } from './event-stream.ts'

const MAX_CHECK_MS = 24 * 60 * 60_000
const MIN_CHECK_MS = 60_000
/** Between two looks at a file into which an authority's certificates are put. */
const LOOK_MS = 60 * 60_000
/** Between two warnings that an authority's certificate ends soon: it is looked at far more often. */
const WARN_AGAIN_MS = 24 * 60 * 60_000
/** After a failure. */
const RETRY_MS = 10 * 60_000

export interface RenewalSettings {
  /** Where the identity came from; undefined: from memory. */
  readonly file: string | undefined
}

export interface CertificateKeeperOptions {
  readonly identity: Identity
  /** Undefined: it is renewed on demand only. */
  readonly renewal: RenewalSettings | undefined
  /** That the node trusts; undefined: it asks for no authority. */
  readonly authorities?: readonly TrustedAuthority[] | undefined
  readonly clock: Clock
  readonly transport: Pick<Transport, 'useIdentity'>
  readonly logger: Logger
  emit(event: NodeEvent): void
}

export class CertificateKeeper {
  readonly #options: CertificateKeeperOptions
  #identity: Identity
  #timer: Timer | undefined
  #renewing: Promise<number> | undefined
  /** The file holds an older one. */
  #unsaved = false
  #stopped = false
  #warnedMs = Number.NEGATIVE_INFINITY

  constructor(options: CertificateKeeperOptions) {
    this.#options = options
    this.#identity = options.identity
    this.#arm(this.#nextCheckMs())
  }

  /** Renews it now; gives the end of the new one, milliseconds since 1970. Whether it could be saved, an event tells. */
  renew(): Promise<number> {
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined
    })
    return this.#renewing
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  async #renew(): Promise<number> {
    if (this.#identity.authority !== undefined) return this.#look()
    const issued = await this.#issued().catch(() => undefined)
    if (issued !== undefined) return this.#takeUp(issued)
    this.#use(await renewIdentity(this.#identity, { wallNowMs: this.#options.clock.wallNow() }))
    const { notAfterMs } = this.#identity
    await this.#save()
    this.#tell()
    this.#arm(this.#unsaved ? RETRY_MS : this.#nextCheckMs())
    return notAfterMs
  }

  #use(identity: Identity): void {
    this.#options.transport.useIdentity(identity)
    this.#identity = identity
  }

  #tell(): void {
    const { notAfterMs } = this.#identity
    this.#options.logger.info({ notAfterMs }, 'certificate renewed')
    this.#options.emit({ type: 'certificateRenewed', notAfterMs })
  }

  /** What an authority has signed for this node and put into its file. */
  async #issued(): Promise<Identity | undefined> {
    const file = this.#options.renewal?.file
    const found = file === undefined ? undefined : await readIdentity(file)
    const isOurs = found?.nodeId === this.#identity.nodeId && found.authority !== undefined
    return isOurs && found.notAfterMs >= this.#options.clock.wallNow() ? found : undefined
  }

  /** The authority may have put another certificate into the file. Gives the end of what is used then. */
  async #look(): Promise<number> {
    const { renewal } = this.#options
    const { authority } = this.#identity
    const file = renewal?.file
    if (file === undefined) {
      const text = `The certificate of this node is by ${authority}, and the node has no file in which a new one could be.`
      throw new SkeinError('ERR_SKEIN_BAD_IDENTITY', text, { hint: 'Start the node with the option identity: a file.' })
    }
    const issued = await this.#issued()
    if (issued === undefined) {
      const text = `${file} holds no certificate by an authority for this node that lasts.`
      throw new SkeinError('ERR_SKEIN_BAD_IDENTITY', text, {
        hint: `Where the authority is: skein certs renew ${file}`,
      })
    }
    this.#refuseIfUntrusted(issued, file)
    const notAfterMs = this.#takeUp(issued)
    this.#warnOfEnd(file)
    return notAfterMs
  }

  #refuseIfUntrusted({ authority, certificate }: Identity, file: string): void {
    const { authorities, clock } = this.#options
    if (authorities === undefined || voucherOf(authorities, certificate, clock.wallNow()) !== undefined) return
    const text = `${file} holds a certificate by ${authority}: this node does not trust that one, or one of the two has ended, or not begun.`
    throw new SkeinError('ERR_SKEIN_BAD_AUTHORITY', text, {
      hint: 'The option ca is read when a node starts: if the authority is new there, start it again.',
    })
  }

  #warnOfEnd(file: string): void {
    const { clock, logger } = this.#options
    if (!endsSoon(parseCertificate(this.#identity.certificate), clock.wallNow())) return
    if (clock.now() < this.#warnedMs + WARN_AGAIN_MS) return
    this.#warnedMs = clock.now()
    logger.warn({ file, notAfterMs: this.#identity.notAfterMs }, 'the certificate ends soon')
  }

  #takeUp(issued: Identity): number {
    if (!Buffer.from(issued.certificate).equals(this.#identity.certificate)) {
      this.#use(issued)
      this.#unsaved = false
      this.#tell()
      this.#arm(this.#nextCheckMs())
    }
    return this.#identity.notAfterMs
  }

  async #save(): Promise<void> {
    const { renewal, logger, emit } = this.#options
    const file = renewal?.file
    if (file === undefined) return
    try {
      await saveIdentity(file, this.#identity)
      this.#unsaved = false
    } catch (error) {
      this.#unsaved = true
      const message = error instanceof Error ? error.message : String(error)
      logger.warn({ file }, message)
      emit({ type: 'certificateUnsaved', file, message })
    }
  }

  async #check(): Promise<void> {
    try {
      if (this.#identity.authority !== undefined) await this.renew()
      else if (isDueForRenewal(this.#identity, this.#options.clock.wallNow())) await this.renew()
      else if (this.#unsaved) await this.#save()
      this.#arm(this.#unsaved ? RETRY_MS : this.#nextCheckMs())
    } catch (error) {
      this.#options.logger.error({ err: error }, 'the certificate could not be renewed')
      this.#arm(RETRY_MS)
    }
  }

  #nextCheckMs(): number {
    if (this.#identity.authority !== undefined) return LOOK_MS
    const dueInMs = this.#identity.notAfterMs - RENEW_BEFORE_MS - this.#options.clock.wallNow()
    return Math.min(MAX_CHECK_MS, Math.max(MIN_CHECK_MS, dueInMs))
  }

  #arm(ms: number): void {
    this.#timer?.cancel()
    const { clock, renewal } = this.#options
    const hasNoSource = this.#identity.authority !== undefined && renewal?.file === undefined
    if (this.#stopped || renewal === undefined || hasNoSource) return
    this.#timer = clock.after(ms, () => void this.#check(), true)
  }
}
