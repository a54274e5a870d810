/**
 * Small plots as SVG: lines over a number, and bars in groups. Text stays text, fonts are the reader's own, and colours hold
 * on light and dark pages alike. The same input gives the same bytes. What it does not do: read numbers, or choose what to show.
 */

export interface Axis {
  /** With its unit. */
  readonly title: string
  /** `log`: all values must be positive. Default: linear from 0. */
  readonly scale?: 'linear' | 'log'
  /** How a tick reads. Default: 1, 10 k, 2.5 M. */
  readonly format?: (value: number) => string
  /** Only here are ticks, for an axis with few values. */
  readonly ticks?: readonly number[]
}

export interface Line {
  readonly name: string
  readonly points: readonly { readonly x: number; readonly y: number }[]
}

export interface LinePlot {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly lines: readonly Line[]
  /** A second scale at the right, with lines of its own. */
  readonly right?: { readonly y: Axis; readonly lines: readonly Line[] }
}

export interface BarPlot {
  readonly title: string
  /** With its unit; bars begin at `base`. */
  readonly axis: Axis
  /** One bar of each group has one of these names, in this order. */
  readonly names: readonly string[]
  readonly groups: readonly { readonly label: string; readonly values: readonly (number | undefined)[] }[]
  /** Bars grow from here to either side, and a line marks it. Default: 0, or the lowest tick of a logarithmic axis. */
  readonly base?: number
}

