/**
 * The metrics of a node as Prometheus reads them: text exposition format, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).
 */
import type { Family, Labels, Metrics } from './metrics.ts'

/** For the header `content-type`. */
export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Anything that has metrics: a node. */
export interface Observed {
  readonly observer: { readonly metrics: Metrics }
}

/** All metrics of the node, as they are now. */
export const prometheusText = (node: Observed): string => node.observer.metrics.read().map(textOf).join('')

const textOf = (family: Family): string => {
  const { name, help, type } = family
  const lines = [`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`]
  if (family.type === 'histogram') {
    for (const { labels, counts, sum } of family.distributions) {
      let total = 0
      counts.forEach((count, i) => {
        total += count
        const le = i < family.bounds.length ? numberText(family.bounds[i] ?? 0) : '+Inf'
        lines.push(`${name}_bucket${labelText({ ...labels, le })} ${total}`)
      })
      lines.push(`${name}_sum${labelText(labels)} ${numberText(sum)}`, `${name}_count${labelText(labels)} ${total}`)
    }
  } else for (const { labels, value } of family.samples) lines.push(`${name}${labelText(labels)} ${numberText(value)}`)
  return `${lines.join('\n')}\n`
}

const labelText = (labels: Labels): string => {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

/** In the words of the format; Go's ParseFloat reads the rest. */
const numberText = (value: number): string => {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)
}

const escapeHelp = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')

const escapeLabel = (text: string): string => escapeHelp(text).replaceAll('"', '\\"')
