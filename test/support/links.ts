/**
 * Links of the pages in Markdown: where they lead, and which lead nowhere.
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** The text of a page, by its path from the root of the project. */
export const readPage = (page: string): string => readFileSync(join(ROOT, page), 'utf8')

/** What is code is no heading and no link. */
const withoutCode = (text: string): string => text.replaceAll(/^```.*?^```$|`[^`\n]*`(?!\])/gms, '')

/** Targets of links, without those to elsewhere. */
export const linksOf = (text: string): string[] =>
  Array.from(withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g), ([, target = '']) => target).filter(
    (target) => !/^[a-z]+:/.test(target),
  )

/** As GitHub makes them of headings: what is repeated gets a number. */
const anchorsOf = (text: string): string[] => {
  const seen = new Map<string, number>()
  return Array.from(text.replaceAll(/^```.*?^```$/gms, '').matchAll(/^#+ (.*)$/gm), ([, heading = '']) => {
    const anchor = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-')
    const times = seen.get(anchor) ?? 0
    seen.set(anchor, times + 1)
    return times === 0 ? anchor : `${anchor}-${times}`
  })
}

/** What a link of a page does not lead to; undefined where all is well. */
export const brokenLink = (page: string, target: string): string | undefined => {
  const [file = '', anchor] = target.split('#')
  const path = file === '' ? page : join(dirname(page), file)
  if (!existsSync(join(ROOT, path))) return `${page}: ${target} is not there`
  if (anchor === undefined || !path.endsWith('.md') || anchorsOf(readPage(path)).includes(anchor)) return undefined
  return `${page}: ${path} has no heading #${anchor}`
}

export const brokenLinks = (page: string): string[] =>
  linksOf(readPage(page)).flatMap((target) => brokenLink(page, target) ?? [])
