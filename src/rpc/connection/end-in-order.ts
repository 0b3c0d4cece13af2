import { constants, type ServerHttp2Stream } from 'node:http2';

/**
 * Ends a stream behind its answer, which has ended, though more of its request may come: RFC 9113 §8.1. Not before node:http2 has sent the last of it: a
 * stream that is closed with NO_ERROR while something of it waits, and whose connection then goes, is let go of without a reset, and the next one that is
 * reset then has nghttp2 make empty frames of it without end, in one turn: the process stands still, and grows until it dies.
 */
export function endInOrder(stream: ServerHttp2Stream): void {
  const close = () => {
    if (!stream.closed && !stream.destroyed) stream.close(constants.NGHTTP2_NO_ERROR);
  };
  if (stream.writableFinished) close();
  else stream.once('finish', close);
}
