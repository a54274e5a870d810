/**
 * The trace a message belongs to, as W3C Trace Context has it: a text (`traceparent`) in the program, 25 bytes on the wire.
 *
 * Only version 00 is written; a text of a later version is read as far as version 00 goes, as the recommendation says
 * (W3C Trace Context, 3.2.4). What is malformed is no error: it is as if there were none. `tracestate` does not travel.
 */

/** Trace id, id of the parent span, flags. */
export const TRACE_BYTES = 16 + 8 + 1

const TRACE_ID_BYTES = 16
const IDS_BYTES = 24
/** Longest text that is looked at; later versions may append fields. */
const MAX_TEXT_LENGTH = 512

const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)/
/** Of version 00: two for the version, and the dashes. */
const TEXT_LENGTH = 55
const TRACE_ID_AT = 3
const SPAN_ID_AT = 36
const FLAGS_AT = 53

/** The text as version 00 writes it; undefined for whatever is no traceparent. */
export const traceparentOf = (value: unknown): string | undefined => {
  if (typeof value !== 'string' || value.length > MAX_TEXT_LENGTH || !TRACEPARENT.test(value)) return undefined
  if (value.startsWith('00')) return value.length === TEXT_LENGTH ? value : undefined
  return `00${value.slice(2, TEXT_LENGTH)}`
}

/** Writes a well-formed traceparent at `position`. */
export const writeTrace = (bytes: Buffer, position: number, traceparent: string): void => {
  bytes.write(traceparent.slice(TRACE_ID_AT, SPAN_ID_AT - 1), position, 'hex')
  bytes.write(traceparent.slice(SPAN_ID_AT, FLAGS_AT - 1), position + TRACE_ID_BYTES, 'hex')
  bytes.write(traceparent.slice(FLAGS_AT), position + IDS_BYTES, 'hex')
}

/** The TRACE_BYTES at `position`; undefined for ids that are all zero, which are none. */
export const readTrace = (bytes: Uint8Array, position: number): string | undefined => {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset + position, TRACE_BYTES).toString('hex')
  const [span, flags] = [TRACE_ID_BYTES * 2, IDS_BYTES * 2]
  return traceparentOf(`00-${hex.slice(0, span)}-${hex.slice(span, flags)}-${hex.slice(flags)}`)
}
