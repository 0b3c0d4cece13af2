import type { MessageInitShape } from '@bufbuild/protobuf';
import { Bundle, Sessions } from '@countersign/sdk/contract';
import type {
  LiveSession,
  SessionFilterSchema,
  UnansweredGateway,
} from '@countersign/sdk/contract/gen/countersign/control/v1/sessions_pb.ts';
import type { RpcClient } from '../../rpc/index.ts';
import { parseDurationMs } from '../../std/index.ts';
import { type CliContext, type CliInput, exitCodes, textOption, UsageError } from '../command.ts';
import { CALL_TIMEOUT_MS } from '../connections/server-options.ts';

/** What gateways said. */
export interface AskedSessions {
  /** Newest first. */
  readonly sessions: readonly LiveSession[];
  /** How many match besides. */
  readonly leftOut: number;
  /** How many gateways have answered. */
  readonly answered: number;
  readonly unanswered: readonly UnansweredGateway[];
}

export type AskedFilter = MessageInitShape<typeof SessionFilterSchema>;

/** Options by which sessions are found. */
export const sessionOptions = [
  ['--who <id>', 'whose: a SPIFFE ID, or its path from / on; ending in /* those below it'],
  ['--target <name>', 'to which target'],
  ['--node <id>', 'of processes on this node, by its SPIFFE ID'],
  ['--gateway <gateway>', 'at this gateway, by its address or SPIFFE ID'],
  ['--older-than <duration>', 'that run for so long at least: 30s, 10m, 1h'],
] as const;

/** As many as there may be in one answer. */
export const SESSIONS_MAX = 10_000;

/** True where one of the options by which sessions are found is given. */
export function isFiltered(input: CliInput): boolean {
  return NAMES.some((name) => textOption(input, name) !== undefined);
}

/** The filter that the options say, as REST takes it. @throws UsageError */
export function askedOf(input: CliInput) {
  const { identity, target, node, gateway, olderThanMs } = readFilter(input);
  return {
    ...(identity === '' ? {} : { identity }),
    ...(target === '' ? {} : { target }),
    ...(node === '' ? {} : { node }),
    ...(gateway === '' ? {} : { gateway }),
    ...(olderThanMs === 0 ? {} : { olderThanSeconds: Math.ceil(olderThanMs / 1000) }),
  };
}

/** The filter that the options say. @throws UsageError; RpcError */
export async function filterOf(client: RpcClient, context: CliContext, input: CliInput): Promise<AskedFilter> {
  const { identity: who, olderThanMs, ...rest } = readFilter(input);
  const identity = who.startsWith('/') ? `spiffe://${await trustDomainOf(client, context)}${who}` : who;
  return { ...rest, identity, olderThanMs: BigInt(olderThanMs) };
}

/** @throws UsageError */
function readFilter(input: CliInput) {
  for (const name of NAMES)
    if (textOption(input, name) === '')
      throw new UsageError('an empty filter finds all; leave it out, or say what it is');
  const text = (name: string) => textOption(input, name) ?? '';
  const older = textOption(input, 'olderThan');
  const olderThanMs = older === undefined ? 0 : parseDurationMs(older);
  if (olderThanMs === undefined) throw new UsageError(`--older-than ${older} is no duration; write 30s, 10m, 1h`);
  return { identity: text('who'), target: text('target'), node: text('node'), gateway: text('gateway'), olderThanMs };
}

/** Asks all gateways, or those of the filter. @throws RpcError */
export async function askSessions(
  client: RpcClient,
  { signal }: Pick<CliContext, 'signal'>,
  { filter, limit }: { readonly filter: AskedFilter; readonly limit: number },
): Promise<AskedSessions> {
  const sessions: LiveSession[] = [];
  const options = { signal, timeoutMs: CALL_TIMEOUT_MS };
  for await (const message of client.serverStream(Sessions.method.listSessions, { filter, limit }, options)) {
    sessions.push(...message.sessions);
    if (message.outcome === undefined) continue;
    const { matching, answered, unanswered } = message.outcome;
    return { sessions, leftOut: Number(matching) - sessions.length, answered, unanswered };
  }
  throw new Error('the server answered without saying who has');
}

