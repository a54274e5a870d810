/**
 * Every error that Skein raises on purpose: one class, one table of stable codes.
 *
 * A code says what happened, the hint says what to do about it, `attempts` lists what was tried. Codes never change their
 * meaning; docs/errors.md is generated from this table. The table lies in the lowest room so that every room can use it.
 */

/** A row of the table of errors. */
interface ErrorEntry {
  readonly meaning: string
  readonly hint: string
}

const entry = (meaning: string, hint: string): ErrorEntry => ({ meaning, hint })

/** All codes with their meaning and the default hint. */
export const ERRORS = {
  // configuration
  ERR_SKEIN_BAD_OPTION: entry(
    'An option or environment variable has a value that cannot be used.',
    'Correct the named option; docs/configuration.md lists every option with its range.',
  ),
  ERR_SKEIN_BAD_NAME: entry(
    'A node, cluster or process name is malformed.',
    'Use 1 to 64 letters, digits, "-", "_" or "."; a node name may end in @host.',
  ),
  ERR_SKEIN_BAD_ADDRESS: entry(
    'A text is not an address of the form ip:port, [ipv6]:port or host:port.',
    'Write it like 192.168.1.7:4433 or [fe80::1]:4433.',
  ),
  ERR_SKEIN_CONFIG_FILE: entry(
    'The configuration file cannot be read, or is not a JSON object.',
    'Check the name that was given as configFile, SKEIN_CONFIG or --config, and that the file is valid JSON.',
  ),
  // identity and membership
  ERR_SKEIN_BAD_IDENTITY: entry(
    'A saved identity cannot be read or does not hold an Ed25519 key with its certificate.',
    'Remove the file to have a new identity made, or restore it from a backup.',
  ),
  ERR_SKEIN_BAD_AUTHORITY: entry(
    'What was given as an authority (CA) is none, or has not signed the certificate of this node.',
    'Make one with "skein certs ca", and certificates with "skein certs issue"; docs/certs.md tells how.',
  ),
  ERR_SKEIN_INSECURE_FILE: entry(
    'A secret file can be read by other users, or a configuration file, or one with authorities (CA), be changed by all of them.',
    'Run chmod 600 on the file.',
  ),
  ERR_SKEIN_BAD_COOKIE: entry(
    'The cookie is empty, too short or too long.',
    'Use 8 to 1024 bytes; "openssl rand -hex 32" makes a good one.',
  ),
  ERR_SKEIN_COOKIE_FILE: entry(
    'The cookie file cannot be read or made.',
    'Check that the file exists and belongs to this user, or pass the cookie as an option.',
  ),
  ERR_SKEIN_CERT_INVALID: entry(
    'The certificate of the other node cannot be parsed, is not Ed25519, or its signature is wrong.',
    'The other side must be a Skein node with an identity of its own making.',
  ),
  ERR_SKEIN_CERT_EXPIRED: entry(
    'The certificate of the other node is outside its period of validity.',
    'Check the clocks of both machines; restart the other node to renew its certificate.',
  ),
  ERR_SKEIN_CERT_MISSING: entry('The other side showed no certificate.', 'TLS is always mutual between Skein nodes.'),
  ERR_SKEIN_CERT_UNTRUSTED: entry(
    'No authority (CA) that one of the two nodes trusts has signed the certificate of the other, or that has ended.',
    'Give the node that was refused a certificate: skein certs issue FILE, then its option "identity" (of a command: --identity FILE); look at it with skein certs show FILE.',
  ),
  ERR_SKEIN_CERT_FOREIGN: entry(
    'The certificate of the other node belongs to a different key than the one expected here.',
    'The name or address now belongs to another key; remove the stale record or correct the address.',
  ),
  // platform and socket
  ERR_SKEIN_PLATFORM: entry(
    'There is no prebuilt QUIC binary for this platform.',
    'Supported: linux-x64 (glibc), darwin-x64, darwin-arm64, win32-x64. Elsewhere a node speaks TCP alone: let it listen with the option tcp.',
  ),
  ERR_SKEIN_PORT_BUSY: entry('The port is in use.', 'Choose another port, or port 0 for any free one.'),
  ERR_SKEIN_BIND: entry(
    'The socket cannot be bound to this address.',
    'Check that the address belongs to this machine and that the port is allowed.',
  ),
  ERR_SKEIN_UNKNOWN_HOST: entry(
    'The host name has no address.',
    'Check the spelling and the name service, or give the IP address.',
  ),
  // connecting
  ERR_SKEIN_CONNECT_TIMEOUT: entry(
    'The other node did not answer in time.',
    'It may be down, behind a firewall, or silent because its cookie differs: QUIC of a Skein port never answers a stranger.',
  ),
  ERR_SKEIN_CONNECT_FAILED: entry(
    'No attempt to reach the node succeeded.',
    'The attempts list what was tried and how each ended.',
  ),
  ERR_SKEIN_NODE_UNKNOWN: entry(
    'No source of discovery knows a node of this name.',
    'Check the name, wait for discovery, or connect by ip:port.',
  ),
  ERR_SKEIN_WRONG_COOKIE: entry(
    'The proof of membership failed: the cookies differ.',
    'Give both nodes the same cookie.',
  ),
  ERR_SKEIN_WRONG_CLUSTER: entry(
    'The other node belongs to another cluster.',
    'Give both nodes the same cluster name.',
  ),
  ERR_SKEIN_REVOKED: entry(
    'The other node has revoked this one, or the other way round: it lets it in no more.',
    'Whoever operates that node can take it back with node.unrevoke, or its option "revoked".',
  ),
  ERR_SKEIN_NOT_ADMITTED: entry(
    'One of the two nodes admits none but those on its list of members, and the other is not on it.',
    'Add the id of the node to the option "members" there.',
  ),
  ERR_SKEIN_NAME_TAKEN: entry(
    'A live node with another key already has this name.',
    'Choose another name, or stop the node that has it.',
  ),
  ERR_SKEIN_VERSION: entry('The two nodes share no protocol version.', 'Upgrade the older node.'),
  ERR_SKEIN_SELF: entry(
    'The address leads back to this node itself.',
    'Remove the own address from the seeds; inside discovery this is harmless.',
  ),
  ERR_SKEIN_SIMULTANEOUS: entry(
    'Both nodes dialled at once and the other connection won.',
    'Nothing to do: the nodes are connected through the other one.',
  ),
  ERR_SKEIN_STALE_INCARNATION: entry(
    'A newer incarnation of this node is already connected.',
    'An old process of the same identity is still running: stop it.',
  ),
  ERR_SKEIN_HANDSHAKE: entry(
    'The other side broke the rules of the handshake.',
    'Update both nodes; if it persists the peer is not a Skein node.',
  ),
  ERR_SKEIN_PROTOCOL: entry(
    'The other side sent a frame that the protocol does not allow.',
    'Update both nodes; the connection was closed to protect this one.',
  ),
  ERR_SKEIN_CONNECTION_LOST: entry(
    'The connection ended before the operation was done.',
    'Try again; monitors tell when a node is gone.',
  ),
  ERR_SKEIN_TOO_MANY_CONNECTIONS: entry(
    'The limit of connections or half-open connections is reached.',
    'Raise the limit or find out who opens so many.',
  ),
  // invitations
  ERR_SKEIN_BAD_INVITATION: entry(
    'What was given to skein join is no token of an invitation, or not all of it.',
    'Copy the whole line that skein invite printed.',
  ),
  ERR_SKEIN_INVITATION_USED: entry(
    'The invitation has been used: it is good for one machine, once.',
    'Run skein invite again. If nobody of yours has used it, somebody else has the cookie: docs/rotation.md tells how to change it.',
  ),
  ERR_SKEIN_INVITATION_EXPIRED: entry(
    'The time of the invitation is over.',
    'Run skein invite again; --for gives it more time.',
  ),
  // messages
  ERR_SKEIN_MESSAGE_TOO_LARGE: entry(
    'The message is larger than the limit and was not sent.',
    'Send it in parts, or raise maxMessageBytes on every node.',
  ),
  ERR_SKEIN_UNSERIALISABLE: entry(
    'The message holds a value that cannot cross the wire and was not sent.',
    'Functions, symbols, promises and class instances without a registered type stay local.',
  ),
  ERR_SKEIN_BAD_MESSAGE: entry(
    'The bytes of a message do not decode within the limits.',
    'The sender speaks another version or is hostile; its connection was closed.',
  ),
  ERR_SKEIN_UNKNOWN_TYPE: entry(
    'A message holds a registered type that this node does not know.',
    'Register the type under the same id on every node.',
  ),
  ERR_SKEIN_QUEUE_FULL: entry(
    'So much waits for this node that the message was refused.',
    'Heed the false that send returns, and await drained().',
  ),
  // processes
  ERR_SKEIN_MAILBOX_FULL: entry(
    'More came for a process than its mailbox may hold, and by its policy the call was dropped or the process ended.',
    'Send less or handle faster; docs/processes.md tells what a mailbox can do when it is full.',
  ),
  ERR_SKEIN_NOPROC: entry('The process does not exist (any more).', 'Monitor the process, or look its name up again.'),
  ERR_SKEIN_NOCONNECTION: entry(
    'The node of the process cannot be reached.',
    'Watch nodeup and nodedown events; try again later.',
  ),
  ERR_SKEIN_NO_RELAY: entry(
    'No connected member relays to that node.',
    'Connect to a member that is connected to it, or make one of its own addresses reachable.',
  ),
  ERR_SKEIN_CALL_TIMEOUT: entry(
    'The call was not answered in time.',
    'Raise timeoutMs or look at what the called process is doing; a late reply is dropped.',
  ),
  ERR_SKEIN_CALL_ABORTED: entry('The call was abandoned by its AbortSignal.', 'Nothing to do.'),
  ERR_SKEIN_CALL_EXIT: entry('The called process ended before it replied.', 'The reason is the cause of this error.'),
  ERR_SKEIN_STREAM_ABORTED: entry(
    'The writer of a stream gave it up, or its process ended.',
    'What was read before is right, but it is not all.',
  ),
  ERR_SKEIN_STREAM_CANCELLED: entry(
    'The reader of a stream wants no more of it, or its process ended.',
    'Stop writing.',
  ),
  ERR_SKEIN_UNSUPPORTED: entry(
    'The other node speaks an older protocol, which does not have this.',
    'Upgrade the other node.',
  ),
  ERR_SKEIN_RECEIVE_TIMEOUT: entry('No matching message arrived in time.', 'Raise timeoutMs, or handle the timeout.'),
  ERR_SKEIN_NAME_REGISTERED: entry(
    'The name is already registered on this node.',
    'Unregister it first, or choose another name.',
  ),
  ERR_SKEIN_NOT_REGISTERED: entry('No process is registered under this name.', 'Register the process first.'),
  ERR_SKEIN_NAME_CONFLICT: entry(
    'Two processes had the same global name, because their nodes could not see each other; the other one keeps it.',
    'The exit reason of the one that lost it; a process that traps exits can go on without the name.',
  ),
  ERR_SKEIN_NOT_OWNER: entry(
    'The global name belongs to a process of another node.',
    'Unregister or transfer it on the node on which the process runs.',
  ),
  ERR_SKEIN_GLOBAL_TIMEOUT: entry(
    'A connected node did not answer in time about a global name.',
    'Try again; the message names the node. One that never answers should be disconnected.',
  ),
  ERR_SKEIN_CLOCK: entry('The calendar of another node is more than a day ahead.', 'Set the clocks of the machines.'),
  ERR_SKEIN_UNKNOWN_BEHAVIOUR: entry(
    'A process was to be started with a behaviour that its node does not know by this name.',
    'Register it on that node: node.behaviour(name, behaviour).',
  ),
  ERR_SKEIN_BEHAVIOUR_VERSION: entry(
    'A process was to be started with a behaviour that its node has in another version.',
    'Ask for a version that the node has, for none, or ask a node that was updated.',
  ),
  ERR_SKEIN_WORKER_FAILED: entry(
    'A worker thread did not become a node of the cluster, or its node was asked for outside of such a thread.',
    'The cause is what went wrong in the thread; its file has to call joinFromWorker. docs/workers.md has an example.',
  ),
  ERR_SKEIN_ROOM_REFUSED: entry(
    'A socket may not enter a room: `authorize` said no or threw, or the socket is not open.',
    'The cause is what was thrown; docs/rooms.md tells what authorize is given.',
  ),
  ERR_SKEIN_FORBIDDEN: entry(
    'A node does not allow this to whoever asked: by its option "allow", or because the process is guarded.',
    'Add a rule for the asking node to "allow" there; docs/security.md says what the rules mean.',
  ),
  ERR_SKEIN_START_FAILED: entry(
    'A process ended before it had started, for example because its init failed.',
    'The cause is its exit reason.',
  ),
  ERR_SKEIN_NO_CHILD: entry(
    'The supervisor has no such child.',
    'whichChildren lists them; a temporary child, or one started on demand, is forgotten when it has ended.',
  ),
  ERR_SKEIN_CHILD_EXISTS: entry(
    'The supervisor has a child of this id already.',
    'Choose another id, start the child with restartChild, or take it off the list with deleteChild.',
  ),
  ERR_SKEIN_CHILD_RUNNING: entry(
    'The child runs, or is about to be started again.',
    'End it with terminateChild first.',
  ),
  ERR_SKEIN_NO_CANDIDATE: entry(
    'No node can start the child of a distributed supervisor.',
    'Give a node the behaviour (node.behaviour), in the version asked for; one that drains, or forbids it, does not count.',
  ),
  ERR_SKEIN_NO_LEADER: entry(
    'No leader of a distributed supervisor answered in time.',
    'Call node.supervise with this name on some node; a new leader is there some seconds after the old one went.',
  ),
  ERR_SKEIN_DRAINING: entry(
    'The node is about to leave: it starts nothing more for others.',
    'Start it on another node.',
  ),
  ERR_SKEIN_TASK_EXIT: entry('A task ended without a result.', 'The reason is the cause of this error.'),
  ERR_SKEIN_TASK_TIMEOUT: entry(
    'A task did not end in time.',
    'It goes on: wait for its result again, or end it with shutdown.',
  ),
  ERR_SKEIN_BAD_RETURN: entry(
    'A function of a behaviour returned something that it cannot return.',
    'The message names the function and what it may return.',
  ),
  ERR_SKEIN_BAD_REQUEST: entry(
    'A message from another node does not fit the schema of the process it was for, and was not delivered.',
    'The message names what is wrong and where; give both nodes the same version of the protocol.',
  ),
  ERR_SKEIN_BAD_REPLY: entry(
    'Another node answered with something else than what it was asked for.',
    'Give both nodes the same version; if they have it, look at the other node.',
  ),
  ERR_SKEIN_NO_TELEMETRY: entry(
    'OpenTelemetry cannot be loaded.',
    'Run npm install @opentelemetry/api, or pass the module as option api.',
  ),
  ERR_SKEIN_EVALUATION: entry(
    'Code given to skein attach threw, is not complete, or was given up.',
    'The message is what the node said of it.',
  ),
  ERR_SKEIN_NO_HANDLER: entry(
    'A process of a behaviour has no function for this kind of message.',
    'Give the behaviour the handler, or send the message to another process.',
  ),
  ERR_SKEIN_HANDLER_TIMEOUT: entry(
    'The init or terminate function of a behaviour did not return in time.',
    'Look at what it waits for; initTimeoutMs bounds init.',
  ),
  ERR_SKEIN_BAD_TRANSITION: entry(
    'A handler of a state machine did what its step does not declare.',
    'Declare it: the state in "to", or "postpone" or "stop" in "may".',
  ),
  ERR_SKEIN_LIMIT: entry('A limit of this node is reached.', 'The message names the limit.'),
  ERR_SKEIN_BAD_ARGUMENT: entry(
    'An argument has the wrong type or shape.',
    'The message names the argument and what was expected.',
  ),
  ERR_SKEIN_PROCESS_ENDED: entry(
    'The process has ended; what its function still does has no effect.',
    'Let this error pass, so that the function ends too; the reason is its cause.',
  ),
  ERR_SKEIN_GOSSIP_REFUSED: entry(
    'A member told of the membership what cannot be true: a forged statement, or one accusation of a live member too many.',
    'Nothing of it was believed. Look at that node: it runs other code than this, or somebody else has its key.',
  ),
  ERR_SKEIN_OVERLAPPING_PARTITION: entry(
    'One of the two nodes has stepped back, because it lost a node that the other still sees.',
    'It comes back by itself; see to the network between the nodes that its event overlappingPartition names.',
  ),
  // what is kept for the next start
  ERR_SKEIN_CONTACTS_FILE: entry(
    'The contacts of the DHT cannot be saved in their file.',
    'Look at free space and permissions of the file. The node goes on without, and tries again.',
  ),
  // states that outlive their process
  ERR_SKEIN_STORE: entry(
    'A store of states could not open, read or write its place.',
    'The cause says why: look at free space, permissions, and who else has the place open.',
  ),
  ERR_SKEIN_STORE_CORRUPT: entry(
    'What a store holds is damaged or is not a state.',
    'Restore the named file from a backup, or remove it to begin with a fresh state.',
  ),
  ERR_SKEIN_STORE_CLOSED: entry(
    'The store of states has been closed.',
    'Close it after the last process that uses it.',
  ),
  ERR_SKEIN_NO_SQLITE: entry(
    'There is no SQLite to keep states in: neither node:sqlite nor better-sqlite3 can be loaded.',
    'Use Node 22.13 or later, or run npm install better-sqlite3; the attempts list what was tried.',
  ),
  ERR_SKEIN_STOPPED: entry('The node has been stopped.', 'Start a new node.'),
  // testing
  ERR_SKEIN_SCENARIO_FAILED: entry(
    'A scenario of the simulator failed; the message has the seed and the log, the cause is what failed.',
    'Run the same scenario with the seed: it fails in the same way.',
  ),
} as const satisfies Record<string, ErrorEntry>

