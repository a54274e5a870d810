/**
 * Whether the router would let the world in: a port is asked for as a node with the option portMapping does it, and given
 * back. It is a free one, so that no node on this machine loses its own.
 */

import { formatAddress } from '../../transport/address.ts'
import type { Clock } from '../../transport/clock.ts'
import type { Random } from '../../transport/random.ts'
import { UdpSocket } from '../../transport/socket.ts'
import type { Asking } from '../cluster/reach/gateway-wire.ts'
import type { MappingProtocol } from '../cluster/reach/mapping-protocol.ts'
import { PcpMapping } from '../cluster/reach/pcp-mapping.ts'
import { isPublic } from '../cluster/reach/port-mapping.ts'
import { UpnpMapping } from '../cluster/reach/upnp-mapping.ts'
import { type Finding, ok, skipped, warning } from './finding.ts'

/** Should giving it back fail, the router forgets it after this time. */
const LIFETIME_SECONDS = 120
const GIVE_UP_MS = 12_000

export interface PortMappingParts {
  readonly clock: Clock
  readonly random: Random
  /** In the order to try. */
  readonly protocols?: readonly MappingProtocol[]
}

export const checkPortMapping = async (isWanted: boolean, parts: PortMappingParts): Promise<readonly Finding[]> => {
  if (!isWanted) return [skipped('port mapping', 'The router is asked only with --port-mapping.')]
  const { clock, random, protocols = [new PcpMapping({ random }), new UpnpMapping({ random })] } = parts
  const ending = new AbortController()
  const timer = clock.after(GIVE_UP_MS, () => ending.abort())
  const socket = await UdpSocket.open('0.0.0.0', 0, () => {})
  try {
    return [await ask(protocols, socket.bound.port, { clock, signal: ending.signal })]
  } finally {
    timer.cancel()
    ending.abort()
    await socket.close()
  }
}

const ask = async (protocols: readonly MappingProtocol[], port: number, asking: Asking): Promise<Finding> => {
  const refusals: string[] = []
  for (const by of protocols) {
    try {
      const { address } = await by.map(
        { internalPort: port, wantedPort: port, lifetimeSeconds: LIFETIME_SECONDS },
        asking,
      )
      await by.unmap({ internalPort: port, wantedPort: port, lifetimeSeconds: 0 }, asking).catch(() => {})
      if (isPublic(address.host))
        return ok('port mapping', `The router maps ports by ${by.name}; it led ${formatAddress(address)} here`)
      refusals.push(`${by.name}: there is another NAT beyond it, its own address being ${address.host}`)
    } catch (error) {
      refusals.push(`${by.name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return warning(
    'port mapping',
    `The router maps no port: ${refusals.join('; ')}.`,
    'A node behind it has to be brought together with others by members, or relayed.',
    "Switch on UPnP, NAT-PMP or PCP on the router, or forward the node's UDP port by hand.",
  )
}
