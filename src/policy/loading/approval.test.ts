import { describe, expect, it } from 'vitest';
import { runPolicyTests } from '../cases.ts';
import { parseObligations } from '../obligations/obligations.ts';
import { writePermit } from '../recorded/write-permit.ts';
import { batch, noon, select, selectContext, shopSchema, table, web } from '../testing/shop.ts';
import { approvalText } from './approval.ts';
import { checkPolicies, formatProblem, loadPolicies } from './load.ts';

// Goal: what needs an approval is refused until there are approvals, nothing lifts that, and everybody is told why.

const READ = 'permit(principal, action == Action::"shop:select", resource)';
const load = (...texts: readonly string[]) => loadPolicies([{ name: 'p', text: texts.join('\n') }], shopSchema);

describe('@approval', () => {
  it('refuses with a reason of its own, and names the rules', () => {
    const set = load(
      `@id("b") @approval("dba") ${READ};`,
      `@id("a") @approval("owner.of-shop") ${READ} when { context.hasWhere };`,
    );
    expect(set.decide(select())).toEqual({
      ...{ allow: false, reason: 'approval-needed', policies: ['a', 'b'], rules: ['dba', 'owner.of-shop'] },
    });
    expect(approvalText(['dba'])).toBe('needs an approval by rule "dba"; approvals are not available yet');
  });

  it('is not lifted by a permit without one, and a forbid wins over it', () => {
    const held = `@id("held") @approval("dba") ${READ};`;
    const plain = `@id("plain") ${READ};`;
    const needed = { allow: false, reason: 'approval-needed', policies: ['held'] };
    expect(load(held, plain).decide(select())).toMatchObject(needed);
    expect(load(plain, held).decide(select())).toMatchObject(needed);
    const forbid = '@id("never") forbid(principal, action, resource);';
    expect(load(held, plain, forbid).decide(select())).toEqual({
      ...{ allow: false, reason: 'forbidden', policies: ['never'] },
    });
    const failing = `@id("sum") forbid(principal, action == Action::"shop:select", resource) when { context.count * 9007199254740991 * 9007199254740991 > 0 };`;
    expect(load(held, failing).decide(select())).toMatchObject({ reason: 'policy-error', policies: ['sum'] });
  });

  it('is only of what its permit is about', () => {
    const set = load(
      `@approval("dba") permit(principal, action == Action::"shop:select", resource == Shop::Table::"shop/app/public/users");`,
      `${READ};`,
      `@approval("late") @expires("2026-11-22T11:00:00Z") ${READ};`,
    );
    expect(set.decide(select()).allow).toBe(false);
    expect(set.decide(select({ resource: table('orders') })).allow).toBe(true);
  });

  it.each(['', ' ', 'a b', 'a,b', '-a', 'a"b', 'a\n', 'é', 'x'.repeat(101)])('refuses the rule %j', (approval) => {
    expect(() => parseObligations({ approval }, 'permit')).toThrow(/@approval/);
  });

  it('stands on no forbid', () => {
    expect(() => parseObligations({ approval: 'dba' }, 'forbid')).toThrow(/obligations belong to permits/);
  });

  it('is warned of at its place, and loads', () => {
    const { compiled, problems } = checkPolicies(
      [{ name: 'p', text: `@id("x")\n@approval("dba")\n${READ};` }],
      shopSchema,
    );
    expect(compiled).toBeDefined();
    expect(problems.map(formatProblem)).toEqual([
      'p:2:1: warning: what permit "x" is about needs an approval by rule "dba"; approvals are not available yet, so it is refused (take @approval away, or leave the permit out until then)',
    ]);
  });
});

describe('who asks about it', () => {
  const set = load(`@id("held") @approval("dba") ${READ} when { context.hasWhere };`, `@id("plain") ${READ};`);
  const access = (principal = web) =>
    set.whoCan({ action: 'shop:select', resource: table('users'), identities: [principal] }).identities[0]?.access;

  it('hears that it refuses where it applies', () => {
    expect(access()).toMatchObject({
      verdict: 'sometimes',
      permits: [
        { policy: 'held', approval: 'dba', when: ['when context.hasWhere'] },
        { policy: 'plain', approval: undefined },
      ],
    });
    const always = load(`@approval("dba") ${READ};`, `${READ};`);
    const asked = { action: 'shop:select', resource: table('users'), identities: [batch] };
    expect(always.whoCan(asked).identities[0]?.access.verdict).toBe('never');
  });

  it('can expect it in a test case', () => {
    const one = {
      name: 'held',
      principal: web.id,
      action: 'shop:select',
      resource: { table: 'shop/app/public/users', attributes: { rows: 5 } },
      context: selectContext,
      expect: 'deny' as const,
      reason: 'approval-needed' as const,
      approvals: ['dba'],
      policies: ['held'],
    };
    const at = { schema: shopSchema, nowMs: noon };
    expect(runPolicyTests([one], set, at)[0]?.differences).toEqual([]);
    expect(runPolicyTests([{ ...one, approvals: ['ops'] }], set, at)[0]?.differences).toEqual([
      'approvals: expected ["ops"], got ["dba"]',
    ]);
  });

  it('is given no permit without it', () => {
    const resource = { op: 'equals', type: 'Shop::Table', id: 'shop/app/public/users' } as const;
    const demands = set.demandsOn({ actions: ['shop:select'], resource, timeMs: noon });
    expect(demands).toMatchObject({ approval: 'dba', policies: ['held'] });
    const text = writePermit({ id: 'new', demands, principal: web, actions: ['shop:select'], resource });
    expect(text).toContain('@approval("dba")\n');
    expect(load(text).decide(select())).toMatchObject({ reason: 'approval-needed' });
  });
});