const WIDTH = 720
const LINE_HEIGHT = 400
const EDGE = { top: 76, right: 24, bottom: 56, left: 76, rightAxis: 76 } as const
/** Blue, orange, green, purple, red, teal: apart for most eyes, and neither too light nor too dark for any page. */
const COLOURS = ['#3b82c4', '#d9772b', '#3f9b5f', '#9467bd', '#cf4f4f', '#3a9aa0'] as const
const DASHES = ['', '6 4', '2 3', '8 3 2 3'] as const
const TICKS = 6
const BAR_HEIGHT = 14
const BAR_GAP = 3
const GROUP_GAP = 16
/** About the width of a letter of the font in use; labels are placed by it, never cut. */
const LETTER = 6.4
const LEGEND_GAP = 14

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #57606a }
  .title { font-size: 15px; font-weight: 600; fill: #24292f }
  .value { font-size: 11px }
  .grid { stroke: #8b949e; stroke-opacity: 0.28; shape-rendering: crispEdges }
  .axis { stroke: #8b949e; shape-rendering: crispEdges }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round }
  @media (prefers-color-scheme: dark) { text { fill: #9da7b3 } .title { fill: #e6edf3 } }
`

/** Maps values to places along one axis. */
interface Scale {
  readonly ticks: readonly number[]
  readonly at: (value: number) => number
}

const isUsable = (value: number, axis: Axis): boolean => Number.isFinite(value) && (axis.scale !== 'log' || value > 0)

/** 1, 2 or 5 times a power of ten, so that about TICKS of them reach up to `top`. */
const niceStep = (top: number): number => {
  const rough = top / (TICKS - 1)
  const power = 10 ** Math.floor(Math.log10(rough))
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10)
}

const linearTicks = (most: number): number[] => {
  if (most <= 0) return [0, 1]
  const step = niceStep(most)
  const count = Math.ceil(most / step - 1e-9)
  return Array.from({ length: count + 1 }, (_, index) => index * step)
}

const logTicks = (least: number, most: number): number[] => {
  const low = Math.floor(Math.log10(least) + 1e-9)
  const high = Math.max(low + 1, Math.ceil(Math.log10(most) - 1e-9))
  const ticks: number[] = []
  // Within two powers of ten powers alone would be too few.
  const factors = high - low <= 2 ? [1, 2, 5] : [1]
  for (let power = low; power <= high; power++)
    for (const factor of factors) if (power < high || factor === 1) ticks.push(factor * 10 ** power)
  return ticks
}

const scaleOf = (axis: Axis, values: readonly number[], from: number, to: number): Scale => {
  const usable = values.filter((value) => isUsable(value, axis))
  const known = usable.length > 0 ? usable : [1]
  const least = Math.min(...known, ...(axis.ticks ?? []))
  const most = Math.max(...known, ...(axis.ticks ?? []))
  if (axis.scale !== 'log') {
    const ticks = axis.ticks ?? linearTicks(most)
    const top = Math.max(most, ticks.at(-1) ?? 1)
    return { ticks, at: (value) => from + ((to - from) * value) / top }
  }
  const ticks = axis.ticks ?? logTicks(least, most)
  const low = Math.log10(Math.min(least, ticks[0] ?? least))
  const high = Math.log10(Math.max(most, ticks.at(-1) ?? most))
  const span = high > low ? high - low : 1
  return { ticks, at: (value) => from + ((to - from) * (Math.log10(value) - low)) / span }
}

const UNITS = [
  [1e9, ' G'],
  [1e6, ' M'],
  [1e3, ' k'],
] as const

/** Three digits and a letter for thousands, millions and so on. */
export const short = (value: number): string => {
  for (const [size, letter] of UNITS) if (value >= size) return `${digits(value / size)}${letter}`
  return digits(value)
}

const digits = (value: number): string => String(Number(value.toPrecision(3)))

const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

const place = (value: number): string => String(Math.round(value * 10) / 10)

const text = (x: number, y: number, words: string, more = ''): string =>
  `<text x="${place(x)}" y="${place(y)}"${more}>${escaped(words)}</text>`

const rule = (kind: 'grid' | 'axis', x1: number, y1: number, x2: number, y2: number): string =>
  `<line class="${kind}" x1="${place(x1)}" y1="${place(y1)}" x2="${place(x2)}" y2="${place(y2)}"/>`

const colour = (index: number): string => COLOURS[index % COLOURS.length] as string

const legend = (names: readonly string[], mark: (index: number, x: number, y: number) => string): string[] => {
  let x: number = EDGE.left
  const y = 52
  return names.map((name, index) => {
    const entry = mark(index, x, y) + text(x + 26, y, name)
    x += 26 + name.length * LETTER + LEGEND_GAP
    return entry
  })
}

const frame = (title: string, height: number, parts: readonly string[]): string => {
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${place(height)}" width="${WIDTH}" height="${place(height)}" role="img" aria-label="${escaped(title)}">`
  return `${[head, `<style>${STYLE}</style>`, text(EDGE.left, 28, title, ' class="title"'), ...parts, '</svg>'].join('\n')}\n`
}

/** Lines over a number. A point that its scale cannot show is left out. */
export const linePlot = ({ title, x, y, lines, right }: LinePlot): string => {
  const box = {
    left: EDGE.left,
    right: WIDTH - (right === undefined ? EDGE.right : EDGE.rightAxis),
    top: EDGE.top,
    bottom: LINE_HEIGHT - EDGE.bottom,
  }
  const all = [...lines, ...(right?.lines ?? [])]
  const along = scaleOf(
    x,
    all.flatMap(({ points }) => points.map((point) => point.x)),
    box.left,
    box.right,
  )
  const parts: string[] = []
  const side = (axis: Axis, own: readonly Line[], isRight: boolean): Scale => {
    const scale = scaleOf(
      axis,
      own.flatMap(({ points }) => points.map((point) => point.y)),
      box.bottom,
      box.top,
    )
    const format = axis.format ?? short
    for (const tick of scale.ticks) {
      const at = scale.at(tick)
      if (!isRight) parts.push(rule('grid', box.left, at, box.right, at))
      const anchor = isRight ? '' : ' text-anchor="end"'
      parts.push(text(isRight ? box.right + 8 : box.left - 8, at + 4, format(tick), anchor))
    }
    const middle = (box.top + box.bottom) / 2
    const at = isRight ? WIDTH - 14 : 18
    parts.push(
      text(at, middle, axis.title, ` text-anchor="middle" transform="rotate(-90 ${place(at)} ${place(middle)})"`),
    )
    return scale
  }
  const up = side(y, lines, false)
  const upRight = right === undefined ? up : side(right.y, right.lines, true)
  for (const tick of along.ticks) {
    const at = along.at(tick)
    parts.push(rule('grid', at, box.top, at, box.bottom))
    parts.push(text(at, box.bottom + 18, (x.format ?? short)(tick), ' text-anchor="middle"'))
  }
  parts.push(rule('axis', box.left, box.bottom, box.right, box.bottom))
  parts.push(text((box.left + box.right) / 2, LINE_HEIGHT - 14, x.title, ' text-anchor="middle"'))
  const stroke = (index: number): string => {
    const dash = DASHES[index % DASHES.length]
    return `stroke="${colour(index)}"${dash === '' ? '' : ` stroke-dasharray="${dash}"`}`
  }
  all.forEach(({ points }, index) => {
    const own = index < lines.length ? { axis: y, scale: up } : { axis: right?.y ?? y, scale: upRight }
    const places = points
      .filter((point) => isUsable(point.x, x) && isUsable(point.y, own.axis))
      .map((point) => [place(along.at(point.x)), place(own.scale.at(point.y))] as const)
    if (places.length > 1)
      parts.push(`<polyline class="line" ${stroke(index)} points="${places.map((at) => at.join(',')).join(' ')}"/>`)
    for (const [cx, cy] of places) parts.push(`<circle cx="${cx}" cy="${cy}" r="3.5" fill="${colour(index)}"/>`)
  })
  const names = all.map(({ name }) => name)
  const mark = (index: number, from: number, at: number): string =>
    `<line class="line" ${stroke(index)} x1="${place(from)}" y1="${at - 4}" x2="${place(from + 20)}" y2="${at - 4}"/>`
  return frame(title, LINE_HEIGHT, [...parts, ...legend(names, mark)])
}

/** Horizontal bars in groups, with their values beside them. A value that is missing, or that the scale cannot show, has no bar. */
export const barPlot = ({ title, axis, names, groups, base }: BarPlot): string => {
  const longest = Math.max(...groups.map(({ label }) => label.length), 0)
  const left = Math.min(WIDTH / 2, Math.max(EDGE.left, longest * LETTER + 20))
  const groupHeight = names.length * (BAR_HEIGHT + BAR_GAP) + GROUP_GAP
  const bottom = EDGE.top + groups.length * groupHeight
  const values = groups.flatMap((group) => group.values).filter((value) => value !== undefined)
  const shown = base === undefined ? values : [...values, base]
  const format = axis.format ?? short
  // Room for a value at the end of the longest bar.
  const along = scaleOf(axis, shown, left, WIDTH - EDGE.right - 40)
  const zero = along.at(base ?? (axis.scale === 'log' ? (along.ticks[0] ?? 1) : 0))
  const parts: string[] = []
  for (const tick of along.ticks) {
    parts.push(rule('grid', along.at(tick), EDGE.top - 6, along.at(tick), bottom))
    parts.push(text(along.at(tick), bottom + 18, format(tick), ' text-anchor="middle"'))
  }
  groups.forEach((group, place0) => {
    const top = EDGE.top + place0 * groupHeight + GROUP_GAP / 2
    const middle = top + (names.length * (BAR_HEIGHT + BAR_GAP) - BAR_GAP) / 2
    parts.push(text(left - 10, middle + 4, group.label, ' text-anchor="end"'))
    group.values.slice(0, names.length).forEach((value, index) => {
      if (value === undefined || !isUsable(value, axis)) return
      const end = along.at(value)
      const y = top + index * (BAR_HEIGHT + BAR_GAP)
      const width = Math.max(1, Math.abs(end - zero))
      parts.push(
        `<rect x="${place(Math.min(zero, end))}" y="${place(y)}" width="${place(width)}" height="${BAR_HEIGHT}" rx="2" fill="${colour(index)}"/>`,
        text(Math.max(zero, end) + 5, y + BAR_HEIGHT - 3, format(value), ' class="value"'),
      )
    })
  })
  parts.push(rule('axis', zero, EDGE.top - 6, zero, bottom))
  parts.push(text((left + WIDTH - EDGE.right) / 2, bottom + 42, axis.title, ' text-anchor="middle"'))
  const mark = (index: number, from: number, at: number): string =>
    `<rect x="${place(from + 4)}" y="${at - 10}" width="14" height="11" rx="2" fill="${colour(index)}"/>`
  return frame(title, bottom + EDGE.bottom, [...parts, ...legend(names, mark)])
}
