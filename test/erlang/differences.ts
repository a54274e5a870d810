/**
 * Where Skein's words differ from Erlang's by design, and where it acts differently: the only table of both.
 *
 * The section "Differences from Erlang" of docs/guarantees.md explains each; a test checks that it does.
 */
import type { ErrorCode } from '../../certs/errors.ts'

/** Codes of errors, and what Erlang says in their place. */
export const WORDS: Readonly<Partial<Record<ErrorCode, string>>> = {
  ERR_SKEIN_NOPROC: 'noproc',
  ERR_SKEIN_NOCONNECTION: 'noconnection',
  ERR_SKEIN_CALL_TIMEOUT: 'timeout',
  ERR_SKEIN_NAME_REGISTERED: 'badarg',
  ERR_SKEIN_NOT_REGISTERED: 'badarg',
  ERR_SKEIN_BAD_ARGUMENT: 'badarg',
}

/** Scenarios that turn out differently on purpose name one of these; the text must stand in docs/guarantees.md. */
export const DIFFERENCES: Readonly<Record<string, string>> = {
  'link to the dead':
    'A link to a dead process of the same node is an exit signal with `noproc` here as well; in Erlang it is an error in who links, if that one does not trap exits.',
  'several names': 'A process may have several names.',
}

/** Guarantees that no scenario shows, and why. */
export const NOT_SHOWN: Readonly<Record<number, string>> = {
  29: 'It takes a node that lies: test/e2e/flaws.test.ts has one.',
  30: 'Erlang has no bounded mailboxes.',
}
