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
import type { GatewayView, ReportedGateway, Resources } from './types.ts';

/** What the endpoints of gateways work with. */
export interface ResourceEndpointNeeds {
  readonly resources: Pick<Resources, 'reportedGateways' | 'gateways' | 'onGateways'>;
}

const endpoint = endpointsOf<ResourceEndpointNeeds>();
const closed = { additionalProperties: false } as const;

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

/** What people and machines may ask of gateways. */
export const endpoints: readonly Endpoint<ResourceEndpointNeeds>[] = [gatewayList, gatewayGet, gatewayFollow];

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
