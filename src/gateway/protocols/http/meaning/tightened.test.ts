import { parseSpiffeId } from '@countersign/sdk/identity';
import { expect, it } from 'vitest';
import type { EntityRef } from '../../../../model/index.ts';
import {
  composeSchema,
  createReplay,
  createTightening,
  identityEntity,
  loadPolicies,
} from '../../../../policy/index.ts';
import { parseConfig } from '../config.ts';
import { createMeaning } from './meaning.ts';
import { policySchema } from './policy-schema.ts';
import { isRefusal } from './refusal.ts';

// Goal: permits for what was used are exact and short: a path says nothing that its route and its values have not said.

const schema = composeSchema([policySchema]);
const web = identityEntity(parseSpiffeId('spiffe://example.org/web'));
const meanings = createMeaning(
  'api',
  parseConfig({
    url: 'http://127.0.0.1:1',
    routes: [{ name: 'customer', path: '/v1/customers/{id}', reads: ['query.x'] }],
  }),
);
const open = loadPolicies([{ name: 'open', text: 'permit(principal, action, resource);' }], schema);

function used(method: string, target: string) {
  const meaning = meanings.of({ method, target, host: 'api', fields: [], upgrade: undefined });
  if (isRefusal(meaning)) throw new Error(meaning.message);
  const { action, resource, context } = meaning;
  return { action, resource, context };
}

function tighten(questions: readonly { action: string; resource: EntityRef; context: EntityRef['attributes'] }[]) {
  const operations = questions.map((question, sequence) => {
    const decision = open.decide({ principal: web, ...question });
    const asked = [{ question, decision }];
    return { principal: web, action: question.action, shape: '', sequence, timeMs: 0, asked, isAllowed: true };
  });
  const tightening = createTightening(schema);
  for (const one of operations) tightening.note(one);
  const texts = tightening.permits().map(({ text }) => text);
  const set = loadPolicies([{ name: 'tight', text: texts.join('\n') }], schema);
  const replay = createReplay(set);
  for (const one of operations) replay.judge(one);
  expect(replay.result().differences).toEqual([]);
  return { texts, allows: (...of: Parameters<typeof used>) => set.decide({ principal: web, ...used(...of) }).allow };
}

it('methods on the same values of a route share a permit, and neither method nor path stands in it twice', () => {
  const targets = ['/v1/customers/7', '/v1/customers/8'];
  const { texts, allows } = tighten(['GET', 'HEAD'].flatMap((method) => targets.map((target) => used(method, target))));
  expect(texts).toHaveLength(1);
  expect(texts[0]?.replace(/^\/\/.*\n/gm, '')).toBe(`@id("tight-1")
permit(
  principal == Identity::"spiffe://example.org/web",
  action in [Action::"http:get", Action::"http:head"],
  resource == Http::Route::"api/customer"
)
when { context.host == "api" }
when { resource.hasTag("path.id") && ["7", "8"].contains(resource.getTag("path.id")) };
`);
  expect(allows('GET', '/v1/customers/8')).toBe(true);
  expect([allows('GET', '/v1/customers/9'), allows('DELETE', '/v1/customers/7')]).toEqual([false, false]);
});

it('what no route takes is told by its path, and an unknown method by its name', () => {
  const { texts, allows } = tighten([used('GET', '/v2/a'), used('PROPFIND', '/v1/customers/7')]);
  expect(texts.join('\n')).toContain('when { context.path == "/v2/a" }');
  expect(texts.join('\n')).toContain('when { context.method == "PROPFIND" }');
  expect(allows('PROPFIND', '/v1/customers/7')).toBe(true);
  expect([allows('GET', '/v2/b'), allows('MKCOL', '/v1/customers/7')]).toEqual([false, false]);
});