/** A code of an error. Codes do not change from version to version; docs/errors.md says of each what to do. */
export type ErrorCode = keyof typeof ERRORS

/** True for a code of the table: what comes from elsewhere may be anything. */
export const isErrorCode = (code: unknown): code is ErrorCode => typeof code === 'string' && Object.hasOwn(ERRORS, code)

/** One thing that was tried and how it ended, for errors that sum up several tries. */
export interface Attempt {
  readonly what: string
  readonly code: string
  readonly message: string
}

/** What a SkeinError has beside code and message. */
export interface SkeinErrorOptions {
  readonly cause?: unknown
  /** Replaces the table's hint where the place knows better. */
  readonly hint?: string
  readonly attempts?: readonly Attempt[]
}

/** The one base class. `code` is stable, `message` is for people, `hint` says what to do. */
export class SkeinError extends Error {
  override readonly name = 'SkeinError'
  readonly code: ErrorCode
  readonly hint: string
  readonly attempts: readonly Attempt[]

  constructor(code: ErrorCode, message: string, options: SkeinErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint ?? ERRORS[code].hint
    this.attempts = options.attempts ?? []
  }
}

/** True for a SkeinError, of that code if one is given. */
export const isSkeinError = (value: unknown, code?: ErrorCode): value is SkeinError =>
  value instanceof SkeinError && (code === undefined || value.code === code)
