/**
 * Elements from descriptions, and descriptions onto the page: what stands there already stays, so that focus, selection and
 * scrolling survive the update of every second.
 *
 * Text only ever becomes text: nothing here parses markup, whoever wrote it.
 *
 * @typedef {{ tag: string, props: Record<string, unknown>, children: Description[] }} VElement
 * @typedef {VElement | string} Description
 * @typedef {Description | number | false | null | undefined | Child[]} Child
 */

const SVG = 'http://www.w3.org/2000/svg'

/**
 * @param {string} tag
 * @param {Record<string, unknown>} [props] attributes; `key` tells siblings apart, `on…` are listeners
 * @param {...Child} children
 * @returns {VElement}
 */
export const h = (tag, props = {}, ...children) => ({ tag, props, children: flat(children) })

/** @param {Child[]} children @returns {Description[]} */
const flat = (children) =>
  children.flatMap((child) => {
    if (Array.isArray(child)) return flat(child)
    if (child === false || child === null || child === undefined || child === '') return []
    return [typeof child === 'number' ? String(child) : child]
  })

/** @param {Element} parent @param {...Child} children */
export const render = (parent, ...children) => patchChildren(parent, flat(children))

/** @param {Element} parent @param {Description[]} wanted */
const patchChildren = (parent, wanted) => {
  /** @type {Map<string, Element>} */
  const keyed = new Map()
  /** @type {ChildNode[]} */
  const others = []
  for (const node of parent.childNodes) {
    const key = node instanceof Element ? keys.get(node) : undefined
    if (key === undefined) others.push(node)
    else keyed.set(key, /** @type {Element} */ (node))
  }
  /** @type {Set<ChildNode>} */
  const kept = new Set()
  /** @type {ChildNode | null} */
  let next = parent.firstChild
  for (const description of wanted) {
    const found = find(description, keyed, others)
    const node = found ?? make(description, parent)
    kept.add(node)
    if (typeof description !== 'string') patch(/** @type {Element} */ (node), description)
    else if (node.nodeValue !== description) node.nodeValue = description
    if (node === next) next = next.nextSibling
    else parent.insertBefore(node, next)
  }
  for (const node of [...parent.childNodes]) if (!kept.has(node)) node.remove()
}

/** @type {WeakMap<Element, string>} */
const keys = new WeakMap()
/** @type {WeakMap<Element, Record<string, unknown>>} */
const given = new WeakMap()

/** @param {Description} description @param {Map<string, Element>} keyed @param {ChildNode[]} others */
const find = (description, keyed, others) => {
  if (typeof description === 'string') return takeFirst(others, (node) => node.nodeType === Node.TEXT_NODE)
  const { tag, props } = description
  if (props.key === undefined) {
    return takeFirst(others, (node) => node instanceof Element && node.localName === tag)
  }
  const node = keyed.get(String(props.key))
  return node?.localName === tag ? node : undefined
}

/** @param {ChildNode[]} nodes @param {(node: ChildNode) => boolean} fits */
const takeFirst = (nodes, fits) => {
  const at = nodes.findIndex(fits)
  return at < 0 ? undefined : nodes.splice(at, 1)[0]
}

/** @param {Description} description @param {Element} parent */
const make = (description, parent) => {
  if (typeof description === 'string') return document.createTextNode(description)
  const isSvg = description.tag === 'svg' || (parent.namespaceURI === SVG && parent.localName !== 'foreignObject')
  const element = isSvg ? document.createElementNS(SVG, description.tag) : document.createElement(description.tag)
  if (description.props.key !== undefined) keys.set(element, String(description.props.key))
  return element
}

/** @param {Element} element @param {VElement} description */
const patch = (element, { props, children }) => {
  const before = given.get(element) ?? {}
  for (const name of Object.keys(before)) if (!(name in props)) apply(element, name, undefined)
  for (const [name, value] of Object.entries(props)) if (before[name] !== value) apply(element, name, value)
  given.set(element, props)
  patchChildren(element, children)
}

/** @param {Element} element @param {string} name @param {unknown} value */
const apply = (element, name, value) => {
  if (name === 'key') return
  if (name.startsWith('on')) {
    const listeners = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (element))
    listeners[name] = value ?? null
  } else if (name === 'value') {
    const input = /** @type {HTMLInputElement} */ (element)
    if (input.value !== value) input.value = String(value ?? '')
  } else if (value === undefined || value === false || value === null) element.removeAttribute(name)
  else element.setAttribute(name, value === true ? '' : String(value))
}

/** A name and its value, in a list of facts. @param {string} name @param {...Child} value @returns {Child} */
export const fact = (name, ...value) => h('div', { key: name }, h('dt', {}, name), h('dd', {}, value))
