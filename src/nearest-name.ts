/**
 * The known name that a misspelt one was probably meant to be, for error messages.
 */

/** Further apart than this, two names have nothing to do with each other. */
const MAX_EDITS = 3

export const nearestOf = (word: string, known: readonly string[]): string | undefined => {
  const meant = word.toLowerCase().slice(0, 64)
  const near = known
    // What differs much in length needs no closer look.
    .filter((name) => Math.abs(name.length - meant.length) <= MAX_EDITS)
    .map((name) => ({ name, edits: editDistance(meant, name.toLowerCase()) }))
    .filter(({ name, edits }) => edits <= Math.min(MAX_EDITS, Math.ceil(name.length / 2)))
  return near.sort((a, b) => a.edits - b.edits)[0]?.name
}

/** Levenshtein's: insertions, deletions and replacements that turn one word into the other. */
const editDistance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const above = row
    row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(replaced, above[j]! + 1, row[j - 1]! + 1))
    }
  }
  return row[b.length]!
}
