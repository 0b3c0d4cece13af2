import { describe, expect, it } from 'vitest';
import { createManualClock } from '../../std/index.ts';
import { createAdmission } from './admission.ts';

// Goal: nobody takes the room of others, and whoever is refused is told when to come again.

const rate = expect.objectContaining({ code: 'ERR_REST_RATE' });

describe('a caller', () => {
  it('has a burst, which comes back with time and never grows beyond', async () => {
    const clock = createManualClock(0);
    const admission = createAdmission(clock, { burst: 3, perSecond: 2 });
    const ask = () => admission.enter('a', 'request')();
    for (let n = 0; n < 3; n++) ask();
    expect(ask).toThrow(rate);
    await clock.advance(500);
    ask();
    expect(ask).toThrow(rate);
    await clock.advance(3_600_000);
    for (let n = 0; n < 3; n++) ask();
    expect(ask).toThrow(rate);
    admission.enter('b', 'request')(); // Others are not it.
  });

  it('has so many requests and so many streams open, each counted once', () => {
    const admission = createAdmission(createManualClock(0), { callerRequestsMax: 2, callerStreamsMax: 1 });
    const first = admission.enter('a', 'request');
    admission.enter('a', 'request');
    expect(() => admission.enter('a', 'request')).toThrow('the caller has 2 requests open, allowed are 2');
    first();
    first();
    admission.enter('a', 'request');
    expect(() => admission.enter('a', 'request')).toThrow(rate);
    admission.enter('a', 'stream');
    expect(() => admission.enter('a', 'stream')).toThrow(rate);
  });
});

it('all callers together have so many', () => {
  const admission = createAdmission(createManualClock(0), { requestsMax: 2, streamsMax: 1 });
  admission.enter('a', 'request');
  const second = admission.enter('b', 'request');
  expect(() => admission.enter('c', 'request')).toThrow('all callers together have 2 requests open');
  second();
  admission.enter('c', 'request');
});

it('callers without number are bounded: those who are long gone make room, and nobody inside is forgotten', async () => {
  const clock = createManualClock(0);
  const admission = createAdmission(clock, { burst: 10, perSecond: 10, callerRequestsMax: 1, requestsMax: 1e6 });
  admission.enter('inside', 'request');
  for (let n = 0; n < 19_999; n++) admission.count(`${n}`);
  expect(() => admission.count('one more')).toThrow('too many callers are known at once');
  await clock.advance(1_000);
  admission.count('one more');
  expect(() => admission.enter('inside', 'request')).toThrow('the caller has 1 requests open');
});
