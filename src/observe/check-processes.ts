/**
 * Judges what another node tells of its processes: they must be its own, and only what fits the shape is taken over, within
 * the bounds of a page.
 */
import { Pid } from '../pid.ts'
import type { WhenFull } from '../process/behaviour.ts'
import {
  type Bond,
  type Bonds,
  MAX_BONDS_TOLD,
  PAGE_PROCESSES,
  type ProcessDetail,
  type ProcessPage,
} from '../process/process-page.ts'
import { glance, isSaid, list, number, saidOf, text, textOrNot } from './check-snapshot.ts'

const POLICIES: readonly WhenFull[] = ['dropNewest', 'dropOldest', 'exit', 'block']

/** Undefined: it is no page of processes. Each leads on from `after`, so that whoever turns pages gets ahead. */
export const checkPage = (said: unknown, node: string, after: number): ProcessPage | undefined => {
  if (!isSaid(said) || !Array.isArray(said.processes)) return undefined
  const processes = list(said.processes, PAGE_PROCESSES, (one) => glance(one, node))
    .filter(({ pid }) => pid.number > after)
    .sort((one, other) => one.pid.number - other.pid.number)
  return { processes, more: said.more === true && processes.length > 0 }
}

/** Undefined: it is no process of this node. */
export const checkDetail = (value: unknown, node: string): ProcessDetail | undefined => {
  const seen = glance(value, node)
  if (seen === undefined) return undefined
  const said = saidOf(value)
  return {
    ...seen,
    behaviour: textOrNot(said.behaviour),
    parent: said.parent instanceof Pid ? said.parent : undefined,
    trapExit: said.trapExit === true,
    pressed: said.pressed === true,
    limit: number(said.limit),
    onFull: POLICIES.find((known) => known === said.onFull) ?? 'block',
    links: bonds(said.links),
    monitors: bonds(said.monitors),
    watchers: bonds(said.watchers),
  }
}

const bonds = (value: unknown): Bonds => {
  const said = saidOf(value)
  return { count: number(said.count), list: list(said.list, MAX_BONDS_TOLD, bond) }
}

const bond = (value: unknown): Bond => {
  const said = saidOf(value)
  const pid = said.pid instanceof Pid ? said.pid : undefined
  return { node: pid?.node ?? text(said.node), pid, name: textOrNot(said.name) }
}
