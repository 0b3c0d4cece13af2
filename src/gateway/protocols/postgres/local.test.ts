import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeCancelRequest, encodeSslRequest, encodeStartup } from '../../../wire/postgres/index.ts';
import { fuzz, seeds } from './local.fuzz.ts';
import { local } from './local.ts';

describe('a client’s opening', () => {
  it('is waited for whole, and told then', () => {
    const startup = encodeStartup(0, [['user', 'web']]);
    for (let length = 0; length < startup.length; length++)
      expect(local.opening(startup.subarray(0, length))).toEqual({ step: 'more' });
    expect(local.opening(startup)).toEqual({ step: 'ready' });
  });

  it('has its wish for encryption declined', () => {
    const more = Buffer.concat([encodeSslRequest(), encodeStartup(0, [['user', 'web']])]);
    expect(local.opening(more)).toEqual({ step: 'decline', bytes: 8, answer: Buffer.from('N') });
  });

  it('is none when it is about another session', () => {
    const cancel = encodeCancelRequest(7, Buffer.alloc(32));
    expect(local.opening(cancel)).toEqual({ step: 'aside', bytes: cancel.length });
    expect(local.opening(cancel.subarray(0, 16))).toEqual({ step: 'more' });
  });

  it('that is no PostgreSQL is told at once', () => {
    expect(local.opening(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toEqual({ step: 'ready' });
  });
});

describe('a session', () => {
  const [READY, IN_TRANSACTION, TERMINATE] = ['Z\0\0\0\x05I', 'Z\0\0\0\x05T', 'X\0\0\0\x04'];
  const START = encodeStartup(0, [['user', 'web']]).toString('latin1');
  const [QUERY, SYNC, ROW] = ['Q\0\0\0\x06a\0', 'S\0\0\0\x04', 'D\0\0\0\x08rows'];
  const [EXECUTE, COPY_IN, COPY_DONE] = ['E\0\0\0\x09\0\0\0\0\0', 'G\0\0\0\x07\0\0\0', 'c\0\0\0\x04'];
  const place = (...said: readonly (readonly ['client' | 'gateway', string])[]) => {
    const session = local.follow();
    session.saw('client', Buffer.from(START, 'latin1'));
    for (const [from, text] of said) session.saw(from, Buffer.from(text, 'latin1'));
    return session.place();
  };

  it.each([
    ['amid', 'before it is greeted', []],
    ['rest', 'behind an answer', [['gateway', `${ROW}${READY}`]]],
    [
      'rest',
      'behind an answer in pieces',
      [
        ['gateway', `${ROW}Z\0\0`],
        ['gateway', '\0\x05'],
        ['gateway', 'I'],
      ],
    ],
    [
      'between',
      'behind the first of two answers that were asked for at once',
      [
        ['gateway', READY],
        ['client', `${QUERY}${EXECUTE}${SYNC}`],
        ['gateway', `${ROW}${READY}`],
      ],
    ],
    [
      'rest',
      'behind the last of two answers, in whatever pieces they were asked for',
      [
        ['gateway', READY],
        ['client', QUERY.slice(0, 3)],
        ['client', `${QUERY.slice(3)}${EXECUTE}S\0`],
        ['client', '\0\0\x04'],
        ['gateway', `${ROW}${READY}`],
        ['gateway', READY],
      ],
    ],
    [
      'rest',
      'behind a COPY whose first Sync nobody answers',
      [
        ['gateway', READY],
        ['client', `${EXECUTE}${SYNC}`],
        ['gateway', COPY_IN],
        ['client', `${COPY_DONE}${SYNC}`],
        ['gateway', READY],
      ],
    ],
    [
      'rest',
      'behind a COPY by a simple query',
      [
        ['gateway', READY],
        ['client', QUERY],
        ['gateway', COPY_IN],
        ['client', COPY_DONE],
        ['gateway', READY],
      ],
    ],
    ['between', 'behind an answer in a transaction', [['gateway', IN_TRANSACTION]]],
    [
      'between',
      'behind a request',
      [
        ['gateway', READY],
        ['client', QUERY],
      ],
    ],
    [
      'amid',
      'within an answer',
      [
        ['gateway', READY],
        ['client', QUERY],
        ['gateway', ROW.slice(0, 7)],
      ],
    ],
    [
      'amid',
      'behind a goodbye',
      [
        ['gateway', READY],
        ['client', TERMINATE],
      ],
    ],
    [
      'amid',
      'behind a goodbye that came early',
      [
        ['client', `${QUERY}${TERMINATE}`],
        ['gateway', READY],
      ],
    ],
  ] as const)('is at %s %s', (expected, _, said) => {
    expect(place(...said)).toBe(expected);
  });
});

it('takes whatever bytes come', () => {
  for (const seed of seeds) fuzz(seed);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => fuzz(bytes)));
});
