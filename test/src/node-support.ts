/** Helpers for tests of whole nodes on the memory network: run time until something holds, and look on. */
import * as assert from 'uvu/assert'
import { isSkeinError, type SkeinError } from '../../certs/errors.ts'
import type { NodeEvent } from '../../src/event-stream.ts'
import type { SkeinNode } from '../../src/node.ts'
import { SimulatedCluster, type SimulationOptions, simulatedNodes } from '../../src/testing/index.ts'
import type { TestContext } from '../support/suite.ts'

/** Virtual time that is plenty for whatever a test waits for. */
const PATIENCE_MS = 60_000

/** A cluster without nodes, stopped after the test. */
export const emptyCluster = (t: TestContext, options: SimulationOptions = {}): SimulatedCluster => {
  const cluster = new SimulatedCluster(options)
  t.defer(() => cluster.stop())
  return cluster
}

/** A cluster whose nodes have just been started, stopped after the test. */
export const startCluster = async (
  t: TestContext,
  count: number,
  options: SimulationOptions = {},
): Promise<SimulatedCluster> => {
  const cluster = await simulatedNodes(count, options)
  t.defer(() => cluster.stop())
  return cluster
}

/** Runs virtual time until the condition holds; fails if it does not come true. */
export const until = async ({ clock }: SimulatedCluster, what: string, condition: () => boolean): Promise<void> => {
  const outcome = await clock.run({ until: condition, untilMs: clock.now() + PATIENCE_MS })
  assert.is(outcome, 'condition', `in vain for a minute of virtual time: ${what}`)
}

export const pass = async ({ clock }: SimulatedCluster, ms: number): Promise<void> => {
  await clock.run({ untilMs: clock.now() + ms })
}

/** Runs virtual time until the promise is settled; gives its value, or rejects as it does. */
export const settled = async <T>(cluster: SimulatedCluster, promise: Promise<T>): Promise<T> => {
  let isSettled = false
  const note = (): void => {
    isSettled = true
  }
  promise.then(note, note)
  await until(cluster, 'the promise', () => isSettled)
  return promise
}

/** The SkeinError with which the promise rejects. */
export const failureOf = async (cluster: SimulatedCluster, promise: Promise<unknown>): Promise<SkeinError> => {
  const error = await settled(
    cluster,
    promise.then(
      (value) => assert.unreachable(`it gave ${value}`),
      (reason: unknown) => reason,
    ),
  )
  assert.ok(isSkeinError(error), String(error))
  return error as SkeinError
}

/** Notes how a promise ends while time runs elsewhere: the code of its SkeinError, or 'resolved'. */
export const ending = (promise: Promise<unknown>): { code: string | undefined } => {
  const noted: { code: string | undefined } = { code: undefined }
  promise.then(
    () => {
      noted.code = 'resolved'
    },
    (error: unknown) => {
      noted.code = isSkeinError(error) ? error.code : String(error)
    },
  )
  return noted
}

/** Collects the events of a node from now on. */
export const watch = (node: SkeinNode): NodeEvent[] => {
  const seen: NodeEvent[] = []
  const read = async (): Promise<void> => {
    for await (const event of node.events) seen.push(event)
  }
  void read()
  return seen
}

export const ofType = <T extends NodeEvent['type']>(
  events: readonly NodeEvent[],
  type: T,
): Extract<NodeEvent, { type: T }>[] =>
  events.filter((event): event is Extract<NodeEvent, { type: T }> => event.type === type)

/** Runs time until every node is connected to every other. */
export const meshed = (cluster: SimulatedCluster): Promise<void> => {
  const others = cluster.nodes.length - 1
  return until(cluster, 'a full mesh', () => cluster.nodes.every((node) => node.nodes().length === others))
}
