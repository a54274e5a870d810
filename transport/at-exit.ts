/**
 * The end of the thread or the process, for what must not outlive it by a moment. The one place in which the library takes
 * hold of the process; it neither ends it nor changes how it ends.
 */

/** `run` is called, and may do what is done at once, when this thread exits. Returns how to call that off. */
export const atExit = (run: () => void): (() => void) => {
  process.once('exit', run)
  return () => void process.removeListener('exit', run)
}
