/**
 * The page of `skein observer` in a real browser, beside nodes that are processes of their own: what it shows, how soon, by
 * keyboard alone, to assistive technology, at the width of a phone, and that what others say never becomes markup.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Locator, Page } from 'playwright-core'
import * as assert from 'uvu/assert'
import { suite, type TestContext } from '../support/suite.ts'
import { ObservedCluster, openBrowser, openPage, type ShopNode } from './observer-support.ts'

/** Each node is a process that compiles itself first; then there is a browser. */
const DEADLINE_MS = 240_000
/** Of nodes that are killed; the quickest counts, since other tests want the processor too. */
const KILLED = 3
const RED_WITHIN_MS = 2000

const test = suite('observer page', { watchdogMs: 900_000 })

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

interface Violation {
  readonly id: string
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[]
}

/** What axe finds wrong with the page as it is. */
const violations = async (page: Page): Promise<string[]> => {
  await page.evaluate(AXE)
  const found = (await page.evaluate('axe.run()')) as { readonly violations: readonly Violation[] }
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`)
}

const start = async (t: TestContext, count: number) => {
  const browser = await openBrowser(t)
  const cluster = new ObservedCluster(t)
  await cluster.add('node0@test')
  await Promise.all(Array.from({ length: count - 1 }, (_, index) => cluster.add(`node${index + 1}@test`)))
  const { url, cli } = await cluster.observe()
  return { browser, cluster, url, cli }
}

const mark = (page: Page, { name }: ShopNode, ...states: string[]) =>
  page.locator(states.map((state) => `a.node.${state}[href="#/node/${encodeURIComponent(name)}"]`).join(', '))

/** As if the tab came to the front, or went behind others. */
const look = (page: Page, visibility: 'hidden' | 'visible') =>
  page.evaluate(
    `Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => '${visibility}' })
    document.dispatchEvent(new Event('visibilitychange'))`,
  )

const addressOf = (page: Page): string => new URL(page.url()).hash

test(
  'a node that is killed is red within two seconds, and not when it is back; a lost observer is told, a new one heard',
  async (t) => {
    const { browser, cluster, url, cli } = await start(t, KILLED + 1)
    const { page, complaints } = await openPage(browser, url, { reducedMotion: 'reduce' })
    for (const node of cluster.nodes) await mark(page, node, 'up').waitFor()
    const took: number[] = []
    for (const node of cluster.nodes.slice(1)) {
      await mark(page, node, 'up').waitFor()
      const killedMs = performance.now()
      node.kill('SIGKILL')
      const red = mark(page, node, 'silent', 'down')
      await red.waitFor()
      took.push(performance.now() - killedMs)
      const colour = await page.evaluate(
        "getComputedStyle(document.querySelector('a.silent .body, a.down .body')).fill",
      )
      assert.is(colour, 'rgb(191, 32, 48)')
    }
    assert.ok(Math.min(...took) <= RED_WITHIN_MS, `red after ${took.map((ms) => ms.toFixed(0)).join(', ')} ms`)
    const [, first] = cluster.nodes as [ShopNode, ShopNode]
    await page.locator('table.nodes tr.down', { hasText: 'node1' }).waitFor()
    assert.match((await page.locator('.right .badge').textContent()) ?? '', 'not answering')
    await cluster.add(first.name)
    await mark(page, first, 'up').waitFor()
    assert.equal(complaints, [])

    // While nobody looks, another observer takes the place of this one: its log begins anew.
    await page.goto(`${url}#/events`)
    const failure = page.locator('.events tr.bad').first()
    await failure.waitFor()
    await look(page, 'hidden')
    cli.signal('SIGTERM')
    await cli.ended
    const { cli: second } = await cluster.observe('--page-port', new URL(url).port)
    await look(page, 'visible')
    await failure.waitFor({ state: 'detached' })
    await page.locator('.events').getByText('connected at').first().waitFor()
    second.signal('SIGTERM')
    await page.getByText('observer lost').waitFor()
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'from the cluster to a node, its processes and one of them; every page without violations, complaints or other hosts',
  async (t) => {
    const { browser, cluster, url } = await start(t, 2)
    const { page, complaints } = await openPage(browser, url)
    const asked = new Set<string>()
    page.on('request', (request) => asked.add(new URL(request.url()).origin))
    const [node] = cluster.nodes as [ShopNode]
    await mark(page, node, 'up').click()
    await page.getByRole('heading', { name: node.name }).waitFor()
    await page.getByRole('link', { name: 'Processes', exact: true }).click()
    const all = page.getByRole('region', { name: 'Processes' })
    for (const name of ['orders', 'stock', 'shop', 'archive', 'customers']) {
      await all.getByRole('link', { name, exact: true }).waitFor()
    }
    node.tell('flood')
    await all
      .getByRole('row', { name: /archive/ })
      .getByText('400')
      .waitFor()
    await all.getByRole('link', { name: 'orders', exact: true }).click()
    await page.getByRole('heading', { name: 'orders' }).waitFor()
    await page.getByText('takes orders').first().waitFor()
    // Its supervisor is its parent, and linked to it.
    await page.getByRole('region', { name: 'Linked to' }).getByRole('link').first().click()
    await page.getByRole('heading', { name: 'shop' }).waitFor()
    await page.getByRole('region', { name: 'Watched by' }).getByRole('link').first().waitFor()

    /** Each page, and a part of it that is there as soon as what it shows has come. */
    const at = `node/${node.name}`
    const pages: Readonly<Record<string, Locator>> = {
      '': page.locator('a.node.up .under', { hasText: 'process' }).first(),
      events: page.locator('.events tbody tr').first(),
      [at]: page.locator('.plot').last(),
      [`${at}/processes`]: all.getByRole('link', { name: 'orders', exact: true }),
      [`${at}/supervision`]: page.getByRole('link', { name: 'cards', exact: true }),
      [`${at}/connections`]: page.getByRole('row', { name: /node1@test/ }),
      [`${at}/discovery`]: page.getByText('takes part in no DHT'),
      [`${at}/services`]: page.getByRole('region', { name: 'Registered names' }).getByText('archive'),
      [addressOf(page).slice(2)]: page.getByRole('region', { name: 'Linked to' }).getByRole('link').first(),
    }
    const looks = [
      { width: 1360, colorScheme: 'light' },
      { width: 1360, colorScheme: 'dark' },
      { width: 390, colorScheme: 'light' },
    ] as const
    for (const { width, colorScheme } of looks) {
      await page.setViewportSize({ width, height: 844 })
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      for (const [path, part] of Object.entries(pages)) {
        await page.goto(`${url}#/${path}`)
        await page.locator('main h1').waitFor({ state: 'attached' })
        await part.waitFor()
        assert.equal(await violations(page), [], `${path}, ${colorScheme}, ${width} px`)
        const overflow = await page.evaluate('document.documentElement.scrollWidth - innerWidth')
        assert.ok((overflow as number) <= 0, `${path} is ${overflow} px too wide for ${width}`)
      }
    }
    await page.goto(`${url}#/node/${node.name}/supervision`)
    for (const name of ['orders', 'payments', 'cards']) await page.getByRole('link', { name, exact: true }).waitFor()
    await page.goto(`${url}#/node/${node.name}/connections`)
    await page
      .getByRole('row', { name: /node1@test/ })
      .getByText('straight')
      .waitFor()
    assert.equal([...asked], [new URL(url).origin])
    assert.equal(complaints, [])
  },
  { deadlineMs: 2 * DEADLINE_MS },
)

