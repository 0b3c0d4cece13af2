import { type Static, Type } from 'typebox';
import {
  type Endpoint,
  endpointsOf,
  notFound,
  pageInput,
  pageOf,
  pageOfAll,
  readPage,
  type SendEvent,
} from '../endpoint/index.ts';
import { sha256 } from '../std/index.ts';
import type { GatewayView, ReportedGateway, Resource, Resources } from './types.ts';

/** What the endpoints of declared resources and of gateways work with. */
export interface ResourceEndpointNeeds {
  readonly resources: Pick<Resources, 'snapshot' | 'reportedGateways' | 'gateways' | 'onGateways'>;
}

const endpoint = endpointsOf<ResourceEndpointNeeds>();
const closed = { additionalProperties: false } as const;

const name = Type.String({
  pattern: '^[a-z][a-z0-9-]{0,62}$',
  description: 'Name of the resource.',
});
const revision = Type.Integer({
  minimum: 0,
  description: 'Of all targets and policies: it grows with each change of any. Also in ETag.',
});
const targetFields = {
  name,
  spec: Type.Record(Type.String(), Type.Unknown(), {
    description: 'As declared; secrets in it are references, never values.',
  }),
};
const policyFields = { name, cedar: Type.String({ description: 'Its text, in Cedar.' }) };
const tag = (output: { readonly revision: number }) => `r${output.revision}`;

const targetList = endpoint({
  name: 'target.list',
  summary: 'Lists the declared targets by name.',
  method: 'GET',
  path: '/v1/targets',
  input: Type.Object(pageInput, closed),
  output: pageOf(Type.Object(targetFields, closed), { revision }),
  paged: true,
  tag,
  async handle(input, _call, { resources }) {
    const snapshot = resources.snapshot();
    return { ...page(snapshot.targets, input, { name: 'target.list', of: targetOf }), revision: snapshot.revision };
  },
});

const targetGet = endpoint({
  name: 'target.get',
  summary: 'Shows one declared target.',
  method: 'GET',
  path: '/v1/targets/{name}',
  input: Type.Object({ name }, closed),
  output: Type.Object({ ...targetFields, revision }, closed),
  about: { type: 'DeclaredTarget', of: (input) => input.name },
  tag,
  async handle(input, _call, { resources }) {
    const snapshot = resources.snapshot();
    return { ...targetOf(find(snapshot.targets, 'target', input.name)), revision: snapshot.revision };
  },
});

const policyList = endpoint({
  name: 'policy.list',
  summary: 'Lists the declared policies by name.',
  method: 'GET',
  path: '/v1/policies',
  input: Type.Object(pageInput, closed),
  output: pageOf(Type.Object(policyFields, closed), { revision }),
  paged: true,
  tag,
  async handle(input, _call, { resources }) {
    const snapshot = resources.snapshot();
    return { ...page(snapshot.policies, input, { name: 'policy.list', of: policyOf }), revision: snapshot.revision };
  },
});

const policyGet = endpoint({
  name: 'policy.get',
  summary: 'Shows one declared policy.',
  method: 'GET',
  path: '/v1/policies/{name}',
  input: Type.Object({ name }, closed),
  output: Type.Object({ ...policyFields, revision }, closed),
  about: { type: 'DeclaredPolicy', of: (input) => input.name },
  tag,
  async handle(input, _call, { resources }) {
    const snapshot = resources.snapshot();
    return { ...policyOf(find(snapshot.policies, 'policy', input.name)), revision: snapshot.revision };
  },
});

const gatewayId = Type.String({
  pattern: '^[0-9a-f]{16}$',
  description: 'Stands for the SPIFFE ID and the address of a gateway.',
});
const gatewayFields = {
  id: gatewayId,
  spiffeId: Type.String(),
  address: Type.String({ description: 'Where agents reach it: host:port.' }),
  connected: Type.Boolean(),
  state: Type.Enum(['starting', 'serving', 'leaving']),
  since: Type.String({ format: 'date-time', description: 'Since when it is connected, or not.' }),
};
const reportedFields = {
  ...gatewayFields,
  revision: Type.Optional(
    Type.Integer({ description: 'Of targets and policies, that it took last; absent: it has not said.' }),
  ),
  findings: Type.Array(
    Type.Object(
      {
        condition: Type.String(),
        severity: Type.Enum(['warning', 'degraded', 'failed']),
        what: Type.String(),
        found: Type.String(),
        remedy: Type.String(),
      },
      closed,
    ),
    { description: 'What it finds wrong, worst first.' },
  ),
};

const gatewayList = endpoint({
  name: 'gateway.list',
  summary: 'Lists the gateways that were seen, and what they say of themselves.',
  method: 'GET',
  path: '/v1/gateways',
  input: Type.Object(pageInput, closed),
  output: pageOf(Type.Object(reportedFields, closed), {}),
  paged: true,
  async handle(input, _call, { resources }) {
    const all = placesOf(await resources.reportedGateways());
    const question = ['gateway.list'];
    const { items, ...rest } = pageOfAll(all, readPage(input, question), { keyOf: keyOfGateway, question });
    return { items: items.map(reportedOf), ...rest };
  },
});

