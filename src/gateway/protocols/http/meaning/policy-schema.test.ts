import { parseSpiffeId } from '@countersign/sdk/identity';
import { describe, expect, it } from 'vitest';
import { judgedBy } from '../../../../model/index.ts';
import {
  checkPolicies,
  composeSchema,
  createKnownAttributes,
  identityEntity,
  loadPolicies,
  parsePolicyCases,
  readOperation,
  resourceFromId,
  runPolicyTests,
} from '../../../../policy/index.ts';
import { createRecorder } from '../../../recording/recorder.ts';
import { parseConfig } from '../config.ts';
import { createMeaning, isRefusal } from './index.ts';
import { policySchema } from './policy-schema.ts';

// Goal: policies as people write them say what they seem to say of requests as they are understood here.

const schema = composeSchema([policySchema]);
const web = identityEntity(parseSpiffeId('spiffe://example.org/web'));
const routes = [{ name: 'customer', methods: ['GET'], path: '/v1/customers/{id}', reads: ['query.expand'] }];
const meanings = createMeaning('billing', parseConfig({ url: 'https://api.internal', routes }));

function questionOf(written: string) {
  const [method = '', target = ''] = written.split(' ');
  const meaning = meanings.of({ method, target, host: 'api.test', fields: [], upgrade: undefined });
  if (isRefusal(meaning)) throw new Error(meaning.message);
  const { action, resource, context } = meaning;
  return { principal: web, action, resource, context };
}

const decided = (policy: string, written: string) =>
  loadPolicies([{ name: 'p', text: policy }], schema).decide(questionOf(written));
const connecting = { principal: web, action: 'http:connect', resource: meanings.place, context: {} };

