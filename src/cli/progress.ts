/**
 * A line on stderr while something takes longer than a second: what, and for how long already.
 *
 * Only on a terminal, and gone when it is over. Nothing else may be printed meanwhile.
 */

const PATIENCE_MS = 1000
/** Carriage return, and erase to the end of the line (ECMA-48 section 8.3.41). */
const AT_LINE_START = '\r\u001b[K'

/** Waits for `work`, and settles as it does. `what` is a text of ours such as "looking for the cluster". */
export const withProgress = async <T>(what: string, work: Promise<T>): Promise<T> => {
  const { stderr } = process
  if (!stderr.isTTY) return work
  let seconds = 0
  const timer = setInterval(() => stderr.write(`${AT_LINE_START}${what} ... ${++seconds} s`), PATIENCE_MS)
  try {
    return await work
  } finally {
    clearInterval(timer)
    if (seconds > 0) stderr.write(AT_LINE_START)
  }
}
