/**
 * Routers on loopback: one that speaks PCP or NAT-PMP as the RFCs say, one that speaks UPnP as the Internet Gateway Device
 * says. Their misdeeds are what the test makes of them.
 */
import { createSocket, type Socket } from 'node:dgram'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Address } from '../../../../transport/address.ts'
import type { TestContext } from '../../../support/suite.ts'

const LOOPBACK = '127.0.0.1'

export interface FakeRouter {
  readonly address: Address
  /** What it was asked. */
  readonly asked: string[]
}

export interface PcpBehaviour {
  readonly speaks: 'pcp' | 'nat-pmp'
  /** Its address outside. */
  readonly outer?: string
  /** Code to refuse with. */
  readonly refuses?: number
  /** The first datagrams are lost. */
  readonly loses?: number
  /** Sent before each answer. */
  readonly noise?: readonly Uint8Array[]
}

export const pcpRouter = async (t: TestContext, behaviour: PcpBehaviour): Promise<FakeRouter> => {
  const { speaks, outer = '9.9.9.9', refuses = 0, noise = [] } = behaviour
  const asked: string[] = []
  let losses = behaviour.loses ?? 0
  const socket = await boundSocket(t, (bytes, { address, port }) => {
    const version = bytes[0] === 2 ? 'pcp' : 'nat-pmp'
    const map = version === 'pcp' ? bytes.subarray(40) : bytes.subarray(4)
    const lifetime = version === 'pcp' ? bytes.readUInt32BE(4) : bytes.length < 12 ? 0 : bytes.readUInt32BE(8)
    asked.push(
      version === 'nat-pmp' && bytes[1] === 0
        ? 'nat-pmp external'
        : `${version} map ${map.readUInt16BE(0)} ${map.readUInt16BE(2)} for ${lifetime}`,
    )
    if (losses-- > 0) return
    for (const one of noise) socket.send(one, port, address)
    const answer = speaks === 'pcp' ? answerPcp(bytes, outer, refuses) : answerNatPmp(bytes, outer, refuses)
    socket.send(answer, port, address)
  })
  return { address: { host: LOOPBACK, port: socket.address().port }, asked }
}

const answerPcp = (bytes: Buffer, outer: string, code: number): Buffer => {
  const answer = Buffer.from(bytes)
  answer[1] = bytes[1]! | 0x80
  answer[2] = 0
  answer[3] = code
  answer.writeUInt32BE(77, 8)
  answer.fill(0, 12, 24)
  answer.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...outer.split('.').map(Number)], 44)
  return answer
}

const answerNatPmp = (bytes: Buffer, outer: string, code: number): Buffer => {
  const isOther = bytes[0] !== 0
  const isMap = !isOther && bytes[1] === 1
  const answer = Buffer.alloc(isOther ? 8 : isMap ? 16 : 12)
  answer[1] = bytes[1]! | 0x80
  answer.writeUInt16BE(isOther ? 1 : code, 2)
  answer.writeUInt32BE(77, 4)
  if (isMap) bytes.copy(answer, 8, 4, 12)
  else if (!isOther) answer.set(outer.split('.').map(Number), 8)
  return answer
}

export interface UpnpBehaviour {
  readonly outer?: string
  /** Errors for the next requests to add a mapping. */
  readonly refuses?: readonly number[]
  /** The location it tells of itself. */
  readonly location?: (own: string) => string
  /** The description in place of the real one. */
  readonly description?: (own: string) => string
  /** Answers nothing that comes by HTTP. */
  readonly hangs?: boolean
}

export const upnpRouter = async (t: TestContext, behaviour: UpnpBehaviour = {}): Promise<FakeRouter> => {
  const { outer = '9.9.9.9', refuses = [], location = (own: string) => own, hangs = false } = behaviour
  const asked: string[] = []
  const errors = [...refuses]
  let own = ''
  const server = createServer(async (request, response) => {
    const body = await bodyOf(request)
    const action = /#(\w+)"$/.exec(String(request.headers.soapaction ?? ''))?.[1]
    asked.push([request.url, action, ...fieldsOf(body)].filter((part) => part !== undefined).join(' '))
    if (hangs) return
    const error = action === 'AddPortMapping' ? errors.shift() : undefined
    response.writeHead(error === undefined ? 200 : 500, { 'content-type': 'text/xml' })
    if (action === undefined) response.end((behaviour.description ?? describe)(own))
    else if (error === undefined)
      response.end(
        soap(
          `<u:${action}Response xmlns:u="x"><NewExternalIPAddress>${outer}</NewExternalIPAddress></u:${action}Response>`,
        ),
      )
    else
      response.end(
        soap(
          `<s:Fault><detail><UPnPError><errorCode>${error}</errorCode><errorDescription>No</errorDescription></UPnPError></detail></s:Fault>`,
        ),
      )
  })
  await new Promise<void>((resolve) => server.listen(0, LOOPBACK, resolve))
  t.defer(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  own = `http://${LOOPBACK}:${(server.address() as AddressInfo).port}/root.xml`
  const socket = await boundSocket(t, (bytes, { address, port }) => {
    const target = /^ST: (.*)$/m.exec(String(bytes))?.[1]?.trim()
    asked.push(`search ${target}`)
    const answer = [
      'HTTP/1.1 200 OK',
      'CACHE-CONTROL: max-age=120',
      `ST: ${target}`,
      `Location: ${location(own)}`,
      '',
      '',
    ]
    socket.send(answer.join('\r\n'), port, address)
  })
  return { address: { host: LOOPBACK, port: socket.address().port }, asked }
}

const describe = (): string => `<?xml version="1.0"?>
<root xmlns="urn:schemas-upnp-org:device-1-0"><device>
<deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType>
<serviceList><service><serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType><controlURL>/wrong</controlURL></service></serviceList>
<deviceList><device><deviceList><device><serviceList>
<service>
 <serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>
 <controlURL>/ctl/IPConn</controlURL>
</service>
</serviceList></device></deviceList></device></deviceList></device></root>`

const soap = (body: string): string =>
  `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>${body}</s:Body></s:Envelope>`

/** Values of the arguments that tell something. */
const fieldsOf = (body: string): string[] =>
  ['NewExternalPort', 'NewProtocol', 'NewInternalPort', 'NewInternalClient', 'NewLeaseDuration'].flatMap(
    (name) => new RegExp(`<${name}>(.*?)</${name}>`).exec(body)?.[1] ?? [],
  )

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts).toString('utf8')
}

const boundSocket = async (
  t: TestContext,
  receive: (bytes: Buffer, from: { address: string; port: number }) => void,
): Promise<Socket> => {
  const socket = createSocket('udp4', receive)
  await new Promise<void>((resolve) => socket.bind(0, LOOPBACK, resolve))
  t.defer(() => new Promise<void>((resolve) => socket.close(resolve)))
  return socket
}
