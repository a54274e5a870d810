/**
 * A machine as a picture: the text of a Mermaid state diagram (https://mermaid.js.org/syntax/stateDiagram.html).
 *
 * Transitions are those that are declared, each with its event. What a state postpones, and the events that never lead out
 * of it, stand in a note beside it.
 */
import type { Table, TableState, TableStep, TimeoutKey } from './definition.ts'

/** Words of the diagram's language, which Mermaid 11 does not take for the id of a state; in any case of letters. */
const RESERVED: readonly string[] = [
  ...['state', 'statediagram', 'note', 'end', 'as', 'direction', 'hide', 'scale', 'class', 'classdef', 'style'],
  ...['default', 'click', 'href', 'acctitle', 'accdescr'],
]

/** Letters that mean nothing in a label. Others are written as character codes. */
const PLAIN = /[^\p{L}\p{N} _.,'()/-]/gu

export const mermaidOf = (table: Table): string => {
  const names = [...table.states.keys()]
  const ids = new Map(names.map((name, index) => [name, idOf(name, index, names)]))
  const id = (name: string): string => ids.get(name) as string
  const lines = names.filter((name) => id(name) !== name).map((name) => `state "${labelOf(name)}" as ${id(name)}`)
  lines.push(`[*] --> ${id(table.initial)}`)
  for (const [name, state] of table.states) {
    const events = eventsOf(state)
    if (state.enter?.may.includes('stop') === true) lines.push(`${id(name)} --> [*] : enter`)
    for (const [label, step] of events) {
      for (const to of step.to) lines.push(`${id(name)} --> ${id(to)} : ${label}`)
      if (step.may.includes('stop')) lines.push(`${id(name)} --> [*] : ${label}`)
    }
    const notes = notesOf(events)
    if (notes.length > 0) lines.push(`note right of ${id(name)}`, ...notes.map((note) => `  ${note}`), 'end note')
  }
  return `stateDiagram-v2\n${lines.map((line) => `  ${line}\n`).join('')}`
}

/** Steps with the label of their event. */
const eventsOf = ({ afterMs, on, calls, timeouts }: TableState): readonly [string, TableStep][] => [
  ...[...on].map(([name, step]): [string, TableStep] => [labelOf(name), step]),
  ...[...calls].map(([name, step]): [string, TableStep] => [labelOf(`call ${name}`), step]),
  ...[...timeouts].map(([key, step]): [string, TableStep] => [timeoutLabel(key, afterMs), step]),
]

const notesOf = (events: readonly [string, TableStep][]): string[] => {
  const labels = (holds: (step: TableStep) => boolean): string =>
    events
      .filter(([, step]) => holds(step))
      .map(([label]) => label)
      .join(', ')
  const postponed = labels((step) => step.may.includes('postpone'))
  const kept = labels((step) => step.to.length === 0 && step.may.length === 0)
  return [...(postponed === '' ? [] : [`postpones ${postponed}`]), ...(kept === '' ? [] : [`stays on ${kept}`])]
}

const timeoutLabel = (key: TimeoutKey, afterMs: number | undefined): string => {
  if (key === 'state') return Number.isFinite(afterMs) ? `after ${durationOf(afterMs as number)}` : 'state timeout'
  return key === 'event' ? 'event timeout' : labelOf(key)
}

const durationOf = (ms: number): string => (ms > 0 && ms % 1000 === 0 ? `${ms / 1000} s` : `${ms} ms`)

const idOf = (name: string, index: number, names: readonly string[]): string => {
  if (/^[A-Za-z]\w*$/.test(name) && !RESERVED.includes(name.toLowerCase())) return name
  let id = `state${index + 1}`
  while (names.includes(id)) id += '_'
  return id
}

const labelOf = (text: string): string =>
  text.replace(PLAIN, (letter) => `#${letter.codePointAt(0)};`).replaceAll('end note', 'end#32;note')
