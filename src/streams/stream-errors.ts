/** What whoever reads or writes a stream hears of its end. */
import { SkeinError } from '../../certs/errors.ts'
import type { StreamCut } from '../../transport/byte-stream.ts'

const WHY: Readonly<Record<StreamCut, string>> = {
  abandoned: 'given up by the other side',
  processEnded: 'the process at the other side has ended',
  unexpected: 'the other side did not wait for it any more',
}

/** For the reader. */
export const streamAborted = (why: StreamCut): SkeinError =>
  new SkeinError('ERR_SKEIN_STREAM_ABORTED', `The stream ends before its end: ${WHY[why]}.`)

/** For the writer. */
export const streamCancelled = (why: StreamCut): SkeinError =>
  new SkeinError('ERR_SKEIN_STREAM_CANCELLED', `The stream is read no further: ${WHY[why]}.`)

export const connectionLost = (): SkeinError =>
  new SkeinError('ERR_SKEIN_NOCONNECTION', 'The connection that carried the stream is gone.')
