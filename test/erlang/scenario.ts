/**
 * Scenarios: what a few processes do to each other, as data, and what they see is for the two worlds to tell.
 *
 * A scenario names its processes and where they live, then lists steps. Each step is done when the world says so (for a
 * signal: when it was sent, not when it arrived), and only then comes the next; steps in `together` begin at once.
 * Nothing sleeps: where the arrival of a signal matters, a `fence` of the same sender and receiver follows it, and since
 * signals between two processes keep their order, what the fence stands behind has arrived when it has. So `rest` after
 * the right fences shows that nothing more came.
 *
 * What steps show is compared: results of operations, messages, ends. Where Erlang leaves an order open, `takeSet` gives
 * messages sorted.
 */

/** A plain value, a pid, or the `from` of a call that `serve` named. Strings are atoms in Erlang, lists are lists. */
export type Value = string | number | boolean | readonly Value[] | { readonly pid: string } | { readonly from: string }

/** The two nodes; in a scenario on one node both are the same. */
export type NodeName = 'n1' | 'n2'

/** A process of the scenario, or a name registered on a node. */
export type To = string | { readonly name: string; readonly node: NodeName }

/** How a process ends itself: its function returns, fails with an error, or asks for this reason. */
type End = readonly ['end', 'return'] | readonly ['end', 'error', string] | readonly ['end', 'exit', Value]

/** What a new process does before anything else. */
export type FirstStep = readonly ['send', To, Value] | End

export type SpawnKind = 'spawn' | 'spawnLink' | 'spawnMonitor'

type Operation =
  | readonly ['send', to: To, value: Value]
  /** Sends 1, 2, 3 and so on. */
  | readonly ['sendMany', to: To, count: number]
  /** Shows the next so many messages. */
  | readonly ['take', count: number]
  /** The same, sorted: their order is open. */
  | readonly ['takeSet', count: number]
  /** Shows the oldest message that equals the value, passing over others. */
  | readonly ['pick', value: Value]
  /** Waits for the DOWN of this monitor, passing over others, and shows its reason. */
  | readonly ['awaitDown', ref: string]
  /** Shows all that is in the mailbox, without waiting. */
  | readonly ['rest']
  /** The same, sorted. */
  | readonly ['restSet']
  /** Shows how a receive fares that waits for nothing but this value, so many milliseconds. */
  | readonly ['pickWithin', value: Value, timeoutMs: number]
  /** Waits for a message and puts it back, without showing it: now it is known to have come. */
  | readonly ['hold']
  | readonly ['fence', to: string]
  | readonly ['trap', on: boolean]
  | readonly ['link', to: string]
  | readonly ['unlink', to: string]
  | readonly ['monitor', to: To, ref: string]
  /** Shows whether the monitor was still there. */
  | readonly ['demonitor', ref: string]
  | readonly ['demonitorFlush', ref: string]
  /** exit/2 */
  | readonly ['exit', to: string, reason: Value]
  | End
  /** Shows the reason of this process's end, as a monitor of its own node sees it. */
  | readonly ['ended']
  | readonly ['register', name: string]
  | readonly ['unregister', name: string]
  | readonly ['whereis', name: string]
  /** Begins a call; nothing else can be asked of the process until `outcome`. */
  | readonly ['call', to: To, request: Value, timeoutMs: number]
  /** Shows how the call ended. */
  | readonly ['outcome']
  /** Takes a call out of the mailbox and gives its `from` a name. */
  | readonly ['serve', from: string]
  | readonly ['reply', from: string, value: Value]
  | readonly ['sendAfter', ms: number, to: To, value: Value, timer: string]
  /** Shows whether it was in time. */
  | readonly ['cancel', timer: string]
  /** Shows whether at least so many milliseconds have passed since the last sendAfter of this process. */
  | readonly ['passed', ms: number]
  /** Starts a process of this scenario on a node. */
  | readonly [kind: SpawnKind, child: string, node: NodeName, first: readonly FirstStep[]]
  /** Shows whether a process lives, or why that cannot be told. */
  | readonly ['isAlive', pid: string]
  | readonly ['watchNodes', on: boolean]

export type Step =
  | readonly [actor: string, ...Operation]
  | readonly ['together', ...(readonly [actor: string, ...Operation])[]]
  | readonly [node: NodeName, 'connect' | 'disconnect' | 'kill' | 'restart']
  /** A process of the scenario that starts now. */
  | readonly [node: NodeName, 'start', actor: string]

export type Place = 'one node' | 'two nodes'

export interface Scenario {
  readonly title: string
  /** Numbers of docs/guarantees.md. */
  readonly guarantees: readonly number[]
  readonly places: readonly Place[]
  readonly actors: Readonly<Record<string, NodeName>>
  readonly steps: readonly Step[]
  /** Key of DIFFERENCES: Skein does otherwise on purpose. */
  readonly differs?: string
}

interface Extra {
  readonly differs?: string
}

/** `actors`: 'a b | c' puts a and b on the first node and c on the second. */
const scenario =
  (...places: Place[]) =>
  (
    title: string,
    guarantees: readonly number[],
    actors: string,
    steps: readonly Step[],
    extra: Extra = {},
  ): Scenario => {
    const [first = '', second = ''] = actors.split('|')
    const onNode = (names: string, node: NodeName): [string, NodeName][] =>
      names
        .split(' ')
        .filter((name) => name !== '')
        .map((name) => [name, node])
    return {
      title,
      guarantees,
      places,
      actors: Object.fromEntries([...onNode(first, 'n1'), ...onNode(second, 'n2')]),
      steps,
      ...extra,
    }
  }

/** A scenario that runs on two nodes, and also with all processes on one. */
export const anywhere = scenario('one node', 'two nodes')
export const onOneNode = scenario('one node')
export const onTwoNodes = scenario('two nodes')
