import type { ServerResponse } from 'node:http';
import {
  type Endpoint,
  type EndpointCall,
  type EndpointResource,
  type Principal,
  principalName,
  problemsOf,
  type RequestParts,
  readInput,
} from '../../endpoint/index.ts';
import type { Decision } from '../../model/index.ts';
import { assert, type Clock, type Log, throwIfAborted } from '../../std/index.ts';
import { type Access, refusalText } from '../access/access.ts';
import { type Audit, whoOf } from '../audit.ts';
import { toldEntry } from '../status.ts';
import { isSeen, readIfMatch, tagOf } from './conditions.ts';
import { RestError } from './errors.ts';
import { openEvents } from './events.ts';
import { type Idempotency, type KeptAnswer, parseIdempotencyKey } from './idempotency.ts';

/** What stands behind endpoints, whichever they are. */
export interface ServeDeps<Needs> {
  readonly clock: Clock;
  readonly log: Log;
  readonly needs: Needs;
  readonly access: Access;
  readonly audit: Pick<Audit, 'actBy'>;
  readonly idempotency: Idempotency;
}

/** A request of which it is known who makes it. */
export interface KnownRequest {
  readonly principal: Principal;
  readonly parts: RequestParts;
  /** Lower-case; of a header that came twice, all that is joined. */
  readonly header: (name: string) => string | undefined;
  readonly signal: AbortSignal;
  /** Asks once more who it is: an answer that goes on outlives what its caller may. @throws RestError */
  readonly identify: () => Promise<Principal>;
}

/** An answer that is whole. `body` undefined: the caller has it already. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** Answers one request by one endpoint: reads, decides, records, does, checks what is answered. @throws EndpointError, RestError; what features throw */
export async function serveEndpoint<Needs>(
  endpoint: Endpoint<Needs>,
  request: KnownRequest,
  deps: ServeDeps<Needs>,
): Promise<Answer> {
  const asked = readInput(endpoint, request.parts);
  const { principal } = request;
  const isSettled = decide(endpoint, { input: asked, principal }, deps);
  const ifMatch = readIfMatch(request.header('if-match'));
  if (ifMatch !== undefined && !endpoint.conditional)
    throw new RestError('ERR_REST_HEADER', 'this endpoint compares nothing with If-Match');
  const call: EndpointCall = { principal, signal: request.signal, ifMatch };
  const act = async (): Promise<KeptAnswer> => {
    const input = isSettled ? asked : await settled(endpoint, { input: asked, call }, deps);
    const output = isSettled
      ? await handled(endpoint, { input, call }, deps)
      : await handledIfFound(endpoint, { input, call }, deps);
    const problems = problemsOf(endpoint.output, output);
    assert(problems.length === 0, `${endpoint.name} answers as it says: ${JSON.stringify(problems)}`);
    const body = JSON.stringify(output);
    // Just checked against the schema that the function's type is made of.
    return { status: 200, tag: tagOf(body, endpoint.tag?.(output as never)), body };
  };
  const key = endpoint.idempotent === 'by-key' ? request.header('idempotency-key') : undefined;
  if (key === undefined) return answerOf(await act(), endpoint, request);
  const keyed = {
    caller: principalName(principal),
    key: parseIdempotencyKey(key),
    asked: JSON.stringify([endpoint.name, asked, ifMatch ?? '']),
  };
  const { isRepeated, ...kept } = await deps.idempotency.once(keyed, act);
  const answer = answerOf(kept, endpoint, request);
  return isRepeated ? { ...answer, headers: { ...answer.headers, 'idempotency-replayed': 'true' } } : answer;
}

/** Answers by a live endpoint, for as long as it and its caller go on. @throws as `serveEndpoint`, before anything was said */
export async function serveEvents<Needs>(
  endpoint: Endpoint<Needs>,
  request: KnownRequest & {
    readonly response: ServerResponse;
    readonly headers: Readonly<Record<string, string>>;
    readonly begun: () => void;
  },
  deps: ServeDeps<Needs>,
): Promise<void> {
  const input = readInput(endpoint, request.parts);
  const { principal, signal } = request;
  decideNow(endpoint, { input, principal }, deps);
  const lastEventId = request.header('last-event-id');
  if (lastEventId !== undefined && !/^[\x21-\x7e]{1,128}$/.test(lastEventId))
    throw new RestError('ERR_REST_HEADER', 'Last-Event-ID is none that was handed out');
  // The input was read by the schema that its type is made of.
  const tell = await endpoint.follow(
    input as never,
    { principal, signal, ifMatch: undefined, lastEventId },
    deps.needs,
  );
  throwIfAborted(signal);
  request.begun();
  const { response, headers } = request;
  const check = async () => decideNow(endpoint, { input, principal: await request.identify() }, deps);
  const stream = openEvents({ response, headers, name: endpoint.name, clock: deps.clock, signal, check });
  const send = async (event: object | undefined, id: string) => {
    await stream.send(event === undefined ? undefined : textOf(endpoint, event), id);
  };
  try {
    await tell(send as never); // As above, of its output.
  } catch (error) {
    // Nobody can be told any more; who has gone or was cut off is no failure.
    if (!signal.aborted && !response.writableEnded && !response.destroyed)
      deps.log.error('api.rest.stream_failed', { endpoint: endpoint.name, error });
  } finally {
    stream.end();
  }
}

