/**
 * An Erlang node to be measured beside ours: distribution over TCP in clear text, or over TLS 1.3 with a certificate asked of
 * both ends. It is driven by bench_console.erl.
 */
import { spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createIdentity } from '../../certs/identity.ts'
import * as erlang from '../../test/support/erlang-node.ts'
import { systemClock } from '../../transport/clock.ts'

/** What carries the distribution. */
export type Carrier = 'tcp' | 'tls'

/** What all nodes of a measurement share: compiled modules, the port, the files of TLS. */
export interface ErlangGroup {
  readonly folder: string
  readonly port: number
  readonly carrier: Carrier
  remove(): Promise<void>
}

export interface ErlangNodeOptions {
  readonly group: ErlangGroup
  /** The part before the @. */
  readonly name: string
  /** IPv4, the part after the @: where it listens. */
  readonly address: string
  /** A command that runs the rest of its arguments, such as `ip netns exec NAME`. */
  readonly prefix?: readonly string[]
}

/** Whether this machine has Erlang with what the carrier needs, and several loopback addresses (only Linux has). */
export const hasErlang = (carrier: Carrier): boolean => {
  if (!erlang.hasErlang()) return false
  const modules = carrier === 'tcp' ? '[kernel]' : '[ssl,crypto,public_key,asn1rt_nif]'
  const check = `halt(length([M||M<-${modules},code:which(M)=:=non_existing])).`
  return spawnSync('erl', ['-noinput', '-boot', 'start_clean', '-eval', check], { stdio: 'ignore' }).status === 0
}

/** Compiles bench_console.erl and these modules into a folder of their own, and makes what TLS needs. */
export const prepareErlang = async (carrier: Carrier, modules: readonly URL[]): Promise<ErlangGroup> => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-bench-erlang-'))
  const sources = [new URL('bench_console.erl', import.meta.url), ...modules].map((url) => fileURLToPath(url))
  erlang.compileErlang(folder, sources)
  if (carrier === 'tls') await writeTlsFiles(folder)
  return {
    folder,
    port: await erlang.freePort(),
    carrier,
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

/** All nodes show the same self-signed certificate and take no other. */
const writeTlsFiles = async (folder: string): Promise<void> => {
  const { certificatePem, privateKeyPem } = await createIdentity({ wallNowMs: systemClock.wallNow() })
  await writeFile(join(folder, 'certificate.pem'), certificatePem)
  await writeFile(join(folder, 'key.pem'), privateKeyPem, { mode: 0o600 })
  const pinned = new X509Certificate(certificatePem).raw.toString('base64')
  const shared = [
    `{certfile, "${join(folder, 'certificate.pem')}"}, {keyfile, "${join(folder, 'key.pem')}"}`,
    `{cacertfile, "${join(folder, 'certificate.pem')}"}, {verify, verify_peer}, {versions, ['tlsv1.3']}`,
    `{verify_fun, {fun bench_console:verify/3, <<"${pinned}">>}}`,
  ].join(', ')
  const options = `[{server, [${shared}, {fail_if_no_peer_cert, true}]}, {client, [${shared}]}].\n`
  await writeFile(join(folder, 'tls.conf'), options)
}

export class ErlangNode {
  /** As Erlang writes it: an atom in quotes. */
  readonly atom: string
  readonly #node: erlang.ErlangNode

  private constructor(name: string, node: erlang.ErlangNode) {
    this.atom = `'${name}'`
    this.#node = node
  }

  static async start({ group, name, address, prefix = [] }: ErlangNodeOptions): Promise<ErlangNode> {
    const { folder, port, carrier } = group
    const fullName = `${name}@${address}`
    const flags = carrier === 'tls' ? ['-proto_dist', 'inet_tls', '-ssl_dist_optfile', join(folder, 'tls.conf')] : []
    const options = { program: 'bench_console', name: fullName, folder, port, flags, prefix }
    return new ErlangNode(fullName, await erlang.ErlangNode.start(options))
  }

  /** Calls `module:function(args)`; args are terms as Erlang writes them. */
  async ask(module: string, name: string, ...args: readonly (string | number)[]): Promise<unknown> {
    const value = await this.#node.ask(`${module}, ${name}, [${args.join(', ')}]`)
    if (typeof value === 'object' && value !== null && 'error' in value) throw new Error(String(value.error))
    return value
  }

  stop(): Promise<void> {
    return this.#node.stop()
  }
}