/** In the page: where the tabs of a node have been, each time that something has changed there. */
const WATCH_TABS = `
  window.tops = new Set()
  new MutationObserver(() => {
    const tabs = document.querySelector('nav.tabs')
    if (tabs !== null) window.tops.add(Math.round(tabs.getBoundingClientRect().top))
  }).observe(document.body, { subtree: true, childList: true, characterData: true })
`

test('the tabs of a node stay where they are when its figures come: a click under way would miss them', async (t) => {
  const { browser, cluster, url } = await start(t, 1)
  const [node] = cluster.nodes as [ShopNode]
  for (const width of [1360, 390]) {
    const { page } = await openPage(browser, url, { viewport: { width, height: 844 } })
    await mark(page, node, 'up').waitFor()
    await page.evaluate(WATCH_TABS)
    await mark(page, node, 'up').click()
    await page.locator('.plot').last().waitFor()
    assert.is(((await page.evaluate('[...window.tops]')) as number[]).length, 1, `${width} px`)
  }
})

/**
 * In the page: pictures of 1 to 8 nodes, as many links as get labels, and of each label what it covers: another label, a node
 * or a text of one.
 */
const COVERED = `(async () => {
  const { h, render } = await import(location.origin + '/dom.js')
  const { topology } = await import(location.origin + '/topology.js')
  const found = []
  const names = ['berlin', 'lisbon-warehouse-2', 'oslo', 'quito', 'seoul', 'x', 'dar-es-salaam', 'lima']
  for (let count = 1; count <= names.length; count++) {
    for (const [rttMs, lost] of [[0.2, 0], [142, 0], [3100, 12]]) {
      const nodes = names.slice(0, count).map((name, index) => ({
        name: name + '@shop',
        state: index === 3 ? 'silent' : 'up',
        figures: { processes: 10 ** index },
        links: names
          .slice(0, count)
          .filter((other, at) => at !== index && (count <= 5 || (at + 1) % count === index))
          .map((other) => ({ to: other + '@shop', rttMs, lost, way: 'port' })),
      }))
      const box = document.body.appendChild(document.createElement('div'))
      box.style.width = (innerWidth <= 640 ? 332 : 620) + 'px'
      render(box, topology(nodes))
      const labels = [...box.querySelectorAll('.link-label rect')]
      const others = [...box.querySelectorAll('.node text, .node .body')]
      for (const [index, label] of labels.entries()) {
        const one = label.getBoundingClientRect()
        const picture = box.firstChild.getBoundingClientRect()
        if (one.left < picture.left || one.right > picture.right) found.push(count + ' nodes: a label is cut')
        for (const other of [...others, ...labels.slice(index + 1)]) {
          const two = other.getBoundingClientRect()
          const isApart =
            one.right <= two.left || two.right <= one.left || one.bottom <= two.top || two.bottom <= one.top
          const what = other.textContent || other.getAttribute('class') || 'another label'
          if (!isApart) found.push(count + ' nodes, ' + rttMs + ' ms: ' + label.parentNode.textContent + ' covers ' + what)
        }
      }
      found.labels = (found.labels ?? 0) + labels.length
      box.remove()
    }
  }
  return { labels: found.labels, found: [...found] }
})()`

