import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import { parseSpiffeId } from '@countersign/sdk/identity';
import type { DecisionRequest, EntityRef } from '../src/model/index.ts';
import {
  composeSchema,
  identityEntity,
  loadPolicies,
  type PolicySchemaFragment,
  type PolicySource,
} from '../src/policy/index.ts';
import { type Bench, type BenchContext, interleave, median, medianRatio, result, timedLoop } from './harness.ts';

/** Decisions: compiled and indexed policies against Cedar’s own engine. */
export const bench: Bench = {
  name: 'policy',
  summary: 'decisions at 10 and at 10,000 policies, against cedar-wasm with parsed policies',
  async run(context) {
    const few = createDeciders(10);
    const many = createDeciders(context.quick ? 100 : 10_000);
    const ms = context.quick ? 2 : 300;
    const samples = await interleave(context.rounds, {
      few: () => timedLoop(ms, few.ours),
      many: () => timedLoop(ms, many.ours),
      cedarFew: () => timedLoop(ms, few.cedar),
      cedarMany: () => timedLoop(ms, many.cedar),
    });
    const unit = 'us CPU/decision';
    const [ours, ourMany] = [samples.few.cpuUs, samples.many.cpuUs];
    return [
      result({
        ...{ case: '10 policies', subject: 'ours', unit, value: median(ours), goal: '>= 100' },
        ...{ peer: 'cedar-wasm', peerValue: median(samples.cedarFew.cpuUs) },
        ratio: medianRatio(samples.cedarFew.cpuUs, ours),
      }),
      result({
        ...{ case: '10,000 policies', subject: 'ours', unit, value: median(ourMany) },
        ...{ peer: 'cedar-wasm', peerValue: median(samples.cedarMany.cpuUs) },
        ratio: medianRatio(samples.cedarMany.cpuUs, ourMany),
      }),
      result({
        ...{ case: '10,000 policies', subject: 'ours', unit, value: median(ourMany), goal: '<= 2' },
        ...{ peer: 'ours at 10 policies', peerValue: median(ours), ratio: medianRatio(ourMany, ours) },
      }),
      ...(await measureLoading(context, many.sources)),
    ];
  },
};

/** Every fourth policy of each kind: one principal and table, a path of identities with a condition, and a forbid. */
function createDeciders(count: number) {
  const texts = Array.from({ length: count }, (_, index) => policyText(index));
  // As declared policies come: a source each.
  const sources = texts.map((text, index) => ({ name: `p${index}`, text }));
  const compiled = loadPolicies(sources, schema);
  const requests = Array.from({ length: 64 }, (_, index) => requestFor((index * 37) % count));
  const setId = `bench-${count}`;
  const parsed = cedar.preparsePolicySet(setId, {
    staticPolicies: Object.fromEntries(texts.map((each, index) => [`p${index}`, each])),
  });
  if (parsed.type === 'failure') throw new Error(JSON.stringify(parsed.errors));
  const calls = requests.map((request) => cedarCall(setId, request));
  const turn = <T>(all: readonly T[], index: number): T => all[index % all.length] ?? all[0] ?? fail();
  for (const [index, request] of requests.entries()) {
    const answer = cedar.statefulIsAuthorized(turn(calls, index));
    const theirs = answer.type === 'success' && answer.response.decision === 'allow';
    if (compiled.decide(request).allow !== theirs) throw new Error(`not the same answer to request ${index}`);
  }
  return {
    sources,
    ours: (index: number) => compiled.decide(turn(requests, index)),
    cedar: (index: number) => cedar.statefulIsAuthorized(turn(calls, index)),
  };
}

async function measureLoading(context: BenchContext, sources: readonly PolicySource[]) {
  const samples = await interleave(Math.min(context.rounds, 3), {
    load: () => timedLoop(0, () => loadPolicies(sources, schema)),
  });
  return [
    result({
      case: 'load',
      subject: 'policies loaded the first time',
      unit: 'ms',
      value: median(samples.load.wallUs) / 1000,
    }),
  ];
}

function policyText(index: number): string {
  const principal = `spiffe://example.org/ns/team${index}/sa/web`;
  const table = `Bench::Table::"bench/table${index}"`;
  switch (index % 4) {
    case 0:
      return `permit(principal == Identity::"${principal}", action == Action::"bench:select", resource == ${table});`;
    case 1:
      return `permit(principal in IdentityPath::"spiffe://example.org/ns/team${index}", action in Action::"bench:any", resource) when { resource.name == "table${index}" && context.rows < 1000 };`;
    case 2:
      return `permit(principal, action == Action::"bench:select", resource == ${table}) when { context.hasWhere };`;
    default:
      return `forbid(principal == Identity::"${principal}", action, resource == ${table}) unless { context.hasWhere };`;
  }
}

function requestFor(index: number): DecisionRequest {
  const target: EntityRef = {
    ...{ type: 'Target', id: 'bench', parents: [] },
    attributes: { name: 'bench', protocol: 'bench' },
  };
  return {
    principal: identityEntity(parseSpiffeId(`spiffe://example.org/ns/team${index}/sa/web`)),
    action: 'bench:select',
    resource: {
      ...{ type: 'Bench::Table', id: `bench/table${index}`, parents: [target] },
      attributes: { name: `table${index}` },
    },
    context: { hasWhere: true, rows: 10 },
  };
}

function cedarCall(preparsedPolicySetId: string, request: DecisionRequest): cedar.StatefulAuthorizationCall {
  const entities = new Map<string, cedar.EntityJson>();
  const visit = (ref: EntityRef): void => {
    const parents = ref.parents.map(({ type, id }) => ({ type, id }));
    // Our plain data is Cedar's JSON, but for the word `readonly`.
    const attrs = ref.attributes as Record<string, cedar.CedarValueJson>;
    entities.set(`${ref.type}::${ref.id}`, { uid: { type: ref.type, id: ref.id }, attrs, parents });
    ref.parents.forEach(visit);
  };
  visit(request.principal);
  visit(request.resource);
  const action = (id: string, parents: string[]) => ({
    ...{ uid: { type: 'Action', id }, attrs: {} },
    parents: parents.map((parent) => ({ type: 'Action', id: parent })),
  });
  return {
    principal: { type: request.principal.type, id: request.principal.id },
    action: { type: 'Action', id: request.action },
    resource: { type: request.resource.type, id: request.resource.id },
    context: request.context as Record<string, cedar.CedarValueJson>, // As above.
    preparsedPolicySetId,
    entities: [...entities.values(), action('bench:any', []), action('bench:select', ['bench:any'])],
    validateRequest: false,
  };
}

function fail(): never {
  throw new Error('there is at least one request');
}

const fragment: PolicySchemaFragment = {
  namespace: 'Bench',
  entityTypes: {
    Table: { memberOf: ['Target'], attributes: { name: { type: 'String' } }, path: ['target', 'name'] },
  },
  actions: {
    'bench:select': {
      resources: ['Table'],
      context: { hasWhere: { type: 'Boolean' }, rows: { type: 'Long' } },
    },
  },
  groups: { 'bench:any': ['bench:select'] },
};
const schema = composeSchema([fragment]);
