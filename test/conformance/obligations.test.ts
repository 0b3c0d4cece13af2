import { parseSpiffeId } from '@countersign/sdk/identity';
import { describe, expect, it } from 'vitest';
import { protocols } from '../../src/gateway/protocols/registry.generated.ts';
import { composeSchema, identityEntity, loadPolicies } from '../../src/policy/index.ts';
import { linesPolicySchema } from './lines-protocol.ts';

// Goal: what policies demand means something to a protocol of another shape too, beside those that are there, and never by their words.

const schema = composeSchema([linesPolicySchema, ...protocols.map(({ policySchema }) => policySchema)]);
const principal = identityEntity(parseSpiffeId('spiffe://example.org/web'));
const resource = { type: 'Lines::Channel', id: 'lines', attributes: {}, parents: [] };
const load = (annotations: string, action: string) =>
  loadPolicies([{ name: 'p', text: `${annotations} permit(principal, ${action}, resource);` }], schema);
const MANY = 'action == Action::"lines:many"';

describe('obligations of a protocol whose items nest', () => {
  it('name its fields by path and its limits by unit', () => {
    const set = load('@mask("item.cards.*.number:last4, ssn:redact") @limit("items=2")', 'action');
    expect(set.decide({ principal, action: 'lines:many', resource, context: {} })).toMatchObject({
      allow: true,
      obligations: { masks: [{ path: ['item', 'cards', '*', 'number'], kind: 'last4' }], limits: { items: 2 } },
    });
  });

  it('are refused where only another protocol has them', () => {
    expect(() => load('@mask("ssn:redact")', MANY)).toThrow(/ssn can be no field of Lines::Channel/);
    expect(() => load('@limit("rows=2")', MANY)).toThrow(/honours "rows" \(they honour items; take it away\)/);
    expect(() => load('@limit("items=2")', 'action == Action::"lines:connect"')).toThrow(/honours "items"/);
  });
});