test(
  'in the picture of the cluster no label of a link covers a node, what is written at one, or another label',
  async (t) => {
    const { browser, url } = await start(t, 1)
    for (const width of [1360, 390]) {
      const { page, complaints } = await openPage(browser, url, { viewport: { width, height: 844 } })
      const { labels, found } = (await page.evaluate(COVERED)) as { labels: number; found: string[] }
      assert.ok(labels > 30, `${labels} labels at ${width} px`)
      assert.equal(found, [], `${width} px`)
      assert.equal(complaints, [])
    }
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'a page in a tab that nobody has looked at yet asks for no stream, and for one when it is seen',
  async (t) => {
    const { browser, cluster, url } = await start(t, 1)
    const { page } = await openPage(browser, 'about:blank')
    const asked: string[] = []
    page.on('request', (request) => asked.push(new URL(request.url()).pathname))
    const hidden = "Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => 'hidden' })"
    await page.addInitScript(hidden)
    await page.goto(url)
    await page.getByText('Waiting for the observer').waitFor()
    await page.goto(`${url}#/events`)
    await page.getByRole('heading', { name: 'Events' }).waitFor()
    await page.goto(`${url}#/`)
    await page.getByText('Waiting for the observer').waitFor()
    assert.ok(asked.includes('/main.js') && !asked.includes('/stream'), asked.join(' '))
    await look(page, 'visible')
    await mark(page, cluster.nodes[0] as ShopNode, 'up').waitFor()
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'by keyboard alone: to a node, through its tabs, to the log and its search; colours are chosen and kept',
  async (t) => {
    const { browser, cluster, url } = await start(t, 2)
    const { page, complaints } = await openPage(browser, url)
    const [node, other] = cluster.nodes as [ShopNode, ShopNode]
    await mark(page, other, 'up').waitFor()
    const focused = (): Promise<string> =>
      page.evaluate(
        "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent",
      ) as Promise<string>
    const tabTo = async (text: RegExp): Promise<void> => {
      for (let presses = 0; presses < 40; presses++) {
        if (text.test(await focused())) return
        await page.keyboard.press('Tab')
      }
      throw new Error(`the focus never came to ${text}`)
    }
    await page.keyboard.press('Tab')
    assert.is(await focused(), 'Skip to content')
    await page.keyboard.press('Enter')
    await tabTo(/^node0.*process/)
    // What is new every second does not take the focus away.
    await page.locator(`tr:has-text("node0")`).getByText('/s').waitFor()
    await page.waitForTimeout(2500)
    assert.match(await focused(), /^node0/)
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: node.name }).waitFor()
    await tabTo(/^Supervision$/)
    await page.keyboard.press('Enter')
    await page.getByText('Supervision trees').waitFor()
    node.tell('crash')
    await page.keyboard.press('/')
    await page.getByRole('heading', { name: 'Events' }).waitFor()
    await page.locator('.events').getByText('the till is stuck').first().waitFor()
    await page.keyboard.type('restarted ORDERS')
    await page.locator('.events tbody tr').filter({ hasText: 'childRestarted' }).first().waitFor()
    assert.is(await page.locator('.events tbody tr').filter({ hasNotText: 'childRestarted' }).count(), 0)
    await page.keyboard.press('Control+A')
    await page.keyboard.type('nothing like that')
    await page.getByText('No event fits this search.').waitFor()
    await page.locator('#theme').focus()
    await page.keyboard.press('Enter')
    await page.keyboard.press('Enter')
    const ground = 'getComputedStyle(document.body).backgroundColor'
    assert.is(await page.evaluate(ground), 'rgb(13, 16, 23)')
    await page.reload()
    await page.locator('#theme').waitFor()
    assert.is(await page.evaluate(ground), 'rgb(13, 16, 23)')
    assert.equal(complaints, [])
  },
  { deadlineMs: DEADLINE_MS },
)

test(
  'what other nodes say is text, never markup',
  async (t) => {
    const { browser, cluster, url } = await start(t, 1)
    const { page, complaints } = await openPage(browser, url)
    page.on('dialog', (dialog) => {
      complaints.push(`a dialog: ${dialog.message()}`)
      void dialog.dismiss()
    })
    const hostile = '<img src=x onerror="alert(1)"><script>alert(2)</script><b id="hostile">bold</b>'
    const [node] = cluster.nodes as [ShopNode]
    node.tell({ label: hostile })
    for (const path of [
      `node/${node.name}/processes`,
      `node/${encodeURIComponent(hostile)}`,
      `node/x/process/${encodeURIComponent(hostile)}`,
    ]) {
      await page.goto(`${url}#/${path}`)
      await page.getByText(hostile).first().waitFor()
      assert.is(await page.locator('main img, main script, #hostile').count(), 0)
    }
    await page.goto(`${url}#/events`)
    await page.locator('#search').fill(hostile)
    assert.is(await page.locator('main img, #hostile').count(), 0)
    assert.equal(complaints, [])
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()
