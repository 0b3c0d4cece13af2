import type { DescMessage, DescMethod, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import type { ApiClient } from '@countersign/sdk/client';
import { Control, Entry, Records, Sessions } from '@countersign/sdk/contract';
import {
  GatewayState,
  type GatewayStatusSchema,
} from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import { listedKinds } from '../../app/declared-kinds.ts';
import type { Clock } from '../../std/index.ts';
import { formatCanonicalJson, type JsonValue } from '../../wire/tlog/index.ts';
import { attributesMessage } from '../entries/entry-attributes.ts';
import { idMessage, idText } from '../entries/entry-text.ts';

/** By what a call is made. */
export interface RestVia {
  readonly api: ApiClient;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** One call of gRPC, made by REST. */
export type RestCall = (given: never, via: RestVia) => Promise<object>;

/** The calls that REST offers too, with the same words. */
export function createRestCalls(): ReadonlyMap<DescMethod, RestCall> {
  const entries = entryCalls();
  return new Map<DescMethod, RestCall>([...sessionCalls, ...recordCalls, ...resourceCalls, ...entries]);
}

function callOf<Input extends DescMessage, Output extends DescMessage>(
  method: DescMethod & { readonly input: Input; readonly output: Output },
  call: (given: MessageShape<Input>, via: RestVia) => Promise<MessageInitShape<Output>>,
): [DescMethod, RestCall] {
  // It is given messages of that method alone.
  return [method, call as unknown as RestCall];
}

const sessionCalls = [
  callOf(Sessions.method.listSessions, async ({ filter, limit }, { api, clock, signal }) => {
    const { ids = [], identity, target, node, gateway, olderThanMs = 0n } = filter ?? {};
    // Of several it is looked among all.
    const id = ids.length === 1 ? ids[0] : undefined;
    const input = {
      ...texts({ id, identity, target, node, gateway }),
      ...(olderThanMs === 0n ? {} : { olderThanSeconds: Math.ceil(Number(olderThanMs) / 1000) }),
      ...(limit === 0 ? {} : { limit: Math.min(limit, SESSIONS_MAX) }),
    };
    const { output } = await api.call('session.list', input, { signal });
    const sessions = output.sessions.map(({ since, process, current, last, masks, ...all }) => {
      const { peer, node: at, application, driver, ...one } = all;
      return {
        ...one,
        ...texts({ peer, node: at, application, driver }),
        ...process,
        masks: [...masks],
        ageMs: BigInt(Math.max(0, Math.round(clock.now() - Date.parse(since)))),
        ...(current === undefined ? {} : { current: operationOf(current) }),
        ...(last === undefined ? {} : { last: operationOf(last) }),
        ...{ operations: BigInt(one.operations), denials: BigInt(one.denials), items: BigInt(one.items) },
        ...{ bytesIn: BigInt(one.bytesIn), bytesOut: BigInt(one.bytesOut) },
      };
    });
    return { sessions, outcome: outcomeOf(output, output.matching) };
  }),
  callOf(Sessions.method.endSessions, async ({ sessions, reason }, { api, signal }) => {
    const named = sessions.map(({ id, gatewaySpiffeId, gatewayAddress }) => ({ id, gatewaySpiffeId, gatewayAddress }));
    const { output } = await api.call('session.end', { sessions: named, ...texts({ reason }) }, { signal });
    return { ended: output.ended.map((one) => ({ ...one })), outcome: outcomeOf(output, output.ended.length) };
  }),
];

const recordCalls = [
  callOf(Records.method.searchRecords, async ({ filter, pageSize, pageToken }, { api, signal }) => {
    const { rowsMin, rowsMax, bytesMin, bytesMax, masked, sinceMs = 0n, untilMs = 0n, ...rest } = filter ?? {};
    const { identity, node, target, action, session, kind, object, column, policy, reason, status, shape, code } =
      rest as Partial<NonNullable<typeof filter>>; // Without a filter there is none of them.
    const time = (value: bigint) => (value === 0n ? undefined : Number(value));
    const input = {
      ...texts({ identity, node, target, action, session, kind, object, column, policy, reason, status, shape, code }),
      ...numbers({ rowsMin, rowsMax, bytesMin, bytesMax, sinceMs: time(sinceMs), untilMs: time(untilMs) }),
      ...(masked === true ? { masked } : {}),
      ...(pageSize === 0 ? {} : { limit: pageSize }),
      ...(pageToken === '' ? {} : { cursor: pageToken }),
    };
    const { output } = await api.call('record.search', input, { signal });
    return { records: output.items.map(recordOf), nextPageToken: output.next ?? '' };
  }),
  callOf(Records.method.getRecord, async ({ log, position }, { api, signal }) => {
    const { output } = await api.call('record.get', { log, position: Number(position) }, { signal });
    return { record: recordOf(output) };
  }),
];

const resourceCalls = [
  callOf(Control.method.listResources, async ({ kind }, { api, signal }) => {
    const wanted = listedKinds.filter(({ name }) => kind === '' || name === kind);
    const resources: { kind: string; name: string; specJson: string }[] = [];
    for (const { name: own, list, isFlat } of wanted)
      for await (const { name, ...rest } of api.all(list, { limit: PAGE }, { signal })) {
        const spec = isFlat || !('spec' in rest) ? rest : rest.spec;
        resources.push({ kind: own, name, specJson: JSON.stringify(spec) });
      }
    const { output } = await api.call(wanted[0]?.list ?? 'target.list', { limit: 1 }, { signal });
    return { resources, revision: BigInt(output.revision) };
  }),
  callOf(Control.method.listGateways, async (_given, { api, signal }) => {
    const gateways: MessageInitShape<typeof GatewayStatusSchema>[] = [];
    for await (const one of api.all('gateway.list', { limit: PAGE }, { signal })) {
      const { spiffeId, address, connected, since, revision = 0, findings, state } = one;
      gateways.push({
        ...{ spiffeId, address, connected, revision: BigInt(revision), state: STATES[state] },
        ...{ since: BigInt(Math.floor(Date.parse(since) / 1000)), findings: findings.map((found) => ({ ...found })) },
      });
    }
    return { gateways };
  }),
];

function entryCalls() {
  /** REST tells them with the entry. */
  const attributes = new Map<string, ReturnType<typeof attributesMessage>>();
  const messageOf = (entry: ListedEntry) => {
    attributes.set(entry.id, attributesMessage(entry.attributes));
    return entryMessage(entry);
  };
  return [
    callOf(Entry.method.listEntries, async ({ filter, pageSize, pageToken }, { api, signal }) => {
      const { bySpiffeId, byParentId } = filter ?? {};
      const input = {
        ...texts({ spiffeId: idText(bySpiffeId), parentId: idText(byParentId) }),
        ...(pageSize === 0 ? {} : { limit: pageSize }),
        ...(pageToken === '' ? {} : { cursor: pageToken }),
      };
      const { output } = await api.call('entry.list', input, { signal });
      return { entries: output.items.map(messageOf), nextPageToken: output.next ?? '' };
    }),
    callOf(Entry.method.getEntry, async ({ id }, { api, signal }) =>
      messageOf((await api.call('entry.get', { id }, { signal })).output),
    ),
    callOf(Control.method.listEntryAttributes, async ({ entryIds }) => ({
      attributes: entryIds.flatMap((entryId) => {
        const found = attributes.get(entryId);
        return found === undefined ? [] : [{ entryId, attributes: found }];
      }),
    })),
  ];
}

interface ListedEntry {
  readonly id: string;
  readonly spiffeId: string;
  readonly parentId: string;
  readonly selectors: readonly string[];
  readonly x509TtlSeconds: number;
  readonly jwtTtlSeconds: number;
  readonly federatesWith: readonly string[];
  readonly admin: boolean;
  readonly downstream: boolean;
  readonly expiresAtSeconds: number;
  readonly dnsNames: readonly string[];
  readonly hint: string;
  readonly storeSvid: boolean;
  readonly revision: number;
  readonly createdAtSeconds: number;
  readonly attributes: Parameters<typeof attributesMessage>[0];
}

function entryMessage(entry: ListedEntry): MessageInitShape<typeof Entry.method.getEntry.output> {
  const { id, spiffeId, parentId, admin, downstream, hint, storeSvid } = entry;
  return {
    ...{ id, admin, downstream, hint, storeSvid, spiffeId: idMessage(spiffeId), parentId: idMessage(parentId) },
    selectors: entry.selectors.map((text) => {
      const colon = text.indexOf(':');
      return { type: text.slice(0, colon), value: text.slice(colon + 1) };
    }),
    ...{ x509SvidTtl: entry.x509TtlSeconds, jwtSvidTtl: entry.jwtTtlSeconds },
    ...{ dnsNames: [...entry.dnsNames], federatesWith: [...entry.federatesWith] },
    ...{ expiresAt: BigInt(entry.expiresAtSeconds), createdAt: BigInt(entry.createdAtSeconds) },
    revisionNumber: BigInt(entry.revision),
  };
}

function recordOf({ log, position, entry }: { log: number; position: number; entry: object }) {
  // Canonical JSON has one spelling: these are the bytes that were signed.
  return { log, position: BigInt(position), entry: Buffer.from(formatCanonicalJson(entry as JsonValue)) };
}

function operationOf({ durationMs, ...rest }: { action: string; shape: string; durationMs: number }) {
  return { ...rest, durationMs: BigInt(durationMs) };
}

function outcomeOf(
  {
    answered,
    unanswered,
  }: { answered: number; unanswered: readonly { spiffeId: string; address: string; why: string }[] },
  matching: number,
) {
  return { matching: BigInt(matching), answered, unanswered: unanswered.map((one) => ({ ...one })) };
}

/** Those that are given: to gRPC an empty text is none. */
function texts<Name extends string>(
  given: { readonly [name in Name]: string | undefined },
): { [name in Name]?: string } {
  const told = Object.entries<string | undefined>(given).filter(([, value]) => value !== undefined && value !== '');
  return Object.fromEntries(told) as { [name in Name]?: string }; // The names are those that were given.
}

function numbers<Name extends string>(
  given: {
    readonly [name in Name]: bigint | number | undefined;
  },
): { [name in Name]?: number } {
  const told = Object.entries<bigint | number | undefined>(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(told.map(([name, value]) => [name, Number(value)])) as { [name in Name]?: number }; // As above.
}

const STATES = {
  starting: GatewayState.STARTING,
  serving: GatewayState.SERVING,
  leaving: GatewayState.LEAVING,
} as const;
const PAGE = 1000;
const SESSIONS_MAX = 1000;
