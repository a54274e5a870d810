/**
 * Text of what anybody may have thrown or given: `String` throws for some values (one without a prototype, an error whose
 * message is a getter that fails), and whoever only wants to tell of an error must not fail of it.
 */

const MAX_LENGTH = 1000

/** As `String`; what has no text is called by its type. Never throws. */
export const safeText = (value: unknown, maxLength = MAX_LENGTH): string => {
  try {
    return String(value).slice(0, maxLength)
  } catch {
    return typeof value
  }
}

/** The message of an error, and otherwise as `safeText`. Never throws. */
export const safeMessage = (error: unknown, maxLength = MAX_LENGTH): string => {
  try {
    return safeText(error instanceof Error ? error.message : error, maxLength)
  } catch {
    return typeof error
  }
}
