/** What a router says, and whoever passes for one: PCP, NAT-PMP, SSDP, the description and the answers of UPnP, routes. */
import {
  decodeNatPmpExternal,
  decodeNatPmpMap,
  decodePcpMap,
  encodeNatPmpMap,
  encodePcpMap,
} from '../../../src/cluster/reach/gateway-frames.ts'
import { gatewayIn, locationIn } from '../../../src/cluster/reach/gateway-wire.ts'
import { locationOf, serviceIn, textOf } from '../../../src/cluster/reach/upnp-mapping.ts'
import { holds, type Target } from '../target.ts'

const PORT = 4433
const HOST = '192.168.1.1'
const nonce = Buffer.alloc(12, 9)
const map = { internalPort: PORT, wantedPort: PORT, lifetimeSeconds: 7200 }
const SSDP = `HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nLOCATION: http://${HOST}:5000/desc.xml\r\nST: upnp:rootdevice\r\n\r\n`
const DESCRIPTION = `<root><URLBase>http://${HOST}:5000/</URLBase><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>/ctl</controlURL></service></root>`
const ROUTES = `Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\neth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\n`

export const target: Target = {
  name: 'gateway',
  about: 'the router, and whoever passes for it: PCP, NAT-PMP, SSDP, UPnP',
  dictionary: [
    'LOCATION:',
    'HTTP/1.1 200',
    '\r\n',
    '<service>',
    '</controlURL>',
    '<controlURL>',
    '<URLBase>',
    'http://',
    HOST,
    '//',
    '@',
    '<serviceType>',
    'urn:schemas-upnp-org:service:WANPPPConnection:1',
    '00000000',
    '\t',
    Buffer.of(2, 0x81),
    Buffer.of(0, 0x81),
    Buffer.of(0, 0x80),
  ],
  neverThrows: true,
  sample: (chance) => {
    const pcp = Buffer.from(encodePcpMap(map, '10.0.0.2', nonce))
    pcp[1] = 0x81
    pcp[3] = chance.oneIn(2) ? 0 : chance.below(15)
    const natPmp = Buffer.concat([encodeNatPmpMap(map), Buffer.alloc(4)])
    natPmp[1] = 0x81
    natPmp.writeUInt16BE(PORT, 8)
    const texts = [SSDP, DESCRIPTION, ROUTES].map((text) => Buffer.from(text))
    return chance.pick([pcp, natPmp, Buffer.of(0, 0x80, 0, 0, 0, 0, 0, 1, 10, 0, 0, 1), ...texts])
  },
  run: (bytes) => {
    const mapped = [decodePcpMap(bytes, PORT, nonce), decodeNatPmpMap(bytes, PORT)]
    for (const one of mapped) if (one?.type === 'mapped') holds(one.lifetimeSeconds >= 0, 'a lease has a time')
    decodeNatPmpExternal(bytes)
    const location = locationIn(bytes)
    for (const url of location === undefined ? [] : locationOf({ host: HOST, location })) {
      holds(url.hostname === HOST && url.protocol === 'http:', 'only who answered is asked')
    }
    const text = bytes.toString('utf8')
    const service = serviceIn(text, new URL(`http://${HOST}:5000/desc.xml`))
    holds(service === undefined || service.control.hostname === HOST, 'only who answered is told')
    textOf(text, 'errorCode')
    gatewayIn(text)
  },
}
