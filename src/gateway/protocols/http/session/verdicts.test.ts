import { describe, expect, it } from 'vitest';
import type { Decision } from '../../../../model/index.ts';
import type { Meaning } from '../meaning/index.ts';
import { allowed, denied } from '../testing/harness.ts';
import { createVerdicts } from './verdicts.ts';

function meaningOf(
  path: string,
  more: { action?: string; host?: string; tags?: Record<string, string> } = {},
): Meaning {
  const { action = 'http:get', host = 'api', tags } = more;
  return {
    ...{ action, shape: 'GET /', method: 'GET', target: path, changes: false, route: undefined, readsBody: false },
    resource: {
      type: 'Http::Route',
      id: 'api/one',
      attributes: {},
      parents: [],
      ...(tags === undefined ? {} : { tags }),
    },
    context: { method: 'GET', path, host },
  };
}

function policyOf(decide: () => Decision = allowed) {
  let asked = 0;
  return {
    principalKey: 'spiffe://example.org/web',
    policySet: undefined,
    version: 1,
    decide() {
      asked++;
      return decide();
    },
    get asked() {
      return asked;
    },
  };
}

describe('verdicts', () => {
  it('are one object for one question, which is asked once', () => {
    const verdicts = createVerdicts();
    const policy = policyOf();
    const first = verdicts.judge(policy, meaningOf('/a'));
    expect(verdicts.judge(policy, meaningOf('/a')).judged).toBe(first.judged);
    expect(policy.asked).toBe(1);
  });

  it.each([
    ['path', meaningOf('/b')],
    ['action', meaningOf('/a', { action: 'http:upgrade' })],
    ['host', meaningOf('/a', { host: 'other' })],
    ['tag', meaningOf('/a', { tags: { 'path.id': '7' } })],
    ['tag of another name', meaningOf('/a', { tags: { 'path.is': '7' } })],
  ])('are others for another %s', (_, other) => {
    const verdicts = createVerdicts();
    const policy = policyOf();
    verdicts.judge(policy, meaningOf('/a'));
    expect(verdicts.judge(policy, other).judged.asked[0]?.question).toEqual({
      ...{ action: other.action, resource: other.resource, context: other.context },
    });
    expect(policy.asked).toBe(2);
  });

  it('are others for each identity', () => {
    const verdicts = createVerdicts();
    verdicts.judge(policyOf(), meaningOf('/a'));
    const other = { ...policyOf(() => denied), principalKey: 'spiffe://example.org/batch' };
    expect(verdicts.judge(other, meaningOf('/a')).decision.allow).toBe(false);
  });

  it('hold for one version of the policies alone', () => {
    const verdicts = createVerdicts();
    verdicts.judge(policyOf(), meaningOf('/a'));
    const later = { ...policyOf(() => denied), version: 2 };
    expect(verdicts.judge(later, meaningOf('/a')).decision.allow).toBe(false);
    const before = { ...policyOf(), version: 1 };
    expect(verdicts.judge(before, meaningOf('/a')).decision.allow).toBe(true);
  });

  it('are kept of what was asked lately, however much is asked', () => {
    const verdicts = createVerdicts();
    const policy = policyOf();
    for (let i = 0; i < 3000; i++) {
      verdicts.judge(policy, meaningOf('/often'));
      verdicts.judge(policy, meaningOf(`/${i}`));
    }
    expect(policy.asked).toBe(3001);
    verdicts.judge(policy, meaningOf('/2999'));
    expect(policy.asked).toBe(3001);
    verdicts.judge(policy, meaningOf('/0'));
    expect(policy.asked).toBe(3002);
  });

  it('of a long question are not kept', () => {
    const verdicts = createVerdicts();
    const policy = policyOf();
    for (let i = 0; i < 2; i++) verdicts.judge(policy, meaningOf(`/${'a'.repeat(2000)}`));
    expect(policy.asked).toBe(2);
  });
});
