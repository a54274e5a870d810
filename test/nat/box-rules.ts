/**
 * What a box does with packets, as nftables reads it, by the type of its NAT (RFC 4787 section 4.1 and 5 for the terms).
 *
 *   none     no NAT and no filter: the host behind it is public
 *   full     endpoint-independent mapping, endpoint-independent filtering: everybody may send to a mapped port
 *   addr     endpoint-independent mapping, address-dependent filtering: whoever the host has sent to may answer, from any port
 *   port     endpoint-independent mapping, address and port-dependent filtering: what most home routers do
 *   sym      address and port-dependent mapping and filtering: another port towards everybody
 *   blocked  as `port` for TCP; no UDP passes
 *
 * Mappings keep the port of the host where it is free, as Linux does. A NAT that takes datagrams to itself (`own` accept)
 * remembers them like a conversation of its own, so a punch that arrives before the host has sent takes the very mapping
 * that the host would have had, which then gets another port.
 */

export const NAT_TYPES = ['none', 'full', 'addr', 'port', 'sym', 'blocked'] as const
export type NatType = (typeof NAT_TYPES)[number]

/** What a NAT does with UDP to itself that belongs to no mapping. */
export type OwnDatagrams = 'drop' | 'accept'

export interface BoxSetting {
  readonly type: NatType
  readonly own: OwnDatagrams
  readonly publicAddress: string
  readonly insideAddress: string
}

/** The host's mappings live as long as a first packet's in Linux. */
const SEEN_SECONDS = 30

/** A ruleset for a box whose interfaces are `wan` and `lan`. */
export const boxRules = ({ type, own, publicAddress, insideAddress }: BoxSetting): string => {
  if (type === 'none') return ''
  const nat = {
    full: `ip saddr ${insideAddress} snat to ${publicAddress}`,
    addr: `ip saddr ${insideAddress} snat to ${publicAddress}`,
    port: 'masquerade',
    sym: 'masquerade fully-random',
    blocked: 'masquerade',
  }[type]
  const inwards = type === 'full' || type === 'addr' ? `iifname "wan" meta l4proto udp dnat to ${insideAddress}` : ''
  const forward = {
    full: '',
    addr: `oifname "wan" meta l4proto udp update @seen { ip daddr }
    iifname "wan" meta l4proto udp ip saddr != @seen drop`,
    port: '',
    sym: '',
    blocked: 'meta l4proto udp drop',
  }[type]
  return `table ip nat {
  chain post {
    type nat hook postrouting priority 100;
    oifname "wan" ${nat}
  }
  chain pre {
    type nat hook prerouting priority -100;
    ${inwards}
  }
}
table ip box {
  set seen { type ipv4_addr; flags dynamic,timeout; timeout ${SEEN_SECONDS}s; }
  chain input {
    type filter hook input priority 0;
    ${own === 'drop' ? 'iifname "wan" meta l4proto udp drop' : ''}
  }
  chain forward {
    type filter hook forward priority 0;
    ${forward}
  }
}
`
}
