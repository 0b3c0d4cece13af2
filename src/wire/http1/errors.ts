import { CodedError, type ErrorEntry, type ErrorTable } from '../../std/index.ts';

/** Every way in which bytes, or what is to become bytes, are no HTTP/1.1 that can be read in one way alone. */
export const errorTable = {
  ERR_HTTP1_LINE: {
    status: 400,
    exit: 'unavailable',
    meaning: 'The first line of a message is no request line, or no status line.',
    remedy: 'Look at what is connected: it does not speak HTTP/1.1, or adds bytes between its messages.',
  },
  ERR_HTTP1_VERSION: {
    status: 505,
    exit: 'unavailable',
    meaning: 'A message is of another version than HTTP/1.1 and HTTP/1.0.',
    remedy: 'Have the client speak HTTP/1.1 here.',
  },
  ERR_HTTP1_TARGET: {
    status: 400,
    exit: 'unavailable',
    meaning:
      'The target of a request is no path, holds a fragment or a character that must be escaped, or names another host than Host does.',
    remedy: 'Send the path and query alone, escaped, and the name of the server in Host.',
  },
  ERR_HTTP1_TARGET_LONG: {
    status: 414,
    exit: 'unavailable',
    meaning: 'The target of a request is longer than is allowed.',
    remedy: 'Send what is that long in the body.',
  },
  ERR_HTTP1_HOST: {
    status: 400,
    exit: 'unavailable',
    meaning:
      'A request has no Host, or one that is no host name, IPv4 address or IPv6 address in brackets, with a port or without.',
    remedy: 'Send exactly one Host field with the name of the server.',
  },
  ERR_HTTP1_FIELD: {
    status: 400,
    exit: 'unavailable',
    meaning:
      'A field line is malformed: a name that is no token, a blank before the colon, a folded line, a line end that is not CR LF, or a character that no value may have.',
    remedy: 'Send every field on one line, `name: value`, in visible ASCII; encode what is not.',
  },
  ERR_HTTP1_REPEATED: {
    status: 400,
    exit: 'unavailable',
    meaning: 'A field that may stand in a message once stands there twice.',
    remedy: 'Send it once: two readers may take another of the two.',
  },
  ERR_HTTP1_HEAD_LONG: {
    status: 431,
    exit: 'unavailable',
    meaning: 'The head of a message, its trailers or the number of its fields is beyond the limit.',
    remedy: 'Send fewer and shorter fields; cookies are what most often grows.',
  },
  ERR_HTTP1_FRAMING: {
    status: 400,
    exit: 'unavailable',
    meaning: 'Content-Length and Transfer-Encoding do not say in one way alone where the body ends.',
    remedy: 'Send either one Content-Length in plain digits or `Transfer-Encoding: chunked`, never both.',
  },
  ERR_HTTP1_CODING: {
    status: 501,
    exit: 'unavailable',
    meaning: 'The body has a transfer coding other than chunked.',
    remedy: 'Send it chunked only; compress by Content-Encoding.',
  },
  ERR_HTTP1_CHUNK: {
    status: 400,
    exit: 'unavailable',
    meaning: 'A chunk of a body is malformed: its size, what stands behind it, or the line end behind its data.',
    remedy: 'The peer is broken or hostile; the connection was ended.',
  },
  ERR_HTTP1_CONNECTION: {
    status: 400,
    exit: 'unavailable',
    meaning:
      'Connection names a field that is meant for the other end, or an upgrade is asked for in a way that two readers understand differently.',
    remedy: 'Name in Connection only what is between two neighbours, and ask for one upgrade, without a body.',
  },
  ERR_HTTP1_EXPECT: {
    status: 417,
    exit: 'unavailable',
    meaning: 'Expect asks for something other than 100-continue.',
    remedy: 'Leave the field out.',
  },
  ERR_HTTP1_CUT: {
    status: 400,
    exit: 'unavailable',
    meaning: 'The connection ended within a message.',
    remedy: 'The peer or something between broke it off; try again.',
  },
  ERR_HTTP1_UNEXPECTED: {
    status: 502,
    exit: 'unavailable',
    meaning:
      'A server sent what nobody asked for: bytes without a request, an upgrade, or interim answers without end.',
    remedy: 'The server is broken or hostile, or closed an idle connection with a last word; the connection was ended.',
  },
} as const satisfies ErrorTable;

export type Http1ErrorCode = keyof typeof errorTable;

/** What the codec refuses. Its message is one sentence without any byte of the peer's, and safe to show. */
export class Http1Error extends CodedError<Http1ErrorCode> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }

  /** What a client that sent it is answered. Of a server's answer, the client is told 502 whatever stands here. */
  get status(): number {
    return this.entry.status;
  }
}
