import { describe, expect, it } from 'vitest';
import type { LedgerEntry } from '../../ledger/index.ts';
import { changeOfPolicies } from './changes.ts';

// Goal: of all that operators did, policy log tells what changed policies, and nothing else.

const done = { step: 'done', revision: 7, changes: ['update Policy/shop', 'unchanged Policy/old', 'create Target/db'] };

describe('an entry', () => {
  it('of an act that changed policies is told with its lines', () => {
    const differences = ['shop: cedar -1: a', 'shop: cedar +1: b', '… and 3 more lines'];
    expect(changeOfPolicies(entry({ ...done, differences }))).toEqual({
      seq: 3,
      timeMs: 1000,
      actor: 'admin',
      changes: [{ name: 'shop', action: 'update', differences: ['cedar -1: a', 'cedar +1: b'] }],
      leftOut: ['… and 3 more lines'],
    });
  });

  it('names the person where it can', () => {
    const operator = 'root (uid 0), logged in as ada (uid 1000)';
    expect(changeOfPolicies(entry({ ...done, operator }))).toMatchObject({ actor: 'admin', operator });
  });

  it('of a version that kept no lines is told without', () => {
    expect(changeOfPolicies(entry(done))?.changes).toEqual([{ name: 'shop', action: 'update', differences: [] }]);
  });

  it.each([
    ['was asked for', { ...done, step: 'request' }],
    ['failed', { step: 'failed', reason: 'no' }],
    ['left policies as they were', { ...done, changes: ['unchanged Policy/shop', 'delete Target/db'] }],
    ['has another form', { step: 'done', changes: 'all' }],
  ])('of an act that %s is not', (_, detail) => {
    expect(changeOfPolicies(entry(detail))).toBeUndefined();
  });

  it('of another act is not', () => {
    expect(changeOfPolicies({ ...entry(done), action: 'BanAgent' })).toBeUndefined();
  });
});

function entry(detail: LedgerEntry['detail']): LedgerEntry {
  const about = {
    kind: 'admin',
    actor: 'admin',
    target: 'resources',
    action: 'Apply',
    session: '',
    operation: '',
  } as const;
  return { seq: 3, timeMs: 1000, ...about, detail };
}
