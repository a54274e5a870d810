/** The SVG writer: well-formed, finite, escaped, the same each time, whatever it is given. */
import * as assert from 'uvu/assert'
import { barPlot, type LinePlot, linePlot, short } from '../../bench/plot.ts'
import { suite } from '../support/suite.ts'

const test = suite('plot')

const LINES: LinePlot = {
  title: 'Rate <and> "memory" & more',
  x: { title: 'peers', scale: 'log', ticks: [1, 10, 100, 1000] },
  y: { title: 'messages per second' },
  lines: [
    {
      name: 'a < b',
      points: [
        { x: 1, y: 900_000 },
        { x: 10, y: 850_000 },
        { x: 1000, y: 700_000 },
      ],
    },
    { name: 'empty', points: [] },
  ],
  right: { y: { title: 'MiB', scale: 'log' }, lines: [{ name: 'memory', points: [{ x: 1, y: 100 }] }] },
}

/** Tags are closed in order, attributes quoted, and no character stands for markup that is none. Throws where not. */
const check = (svg: string): { readonly tags: readonly string[]; readonly texts: readonly string[] } => {
  const open: string[] = []
  const tags: string[] = []
  const texts: string[] = []
  const body = svg.replace(/<style>[^<]*<\/style>/, '')
  const token = /<(\/?)([a-z]+)((?: [\w:-]+="[^"<]*")*)(\/?)>|([^<>]+)/gy
  let end = 0
  for (let match = token.exec(body); match !== null; match = token.exec(body)) {
    end = token.lastIndex
    const [, closes, tag, , isEmpty, words] = match
    if (words !== undefined) {
      assert.not(/&(?!#\d+;)/.test(words), `"${words}" is escaped`)
      if (open.at(-1) === 'text') texts.push(words)
    } else if (closes === '/') assert.is(open.pop(), tag)
    else {
      tags.push(tag as string)
      if (isEmpty === '') open.push(tag as string)
    }
  }
  assert.is(end, body.length, `well-formed up to: ${body.slice(end, end + 80)}`)
  assert.equal(open, [])
  assert.not.match(svg, /NaN|Infinity|undefined/)
  return { tags, texts }
}

test('a line plot is well-formed, has its axes and legend, and is the same each time', () => {
  const svg = linePlot(LINES)
  const { tags, texts } = check(svg)
  assert.is(tags.filter((tag) => tag === 'polyline').length, 1)
  assert.is(tags.filter((tag) => tag === 'circle').length, 4)
  for (const words of ['peers', 'messages per second', 'MiB', 'memory', 'empty', '1 k', '1 M'])
    assert.ok(texts.includes(words), words)
  assert.ok(texts.includes('Rate &#60;and&#62; &#34;memory&#34; &#38; more'))
  assert.is(linePlot(LINES), svg)
})

test('what a scale cannot show is left out', () => {
  const points = [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 5].map((y) => ({ x: 1, y }))
  const { tags } = check(linePlot({ ...LINES, y: { title: 'y', scale: 'log' }, lines: [{ name: 'odd', points }] }))
  // One of these, and one of the memory.
  assert.is(tags.filter((tag) => tag === 'circle').length, 2)
  check(linePlot({ ...LINES, lines: [], x: { title: 'x' } }))
  check(linePlot({ title: '', x: { title: '' }, y: { title: '' }, lines: [{ name: '', points: [{ x: 0, y: 0 }] }] }))
})

test('a bar plot has a bar for each value there is', () => {
  const plot = {
    title: 'Peers',
    axis: { title: 'times the baseline', scale: 'log' },
    names: ['Erlang & TLS', 'libp2p'],
    groups: [
      { label: '100 B, one sender', values: [2.5, 31] },
      { label: 'ping-pong', values: [undefined, 0.4] },
      { label: 'nothing', values: [0, Number.NaN] },
    ],
    base: 1,
  } as const
  const { tags, texts } = check(barPlot(plot))
  // Three bars, and two in the legend.
  assert.is(tags.filter((tag) => tag === 'rect').length, 5)
  for (const words of ['2.5', '31', '0.4', 'ping-pong', 'Erlang &#38; TLS']) assert.ok(texts.includes(words), words)
  assert.is(barPlot(plot), barPlot(plot))
  check(barPlot({ title: 'none', axis: { title: 'x' }, names: [], groups: [] }))
})

test('numbers are short', () => {
  assert.equal([0, 0.5, 1, 999, 1000, 2500, 1_234_567, 5e9].map(short), [
    '0',
    '0.5',
    '1',
    '999',
    '1 k',
    '2.5 k',
    '1.23 M',
    '5 G',
  ])
})

test.run()
