import { CodedError, type ErrorEntry, type ErrorTable } from '../../std/index.ts';

/** What the JSON codec refuses. */
export const errorTable = {
  ERR_JSON_SYNTAX: {
    status: 400,
    exit: 'unavailable',
    meaning: 'The bytes are not JSON, not lines of JSON or not a stream of JSON events, by the letter of the standard.',
    remedy: 'Look at what sends it; the message names the place. Nothing more of it was shown.',
  },
  ERR_JSON_UTF8: {
    status: 400,
    exit: 'unavailable',
    meaning: 'The bytes are not UTF-8, begin with a byte order mark, or a text holds half of a surrogate pair.',
    remedy: 'Have the sender write UTF-8 without a byte order mark.',
  },
  ERR_JSON_NAME: {
    status: 400,
    exit: 'unavailable',
    meaning: 'An object holds a name twice, in whatever spelling, or a name that readers take for different ones.',
    remedy: 'Have the sender use each name once an object; the message names the place.',
  },
  ERR_JSON_NUMBER: {
    status: 400,
    exit: 'unavailable',
    meaning: 'A number is beyond what all readers read alike: larger than 2^53 - 1, or not finite.',
    remedy: 'Have the sender write such a number as a text.',
  },
  ERR_JSON_LIMIT: {
    status: 413,
    exit: 'unavailable',
    meaning: 'The JSON nests too deep, or a name, a value under a mask or an event is longer than its limit.',
    remedy: 'Have the sender split it; the limits protect the memory of every other session.',
  },
} as const satisfies ErrorTable;

/** JSON that the codec refuses. The message names the place, never what stands there. */
export class JsonError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