describe('a policy', () => {
  it.each([
    ['permit(principal, action in [Action::"http:read"], resource in Target::"billing");', 'GET /v1/customers/7', true],
    ['permit(principal, action in [Action::"http:read"], resource in Target::"billing");', 'GET /x', true],
    ['permit(principal, action in [Action::"http:read"], resource in Target::"billing");', 'POST /x', false],
    ['permit(principal, action in [Action::"http:any"], resource in Target::"other");', 'GET /x', false],
    ['permit(principal, action, resource == Http::Route::"billing/customer");', 'GET /v1/customers/7', true],
    ['permit(principal, action, resource == Http::Route::"billing/customer");', 'GET /x', false],
    ['permit(principal, action, resource == Http::Origin::"billing");', 'GET /v1/customers/7', false],
    ['permit(principal, action, resource in Http::Origin::"billing");', 'GET /v1/customers/7', true],
    [
      'permit(principal, action in Action::"http:read", resource) when { context.path like "/v1/*" };',
      'GET /v1/x',
      true,
    ],
    [
      'permit(principal, action in Action::"http:read", resource) when { context.path like "/v1/*" };',
      'GET /v2/x',
      false,
    ],
    [
      'permit(principal, action == Action::"http:other", resource) when { context.method == "PURGE" };',
      'PURGE /x',
      true,
    ],
    [
      'permit(principal, action == Action::"http:get", resource is Http::Route) when { resource.hasTag("path.id") && resource.getTag("path.id") == "7" };',
      'GET /v1/customers/7',
      true,
    ],
    [
      'permit(principal, action == Action::"http:get", resource is Http::Route) when { resource.hasTag("path.id") && resource.getTag("path.id") == "7" };',
      'GET /v1/customers/8',
      false,
    ],
    [
      'permit(principal, action in Action::"http:read", resource in Target::"billing") unless { resource.hasTag("path.id") };',
      'GET /x',
      true,
    ],
    [
      'permit(principal, action in Action::"http:read", resource in Target::"billing") unless { resource.hasTag("path.id") };',
      'GET /v1/customers/8',
      false,
    ],
    [
      'permit(principal, action == Action::"http:get", resource is Http::Route) unless { resource.hasTag("query.expand") };',
      'GET /v1/customers/8?expand=x',
      false,
    ],
  ])('%s of %s: %s', (policy, written, allow) => {
    expect(decided(policy, written).allow).toBe(allow);
  });

  it('masks fields of answers, of routes and of what no route takes', () => {
    const policy =
      '@mask("body.user.ssn:redact, body.items.*.card:last4") permit(principal, action in Action::"http:read", resource in Target::"billing");';
    for (const written of ['GET /v1/customers/7', 'GET /x'])
      expect(decided(policy, written)).toMatchObject({
        obligations: { masks: [{ path: ['body', 'user', 'ssn'] }, { path: ['body', 'items', '*', 'card'] }] },
      });
  });

  it.each([
    ['@mask("user.ssn:redact") permit(principal, action, resource is Http::Route);', /user.ssn/],
    ['@mask("header.cookie:redact") permit(principal, action in Action::"http:read", resource);', /header/],
    ['@limit("rows=5") permit(principal, action in Action::"http:read", resource);', /rows/],
    ['permit(principal, action == Action::"http:get", resource) when { resource.method == "x" };', /method/],
    ['permit(principal, action == Action::"http:connect", resource is Http::Route);', /applicable action/],
  ])('that could mean nothing is not loaded: %s', (policy, message) => {
    const { problems } = checkPolicies([{ name: 'p', text: policy }], schema);
    expect(problems[0]).toMatchObject({ message: expect.stringMatching(message) });
  });

  it('opens a session on the origin', () => {
    const set = loadPolicies(
      [{ name: 'p', text: 'permit(principal, action, resource in Target::"billing");' }],
      schema,
    );
    expect(set.decide(connecting).allow).toBe(true);
    const who = set.whoCan({
      action: 'http:get',
      resource: { op: 'equals', type: 'Http::Route', id: 'billing/customer' },
      identities: [web],
    });
    expect(who.identities[0]).toMatchObject({ access: { verdict: 'always' } });
  });

  it('is tested by the ids of resources', () => {
    const set = loadPolicies(
      [
        {
          name: 'p',
          text: 'permit(principal, action in Action::"http:read", resource in Target::"billing") when { context.path like "/v1/*" };',
        },
      ],
      schema,
    );
    const context = { method: 'GET', path: '/v1/x', host: 'a.test' };
    const cases = [{ route: 'billing/customer' }, { origin: 'billing' }].map((resource) => ({
      ...{ name: 'x', principal: web.id, action: 'http:get', resource, context, expect: 'allow' },
    }));
    const results = runPolicyTests(parsePolicyCases(cases), set, { schema, nowMs: 0 });
    expect(results.map(({ differences }) => differences)).toEqual([[], []]);
  });
});

describe('what a ledger keeps of a request', () => {
  const policy = 'permit(principal, action, resource in Target::"billing");';
  const set = loadPolicies([{ name: 'p', text: policy }], schema);

  it.each(['GET /v1/customers/7?expand=x', 'GET /x'])('is the whole question: %s', (written) => {
    const { principal, ...question } = questionOf(written);
    const judged = judgedBy(undefined, [{ question, decision: set.decide({ principal, ...question }) }]);
    const detail = { ...createRecorder(schema).allowed(judged), shape: 'x' };
    const event = { kind: 'intent', actor: web.id, action: question.action, detail, timeMs: 0, seq: 1 };
    const read = readOperation(
      event as unknown as Parameters<typeof readOperation>[0],
      schema,
      createKnownAttributes(),
    );
    expect(read).toMatchObject({ asked: [{ question }] });
  });

  it('tells a resource without tags by its id', () => {
    expect(resourceFromId(schema, { kind: 'origin', id: 'billing' })).toEqual(meanings.place);
    const { parents } = resourceFromId(schema, { kind: 'route', id: 'billing/customer' });
    expect(parents).toEqual([meanings.place]);
  });
});
