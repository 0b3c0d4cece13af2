import { describe, expect, it } from 'vitest';
import type { Quota } from '../../model/index.ts';
import { createManualClock } from '../../std/index.ts';
import { createQuotas } from './quotas.ts';

const web = { identity: 'spiffe://example.org/web', target: 'shop' };
const job = { identity: 'spiffe://example.org/job', target: 'shop' };
const rate = (most: number, policy = 'p1'): Quota => ({ policy, unit: 'rate', most });
const sessions = (most: number, policy = 'p1'): Quota => ({ policy, unit: 'sessions', most });
const once = (...quotas: Quota[]) => quotas.map((quota) => ({ quota, times: 1 }));

describe('operations a minute', () => {
  it('are as many as the limit says in any sixty seconds, whenever they come', async () => {
    const clock = createManualClock(0);
    const quotas = createQuotas(clock);
    const allowed: number[] = [];
    // Every 0.7 s for ten minutes: far more than there may be.
    for (let i = 0; i < 850; i++) {
      if (quotas.take(web, once(rate(10))) === undefined) allowed.push(clock.monotonicMs());
      await clock.advance(700);
    }
    for (const start of allowed) {
      const within = allowed.filter((at) => at >= start && at < start + 60_000);
      expect(within.length).toBeLessThanOrEqual(10);
    }
    expect(allowed.length).toBeGreaterThanOrEqual(90);
  });

  it('that are too many say when there is room again, and there is', async () => {
    const clock = createManualClock(0);
    const quotas = createQuotas(clock);
    expect(quotas.take(web, once(rate(2)))).toBeUndefined();
    await clock.advance(10_000);
    expect(quotas.take(web, once(rate(2)))).toBeUndefined();
    const reached = quotas.take(web, once(rate(2)));
    expect(reached).toEqual({ policy: 'p1', unit: 'rate', most: 2, retryMs: 51_000 });
    await clock.advance(50_999);
    expect(quotas.take(web, once(rate(2)))).toBeDefined();
    await clock.advance(1);
    expect(quotas.take(web, once(rate(2)))).toBeUndefined();
  });

  it('of which more come together than there ever may be have no time to wait for', () => {
    const quotas = createQuotas(createManualClock(0));
    const three = [{ quota: rate(2), times: 3 }];
    expect(quotas.take(web, three)).toMatchObject({ retryMs: undefined });
    expect(quotas.take(web, [...once(rate(2)), ...once(rate(2)), ...once(rate(2))])).toMatchObject({ most: 2 });
  });

  it('are taken from all limits or from none', () => {
    const quotas = createQuotas(createManualClock(0));
    for (let i = 0; i < 5; i++)
      expect(quotas.take(web, once(rate(100, 'wide'), rate(1, 'narrow')))?.policy).toBe(i === 0 ? undefined : 'narrow');
    for (let i = 0; i < 99; i++) expect(quotas.take(web, once(rate(100, 'wide')))).toBeUndefined();
    expect(quotas.take(web, once(rate(100, 'wide')))?.policy).toBe('wide');
  });

  it('are counted by permit, identity and target', () => {
    const quotas = createQuotas(createManualClock(0));
    expect(quotas.take(web, once(rate(1)))).toBeUndefined();
    expect(quotas.take(job, once(rate(1)))).toBeUndefined();
    expect(quotas.take({ ...web, target: 'other' }, once(rate(1)))).toBeUndefined();
    expect(quotas.take(web, once(rate(1, 'p2')))).toBeUndefined();
    expect(quotas.take(web, once(rate(1)))).toBeDefined();
  });

  it('go by the limit of now when policy changes it', () => {
    const quotas = createQuotas(createManualClock(0));
    for (let i = 0; i < 5; i++) expect(quotas.take(web, once(rate(5)))).toBeUndefined();
    expect(quotas.take(web, once(rate(6)))).toBeUndefined();
    expect(quotas.take(web, once(rate(3)))).toBeDefined();
  });

  it('of long ago are all forgotten, also after a silence of any length', async () => {
    for (const silence of [61_000, 3_600_000]) {
      const clock = createManualClock(0);
      const quotas = createQuotas(clock);
      for (let i = 0; i < 5; i++) quotas.take(web, once(rate(5)));
      await clock.advance(silence);
      for (let i = 0; i < 5; i++) expect(quotas.take(web, once(rate(5)))).toBeUndefined();
      expect(quotas.take(web, once(rate(5)))).toBeDefined();
    }
  });
});

describe('sessions at once', () => {
  it('are as many as the limit says; one that leaves makes room for one, however often it says so', () => {
    const quotas = createQuotas(createManualClock(0));
    const enter = () => quotas.enter(web, [sessions(2)]);
    const [first, second] = [enter(), enter()];
    expect(enter()).toEqual({ policy: 'p1', unit: 'sessions', most: 2, retryMs: undefined });
    if ('leave' in first) for (let i = 0; i < 3; i++) first.leave();
    expect(enter()).toHaveProperty('leave');
    expect(enter()).toHaveProperty('most');
    if ('leave' in second) second.leave();
    expect(enter()).toHaveProperty('leave');
  });

  it('are taken from all limits or from none, and from rates never', () => {
    const quotas = createQuotas(createManualClock(0));
    expect(quotas.enter(web, [sessions(1, 'narrow'), rate(1, 'wide')])).toHaveProperty('leave');
    for (let i = 0; i < 3; i++)
      expect(quotas.enter(web, [sessions(2, 'wide'), sessions(1, 'narrow')])).toMatchObject({ policy: 'narrow' });
    expect(quotas.enter(web, [sessions(2, 'wide')])).toHaveProperty('leave');
    expect(quotas.take(web, once(rate(1, 'wide')))).toBeUndefined();
  });
});