const gatewayGet = endpoint({
  name: 'gateway.get',
  summary: 'Shows one gateway.',
  method: 'GET',
  path: '/v1/gateways/{id}',
  input: Type.Object({ id: gatewayId }, closed),
  output: Type.Object(reportedFields, closed),
  about: { type: 'Gateway', of: (input) => input.id },
  async handle(input, _call, { resources }) {
    const found = placesOf(await resources.reportedGateways()).find((one) => idOfGateway(one) === input.id);
    if (found === undefined) throw notFound(`there is no gateway ${input.id}`);
    return reportedOf(found);
  },
});

const gatewaysNow = Type.Object(
  {
    gateways: Type.Array(Type.Object(gatewayFields, closed), { maxItems: 1000 }),
    leftOut: Type.Integer({ minimum: 0, description: 'How many there are besides, that did not fit.' }),
  },
  closed,
);

const gatewayFollow = endpoint({
  name: 'gateway.follow',
  summary: 'Tells of the gateways as they are, and again each time one comes, goes or changes its state.',
  description: 'Each event is the whole of it. Whoever reads slowly is told of the newest only.',
  method: 'GET',
  path: '/v1/gateway-events',
  input: Type.Object({}, closed),
  output: gatewaysNow,
  follow:
    async (_input, { signal, lastEventId }, { resources }) =>
    (send) =>
      followGateways({ resources, signal, send, seen: lastEventId }),
});

/** What people and machines may ask of targets, policies and gateways. Changes are made together with entries: `resource.apply` is the API's. */
export const endpoints: readonly Endpoint<ResourceEndpointNeeds>[] = [
  targetList,
  targetGet,
  policyList,
  policyGet,
  gatewayList,
  gatewayGet,
  gatewayFollow,
];

async function followGateways(options: {
  resources: ResourceEndpointNeeds['resources'];
  signal: AbortSignal;
  send: SendEvent<Static<typeof gatewaysNow>>;
  seen: string | undefined;
}): Promise<void> {
  const { resources, signal, send } = options;
  let { seen } = options;
  let wake = () => {};
  let isChanged = true;
  const changed = () => {
    isChanged = true;
    wake();
  };
  const stop = resources.onGateways(changed);
  signal.addEventListener('abort', changed);
  try {
    while (!signal.aborted) {
      if (!isChanged) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      isChanged = false;
      const all = resources.gateways();
      const gateways = all.slice(0, EVENT_GATEWAYS_MAX).map(gatewayOf);
      const event = { gateways, leftOut: all.length - gateways.length };
      const id = digestOf(JSON.stringify(event));
      if (id !== seen) await send(event, id);
      seen = id;
    }
  } finally {
    stop();
    signal.removeEventListener('abort', changed);
  }
}

function page<Item>(
  all: readonly Resource[],
  input: { limit?: number; cursor?: string },
  { name: question, of }: { name: string; of: (resource: Resource) => Item },
) {
  const asked = readPage(input, [question]);
  const { items, ...rest } = pageOfAll(all, asked, { keyOf: (one) => one.name, question: [question] });
  return { items: items.map(of), ...rest };
}

function targetOf({ name: own, spec }: Resource): { name: string; spec: Record<string, unknown> } {
  return { name: own, spec: { ...(spec as object) } }; // Only objects pass the check of a target.
}

function policyOf({ name: own, spec }: Resource): { name: string; cedar: string } {
  return { name: own, cedar: typeof spec === 'object' && spec !== null && 'cedar' in spec ? String(spec.cedar) : '' };
}

/** @throws EndpointError ERR_ENDPOINT_NOT_FOUND */
function find(all: readonly Resource[], kind: string, wanted: string): Resource {
  const found = all.find((one) => one.name === wanted);
  if (found === undefined) throw notFound(`there is no ${kind} ${wanted}`);
  return found;
}

/** Of several instances at one place the first: the list is of gateways, not of their processes. */
function placesOf(all: readonly ReportedGateway[]): readonly ReportedGateway[] {
  const byKey = new Map<string, ReportedGateway>();
  for (const one of all) if (!byKey.has(keyOfGateway(one))) byKey.set(keyOfGateway(one), one);
  return [...byKey.values()].sort((a, b) => (keyOfGateway(a) < keyOfGateway(b) ? -1 : 1));
}

function keyOfGateway({ spiffeId, address }: GatewayView): string {
  return `${spiffeId} ${address}`;
}

function idOfGateway(gateway: GatewayView): string {
  return digestOf(keyOfGateway(gateway));
}

function digestOf(text: string): string {
  return sha256(Buffer.from(text)).toString('hex').slice(0, 16);
}

function gatewayOf(gateway: GatewayView) {
  const { spiffeId, address, connected, state, sinceMs } = gateway;
  const since = new Date(sinceMs).toISOString();
  return { id: idOfGateway(gateway), spiffeId, address, connected, state, since };
}

function reportedOf(gateway: ReportedGateway) {
  const { report } = gateway;
  return {
    ...gatewayOf(gateway),
    ...(report === undefined ? {} : { revision: report.revision }),
    findings: (report?.findings ?? []).map((finding) => ({ ...finding })),
  };
}

/** An event of a few hundred kilobytes. */
const EVENT_GATEWAYS_MAX = 1000;
