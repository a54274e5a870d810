/** Frame types that both ends of the wire benchmarks know. */
export const PING = 1
export const DATA = 2
/** On the control lane: how many frames will come, and later that they came. */
export const COUNT = 3
