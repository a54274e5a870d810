/**
 * The files of the page, read once: a fixed list, so that no path of a request ever becomes one of the disk.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'

const TYPES = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
} as const

const FILES = [
  'index.html',
  'frame.css',
  'parts.css',
  'drawings.css',
  'narrow.css',
  'icon.svg',
  'main.js',
  'dom.js',
  'format.js',
  'stream.js',
  'plots.js',
  'topology.js',
  'cluster-page.js',
  'node-page.js',
  'connections-tab.js',
  'discovery-tab.js',
  'process-page.js',
  'events-page.js',
] as const

export interface PageFile {
  readonly type: string
  readonly body: Buffer
  readonly etag: string
}

/** By the path of the request. */
export const readPageFiles = async (): Promise<ReadonlyMap<string, PageFile>> => {
  const files = await Promise.all(
    FILES.map(async (name): Promise<[string, PageFile]> => {
      const body = await readFile(new URL(`page/${name}`, import.meta.url))
      const type = TYPES[name.slice(name.lastIndexOf('.') + 1) as keyof typeof TYPES]
      const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
      return [name === 'index.html' ? '/' : `/${name}`, { type, body, etag }]
    }),
  )
  return new Map(files)
}
