/**
 * What the small HTTP servers of a node and of its tools have in common: they answer GET and HEAD, read no bodies, and are
 * bounded in everything a client could hold on to. What they answer is not decided here.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { SkeinError } from '../../certs/errors.ts'

const MAX_CONNECTIONS = 64
const MAX_HEADER_BYTES = 8 * 1024
const MAX_REQUESTS_PER_CONNECTION = 1000
/** For the head of a request, and for a connection without one. */
const REQUEST_TIMEOUT_MS = 5000
const CHECK_INTERVAL_MS = 1000

/** `idleTimeoutMs` is for a connection on which nothing moves, such as that of who does not read its answers. */
export const smallServer = (idleTimeoutMs: number): Server => {
  const server = createServer({
    requestTimeout: REQUEST_TIMEOUT_MS,
    headersTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
  })
  server.maxConnections = MAX_CONNECTIONS
  server.maxRequestsPerSocket = MAX_REQUESTS_PER_CONNECTION
  server.timeout = idleTimeoutMs
  // What a client breaks, it breaks for itself.
  server.on('clientError', (_error, socket) => socket.destroy())
  return server
}

/** `what` begins the message of an error. Rejects with ERR_SKEIN_PORT_BUSY or ERR_SKEIN_BIND. */
export const listen = (server: Server, host: string, port: number, what: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      const code = error.code === 'EADDRINUSE' ? 'ERR_SKEIN_PORT_BUSY' : 'ERR_SKEIN_BIND'
      reject(new SkeinError(code, `${what} cannot listen on ${host} port ${port}.`, { cause: error }))
    }
    server.once('error', failed)
    server.listen({ port, host, exclusive: true }, () => {
      server.off('error', failed)
      // Such as no free descriptor for one more connection: those that are there go on.
      server.on('error', () => {})
      resolve()
    })
  })

/** Ends all connections too. */
export const closeServer = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })

export const carriesBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
