/** What the fuzzer keeps on the disk: the corpus of each target, which is committed, and inputs that showed something. */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('./', import.meta.url))
const corpusFolder = (target: string): string => join(folder, 'corpus', target)

export const targetNames = (): string[] =>
  readdirSync(join(folder, 'targets'))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => name.slice(0, -3))
    .sort()

export const readCorpus = (target: string): Uint8Array[] => {
  let names: string[] = []
  try {
    names = readdirSync(corpusFolder(target)).sort()
  } catch {
    // A target without a corpus yet.
  }
  return names.map((name) => readFileSync(join(corpusFolder(target), name)))
}

/** In place of the one before. */
export const writeCorpus = (target: string, inputs: readonly Uint8Array[]): void => {
  rmSync(corpusFolder(target), { recursive: true, force: true })
  mkdirSync(corpusFolder(target), { recursive: true })
  for (const input of inputs) writeFileSync(join(corpusFolder(target), nameOf(input)), input)
}

/** Gives the file. */
export const writeFinding = (into: string, target: string, kind: string, input: Uint8Array): string => {
  mkdirSync(into, { recursive: true })
  const file = join(into, `${target}-${kind}-${nameOf(input)}`)
  writeFileSync(file, input)
  return file
}

const nameOf = (input: Uint8Array): string => createHash('sha256').update(input).digest('hex').slice(0, 12)
