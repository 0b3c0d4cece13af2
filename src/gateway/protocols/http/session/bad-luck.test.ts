import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answerOf, denied, type HttpBed, openHttp, settled } from '../testing/harness.ts';

/** What happens to a session, one after another. */
const step = fc.constantFrom(
  ...[
    'get',
    'get',
    'post',
    'chunks',
    'denied',
    'long',
    'answer',
    'answer',
    'answer',
    'early',
    'close',
    'reset',
    'junk',
  ],
  ...['hold', 'release', 'forbid', 'permit', 'half', 'hints', 'head'],
);

/** Plays them, and lets all that can end come to its end. */
async function play(steps: readonly string[]): Promise<HttpBed> {
  let forbids = false;
  const bed = await openHttp({
    decide: ({ action }) => (forbids || action === 'http:delete' ? denied : undefined),
  });
  let release: (() => void) | undefined;
  let sent = 0;
  let open = '';
  const request = (method: string, rest: string) => {
    bed.send(`${open}${method} /r${++sent} HTTP/1.1\r\nhost: api\r\n${rest}`);
    open = '';
  };
  /** Answers what the upstream heard last. */
  const answer = (more = '') => {
    const id = /.*\/(r\d+) HTTP/s.exec(bed.upstream.at(-1) ?? '')?.[1];
    if (id !== undefined) bed.say(`${more}${answerOf(`{"of":"${id}"}`)}`);
  };
  const acts: Readonly<Record<string, () => unknown>> = {
    get: () => request('GET', '\r\n'),
    head: () => request('GET', 'accept: a/b\r\nconnection: close, x-a\r\nx-a: 1\r\n\r\n'),
    post: () => request('POST', 'content-length: 4\r\n\r\nbody'),
    chunks: () => request('POST', 'transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n'),
    denied: () => request('DELETE', 'content-length: 4\r\n\r\nbody'),
    long: () => request('DELETE', 'content-length: 4000000\r\n\r\nbody'),
    half: () => {
      request('POST', 'content-length: 8\r\n\r\nhalf');
      open = 'half';
    },
    answer: () => answer(),
    hints: () => answer('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n'),
    early: () => bed.upstream.length > 0 && bed.say(answerOf('{"of":"nobody"}')),
    junk: () => bed.upstream.length > 0 && bed.say('\r\njunk'),
    close: () => bed.upstream.length > 0 && bed.socket.end(),
    reset: () => bed.upstream.length > 0 && bed.socket.resetAndDestroy(),
    hold: () => {
      release ??= bed.ledger.holdWrites();
    },
    release: () => {
      release?.();
      release = undefined;
    },
    forbid: () => {
      forbids = true;
    },
    permit: () => {
      forbids = false;
    },
  };
  for (const name of steps) {
    if (name !== 'early') await settled();
    acts[name]?.();
  }
  release?.();
  for (let turn = 0; turn < 3; turn++) {
    await settled();
    answer();
  }
  await settled();
  bed.end();
  await bed.served;
  return bed;
}

describe('a session with every kind of bad luck', () => {
  it('has each request recorded, carried out and answered once at most, and by its own answer', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
        const bed = await play(steps);
        try {
          const of = (kind: string) =>
            bed.ledger.events.filter((event) => event.kind === kind).map(({ operation }) => operation);
          expect(of('outcome').toSorted()).toEqual(of('intent').toSorted());
          const heard = bed.upstream.flatMap((text) => [...text.matchAll(/(GET|POST|DELETE) \/(r\d+) HTTP/g)]);
          for (const [, method, id] of heard) {
            const times = heard.filter((one) => one[2] === id).length;
            expect(times, `${method} ${id}`).toBeLessThanOrEqual(method === 'GET' ? 2 : 1);
            expect(method).not.toBe('DELETE');
          }
          const answers = bed
            .received()
            .split(/HTTP\/1\.1 (?=[2-5])/)
            .slice(1);
          const sent = steps.filter((name) =>
            ['get', 'head', 'post', 'chunks', 'denied', 'long', 'half'].includes(name),
          );
          expect(answers.length).toBeLessThanOrEqual(sent.length);
          for (const [at, text] of answers.entries()) {
            const id = /"of":"(\w+)"/.exec(text)?.[1];
            if (id !== undefined && id !== 'nobody') expect(id).toBe(`r${at + 1}`);
          }
          expect(bed.logged.join()).not.toContain('session_bug');
        } finally {
          await bed.close();
        }
      }),
      { numRuns: Number(process.env['RUNS'] ?? 150), seed: Number(process.env['SEED'] ?? 4_102), endOnFailure: false },
    );
  });
});
