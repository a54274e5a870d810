/**
 * Makes the pictures of the observer's page in docs/pictures: a cluster of five nodes with something to do, of which one is
 * killed, seen in light and dark colours and at the width of a phone.
 *
 * Usage: tsx scripts/observer-pictures.ts [--seconds 60] [--out docs/pictures]. Needs Debian's chromium.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Page } from 'playwright-core'
import { type Deferring, ObservedCluster, openBrowser, openPage } from '../test/e2e/observer-support.ts'

/** Of one picture: README.md and the documents load them. */
const MAX_BYTES = 120_000

const { seconds, out } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, out: { type: 'string', default: 'docs/pictures' } },
}).values

const cleanUps: (() => unknown)[] = []
const t: Deferring = {
  defer: (cleanUp) => void cleanUps.push(cleanUp),
  missing: (what) => {
    throw new Error(`${what} is missing`)
  },
}

const pictures = async (): Promise<void> => {
  mkdirSync(out, { recursive: true })
  const cluster = new ObservedCluster(t, 'shop', true)
  for (const name of ['berlin', 'lisbon', 'oslo', 'quito', 'seoul']) await cluster.add(`${name}@shop`)
  const { url } = await cluster.observe()
  const browser = await openBrowser(t)
  const desktop = { viewport: { width: 1200, height: 660 } }
  const { page: light } = await openPage(browser, url, { ...desktop, colorScheme: 'light' })
  const { page: dark } = await openPage(browser, url, { ...desktop, colorScheme: 'dark' })
  const { page: phone } = await openPage(browser, url, {
    viewport: { width: 390, height: 844 },
    deviceScaleFactor: 1.25,
  })
  await sleep((Number(seconds) * 1000) / 2)
  cluster.nodes[1]?.tell('crash')
  cluster.nodes[2]?.tell('flood')
  await sleep((Number(seconds) * 1000) / 2)
  await light.goto(`${url}#/node/oslo@shop`)
  await light.getByRole('heading', { name: 'Backlog' }).waitFor()
  await sleep(1500)
  await picture(light, 'observer-node')
  await light.goto(`${url}#/`)
  cluster.nodes[4]?.kill('SIGKILL')
  await light.locator('tr.down').waitFor()
  await sleep(1500)
  await picture(light, 'observer-light')
  await picture(dark, 'observer-dark')
  await picture(phone, 'observer-phone')
}

const picture = async (page: Page, name: string): Promise<void> => {
  const png = await page.screenshot()
  if (png.length > MAX_BYTES) throw new Error(`${name}.png has ${png.length} bytes, more than ${MAX_BYTES}`)
  writeFileSync(`${out}/${name}.png`, png)
  process.stdout.write(`${out}/${name}.png ${png.length} bytes\n`)
}

try {
  await pictures()
} finally {
  for (const cleanUp of cleanUps.reverse()) await cleanUp()
}