/** An event that many are told of is checked, and made a text, once. */
function textOf<Needs>({ name, output }: Endpoint<Needs>, event: object): string {
  const known = eventTexts.get(event);
  if (known !== undefined) return known;
  const problems = problemsOf(output, event);
  assert(problems.length === 0, `${name} tells what it says: ${JSON.stringify(problems)}`);
  const text = JSON.stringify(event);
  eventTexts.set(event, text);
  return text;
}

/**
 * `input`: at the least its fields of the path, by which the resource goes. False: whether it is allowed depends on what it is done to, which can be found
 * out. @throws RestError ERR_REST_FORBIDDEN
 */
export function decide<Needs>(
  endpoint: Endpoint<Needs>,
  { input, principal }: { input: object; principal: Principal },
  { access, log }: Pick<ServeDeps<Needs>, 'access' | 'log'>,
): boolean {
  const resource = endpoint.resource(input as never); // Read by the schema that its type is made of.
  const decision = access.decide(principal, endpoint.action, resource);
  if (decision.allow) return true;
  // Of whoever has no permit nothing is looked at.
  const canSettle = endpoint.answered !== undefined || endpoint.look !== undefined;
  if (decision.reason === 'policy-error' && decision.policies.length > 0 && canSettle) return false;
  throw refused(endpoint, { principal, resource, decision, log });
}

/** Of what goes on nothing is found out first. */
function decideNow<Needs>(
  endpoint: Endpoint<Needs>,
  asked: { input: object; principal: Principal },
  deps: Pick<ServeDeps<Needs>, 'access' | 'log'>,
): void {
  assert(decide(endpoint, asked, deps), `what ${endpoint.name} is about is known from what is asked`);
}

function refused<Needs>(
  { action }: Endpoint<Needs>,
  of: {
    principal: Principal;
    resource: EndpointResource;
    decision: Extract<Decision, { allow: false }>;
    log: Log;
  },
): RestError {
  const { principal, resource, decision } = of;
  of.log.info('api.rest.refused', { caller: principalName(principal), action, reason: decision.reason });
  return new RestError('ERR_REST_FORBIDDEN', refusalText(principal, { action, resource }, decision));
}

/** The same for what may not be seen and for what is not there: nobody learns what there is. */
function refusedUnseen<Needs>(
  endpoint: Endpoint<Needs>,
  { input, call: { principal } }: { input: object; call: EndpointCall },
  { log }: Pick<ServeDeps<Needs>, 'log'>,
): RestError {
  const resource = endpoint.resource(input as never); // As in `decide`.
  return refused(endpoint, { principal, resource, decision: UNSEEN, log });
}

/** The act on what was found, all of which the caller may do it to. @throws RestError ERR_REST_FORBIDDEN */
async function settled<Needs>(
  endpoint: Endpoint<Needs>,
  { input, call }: { input: object; call: EndpointCall },
  deps: ServeDeps<Needs>,
): Promise<object> {
  if (endpoint.look === undefined) return input;
  const found = await endpoint.look(input as never, call, deps.needs);
  const may = (one: EndpointResource) => deps.access.decide(call.principal, endpoint.action, one).allow;
  if (!found.resources.every(may)) throw refusedUnseen(endpoint, { input, call }, deps);
  return found.input;
}

/** The answer, if its caller may see what was found. @throws RestError ERR_REST_FORBIDDEN for what there is not, too */
async function handledIfFound<Needs>(
  endpoint: Endpoint<Needs>,
  asked: { input: object; call: EndpointCall },
  deps: ServeDeps<Needs>,
): Promise<object> {
  const { answered } = endpoint;
  if (answered === undefined) return handled(endpoint, asked, deps);
  assert(endpoint.audit === undefined, `${endpoint.name} only looks`);
  let output: object;
  try {
    output = await handled(endpoint, asked, deps);
  } catch (error) {
    throw toldEntry(error) === undefined ? error : refusedUnseen(endpoint, asked, deps);
  }
  const resource = answered(output as never); // As the schema of the answer says, which is checked before anybody has it.
  if (!deps.access.decide(asked.call.principal, endpoint.action, resource).allow)
    throw refusedUnseen(endpoint, asked, deps);
  return output;
}

/** Done, and recorded when it is an act. */
async function handled<Needs>(
  endpoint: Endpoint<Needs>,
  { input, call }: { input: object; call: EndpointCall },
  deps: ServeDeps<Needs>,
): Promise<object> {
  const act = () => endpoint.handle(input as never, call, deps.needs);
  const { audit } = endpoint;
  if (audit === undefined) return act();
  const details = audit.of?.(input as never);
  const what = {
    action: audit.as,
    target: audit.target,
    detail: { endpoint: endpoint.name, ...details?.detail },
    ...(details === undefined ? {} : { outcome: (output: object) => details.outcome(output as never) }),
  };
  return deps.audit.actBy(whoOf(call.principal), what, act);
}

function answerOf<Needs>({ status, tag, body }: KeptAnswer, endpoint: Endpoint<Needs>, request: KnownRequest): Answer {
  const headers = tag === undefined ? {} : { etag: `"${tag}"` };
  const isKnown = endpoint.method === 'GET' && tag !== undefined && isSeen(request.header('if-none-match'), tag);
  return isKnown ? { status: 304, headers, body: undefined } : { status, headers, body };
}

const eventTexts = new WeakMap<object, string>();
const UNSEEN: Extract<Decision, { allow: false }> = Object.freeze({ allow: false, reason: 'no-permit', policies: [] });
