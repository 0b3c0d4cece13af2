import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createManualClock, createSeededRandom } from '../../std/index.ts';
import { createRunAuthority } from './run-authority.ts';

const HOUR_MS = 3_600_000;

function authorityAt(startMs: number, hosts = ['a.test', 'b.test']) {
  const clock = createManualClock(startMs);
  const authority = createRunAuthority({ hosts, clock, random: createSeededRandom('run') });
  if (authority === undefined) throw new Error('it has a host');
  return { clock, authority };
}

describe('the certificate of a host', () => {
  it('is one for six hours, and another then', async () => {
    const { clock, authority } = authorityAt(1_000 * HOUR_MS);
    const first = authority.contextFor('a.test');
    await clock.advance(6 * HOUR_MS - 1);
    expect(authority.contextFor('a.test')).toBe(first);
    expect(authority.contextFor('b.test')).not.toBe(first);
    await clock.advance(1);
    expect(authority.contextFor('a.test')).not.toBe(first);
  });

  it.each([
    ['after the machine has slept for a night, which no clock that runs by itself counts', 14 * HOUR_MS],
    ['after the clock was set back', -HOUR_MS],
  ])('is another %s', (_, byMs) => {
    const { clock, authority } = authorityAt(1_000 * HOUR_MS);
    const first = authority.contextFor('a.test');
    clock.step(byMs);
    expect(authority.contextFor('a.test')).not.toBe(first);
  });

  it('has a root that is valid though the clock is set back by weeks, since it is made once', () => {
    const { authority } = authorityAt(10_000 * HOUR_MS);
    const root = new X509Certificate(authority.rootDer);
    expect(Date.parse(root.validFrom)).toBe(10_000 * HOUR_MS - 30 * 24 * HOUR_MS);
  });
});

it('there is none for addresses, however they are written', () => {
  const of = (hosts: string[]) =>
    createRunAuthority({ hosts, clock: createManualClock(0), random: createSeededRandom('run') });
  expect(of(['10.0.0.1', '10.1', 'fd00::1'])).toBeUndefined();
});
