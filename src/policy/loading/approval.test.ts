import { describe, expect, it } from 'vitest';
import { judgedBy, withoutApproval } from '../../model/index.ts';
import { runPolicyTests } from '../cases.ts';
import { parseObligations } from '../obligations/obligations.ts';
import { writePermit } from '../recorded/write-permit.ts';
import { batch, noon, select, selectContext, shopSchema, table, web } from '../testing/shop.ts';
import { approvalText } from './approval.ts';
import { checkPolicies, formatProblem, loadPolicies } from './load.ts';

// Goal: what needs an approval is answered with the rules that it needs, nothing lifts that, and everybody is told why.

const READ = 'permit(principal, action == Action::"shop:select", resource)';
const load = (...texts: readonly string[]) => loadPolicies([{ name: 'p', text: texts.join('\n') }], shopSchema);

describe('@approval', () => {
  it('is an obligation of the answer, beside the others, and names the rules', () => {
    const set = load(
      `@id("b") @approval("dba") ${READ};`,
      `@id("a") @approval("owner.of-shop") ${READ} when { context.hasWhere };`,
    );
    const decision = set.decide(select());
    expect(decision).toMatchObject({
      ...{ allow: true, policies: ['a', 'b'], obligations: { approvals: ['dba', 'owner.of-shop'], record: 'digest' } },
    });
    expect(judgedBy(undefined, [{ question: select(), decision }]).approvals).toEqual(['dba', 'owner.of-shop']);
    expect(approvalText(['dba'])).toBe('needs an approval by rule "dba"');
  });

  it('refuses where nobody can be asked', () => {
    expect(withoutApproval(load(`@id("b") @approval("dba") ${READ};`).decide(select()))).toEqual({
      ...{ allow: false, reason: 'approval-needed', policies: ['b'], rules: ['dba'] },
    });
    const plain = load(`@id("b") ${READ};`).decide(select());
    expect(withoutApproval(plain)).toBe(plain);
  });

  it('is not lifted by a permit without one, and a forbid wins over it', () => {
    const held = `@id("held") @approval("dba") ${READ};`;
    const plain = `@id("plain") ${READ};`;
    const needed = { allow: true, policies: ['held', 'plain'], obligations: { approvals: ['dba'] } };
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
    expect(set.decide(select())).toMatchObject({ obligations: { approvals: ['dba'] } });
    expect(set.decide(select({ resource: table('orders') }))).not.toHaveProperty('obligations.approvals');
  });

  it.each(['', ' ', 'a b', 'a,b', '-a', 'a"b', 'a\n', 'é', 'x'.repeat(101)])('refuses the rule %j', (approval) => {
    expect(() => parseObligations({ approval }, 'permit')).toThrow(/@approval/);
  });

  it('stands on no forbid', () => {
    expect(() => parseObligations({ approval: 'dba' }, 'forbid')).toThrow(/obligations belong to permits/);
  });

  it('is warned of at its place where it is wanted of sessions, and loads', () => {
    const problemsOf = (permit: string) => {
      const { compiled, problems } = checkPolicies(
        [{ name: 'p', text: `@id("x")\n@approval("dba")\n${permit};` }],
        shopSchema,
      );
      expect(compiled).toBeDefined();
      return problems.map(formatProblem);
    };
    expect(problemsOf('permit(principal, action == Action::"shop:update", resource)')).toEqual([]);
    expect(problemsOf('permit(principal, action == Action::"shop:connect", resource)')).toEqual([
      'p:2:1: warning: by permit "x" shop:connect needs an approval by rule "dba"; sessions are not held for one, so they are refused (name what is done in the session, in a permit of its own with @approval, and let this one go without)',
    ]);
  });
});

describe('who asks about it', () => {
  const set = load(`@id("held") @approval("dba") ${READ} when { context.hasWhere };`, `@id("plain") ${READ};`);
  const access = (principal = web) =>
    set.whoCan({ action: 'shop:select', resource: table('users'), identities: [principal] }).identities[0]?.access;

  it('hears that nothing runs without it where it applies', () => {
    expect(access()).toMatchObject({
      verdict: 'sometimes',
      permits: [
        { policy: 'held', approval: 'dba', when: ['when context.hasWhere'] },
        { policy: 'plain', approval: undefined },
      ],
    });
    const always = load(`@approval("dba") ${READ};`, `${READ};`);
    const asked = { action: 'shop:select', resource: table('users'), identities: [batch] };
    expect(always.whoCan(asked).identities[0]?.access.verdict).toBe('sometimes');
    const only = load(`@approval("dba") ${READ};`);
    expect(only.whoCan(asked).identities[0]?.access.verdict).toBe('sometimes');
  });

  it('can expect it in a test case', () => {
    const one = {
      name: 'held',
      principal: web.id,
      action: 'shop:select',
      resource: { table: 'shop/app/public/users', attributes: { rows: 5 } },
      context: selectContext,
      expect: 'hold' as const,
      approvals: ['dba'],
      policies: ['held', 'plain'],
    };
    const at = { schema: shopSchema, nowMs: noon };
    expect(runPolicyTests([one], set, at)[0]?.differences).toEqual([]);
    expect(runPolicyTests([{ ...one, expect: 'allow' }], set, at)[0]?.differences).toEqual([
      'answer: expected "allow", got "hold"',
    ]);
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
    expect(load(text).decide(select())).toMatchObject({ obligations: { approvals: ['dba'] } });
  });
});