/**
 * The sessions of those ids, each by the beginning of its id; and ids that no session has.
 * @throws UsageError for no id, and for one that is the beginning of several
 */
export async function askById(
  client: RpcClient,
  context: CliContext,
  { ids, filter }: { readonly ids: readonly string[]; readonly filter: AskedFilter },
): Promise<AskedSessions & { readonly missing: readonly string[] }> {
  const wanted = Array.from(new Set(ids));
  for (const id of wanted)
    if (!/^[0-9a-f]{4,64}$/.test(id))
      throw new UsageError(`${id} is no id of a session, nor four digits or more that it begins with`);
  const isWhole = wanted.length <= IDS_MAX && wanted.every((id) => id.length >= ID_CHARS);
  const asked = await askSessions(client, context, {
    filter: isWhole ? { ...filter, ids: wanted } : filter,
    limit: SESSIONS_MAX,
  });
  const found = new Set<LiveSession>();
  const missing: string[] = [];
  for (const id of wanted) {
    const whole = asked.sessions.filter((session) => session.id === id);
    const [one, ...others] = whole.length > 0 ? whole : asked.sessions.filter((session) => session.id.startsWith(id));
    if (one === undefined) missing.push(id);
    else if (others.length === 0) found.add(one);
    else throw new UsageError(severalBegin(id, [one, ...others]));
  }
  // Where all were asked for, those that were left out are nobody's; save that one of them may be what is missing.
  return { ...asked, sessions: Array.from(found), leftOut: missing.length > 0 ? asked.leftOut : 0, missing };
}

/** Names on standard error what is not known; returns the exit code that says so, or that of a list that is whole. */
export function warnOfUnknown(context: CliContext, { answered, unanswered, leftOut }: AskedSessions): number {
  for (const gateway of unanswered) context.warn(`warning: ${notAnswered(gateway)}; what runs there is not known`);
  if (leftOut > 0) context.warn(`warning: ${leftOut} more match, which have run for longer than those`);
  if (answered === 0 && unanswered.length === 0) context.warn(NO_GATEWAY);
  return unanswered.length > 0 || answered === 0 ? exitCodes.unavailable : exitCodes.ok;
}

/** `gateway gw:7443 (spiffe://…) did not answer: why`. */
export function notAnswered({ address, spiffeId, why }: Omit<UnansweredGateway, '$typeName'>): string {
  return `gateway ${address} (${spiffeId}) did not answer: ${why}`;
}

/** As `--json` shows it. */
export function unansweredValue({ address, spiffeId, why }: UnansweredGateway) {
  return { gatewaySpiffeId: spiffeId, gatewayAddress: address, why };
}

async function trustDomainOf(client: RpcClient, { signal }: CliContext): Promise<string> {
  return (await client.unary(Bundle.method.getBundle, {}, { signal, timeoutMs: CALL_TIMEOUT_MS })).trustDomain;
}

function severalBegin(id: string, sessions: readonly LiveSession[]): string {
  const named = sessions.slice(0, NAMED_MAX).map((session) => `${session.id} at ${session.gatewayAddress}`);
  const more = sessions.length > NAMED_MAX ? ` and ${sessions.length - NAMED_MAX} more` : '';
  return `${sessions.length} sessions are called ${id}: ${named.join(', ')}${more}; give more of the id, or --gateway`;
}

const NAMES = ['who', 'target', 'node', 'gateway', 'olderThan'];
/** Of one filter. */
const IDS_MAX = 100;
/** What a gateway gives its sessions. */
const ID_CHARS = 24;
const NAMED_MAX = 5;
const NO_GATEWAY = 'warning: no gateway is connected, so nobody could be asked';
