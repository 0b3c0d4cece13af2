import type { DescMessage, JsonObject } from '@bufbuild/protobuf';
import { SpiffeWorkloadAPI } from '@countersign/sdk/contract';
import { parseSpiffeId, type SpiffeId } from '@countersign/sdk/identity';
import type { Bundle, Selector } from '../../model/index.ts';
import {
  type CallContext,
  Code,
  implement,
  type Prebuilt,
  RpcError,
  type RpcService,
  type Send,
} from '../../rpc/index.ts';
import { type Clock, followAbort, type Log, messageOf } from '../../std/index.ts';
import { type JsonValue, verifyJwtSvid } from '../../wire/jose/index.ts';
import type { JwtCache } from '../cache/jwt-cache.ts';
import type { WorkloadView } from '../cache/subscriptions.ts';
import type { AgentEntry, JwtSvid } from '../cache/types.ts';
import { type Caller, countDown } from '../callers.ts';
import type { Counters } from '../counters.ts';
import { AgentError } from '../errors.ts';
import { isWithoutIdentity, type Refusals } from '../refusals.ts';
import type { Identities, Need } from './identities.ts';
import {
  type IssuedJwt,
  jwtBundlesResponse,
  jwtSvidResponse,
  x509BundlesResponse,
  x509SvidResponse,
} from './responses.ts';

/** Where a connection keeps its {@link Caller}. */
export const CALLER = Symbol('caller');

/**
 * The SPIFFE Workload API. Every call carries the metadata `workload.spiffe.io: true`; who calls is known from the connection.
 * @see SPIFFE Workload API
 */
export function createWorkloadApi(deps: {
  clock: Clock;
  log: Log;
  counters: Counters;
  /** Is told of processes without an identity. */
  refusals: Pick<Refusals, 'note'>;
  identities: Identities;
  jwts: JwtCache;
  isRevoked?: ((entry: AgentEntry) => boolean) | undefined;
  /** The own trust domain's bundle, once known. */
  ownBundle: () => Bundle | undefined;
}): RpcService {
  const { identities } = deps;
  const stream = createStreams(deps);

  const issue = async (entry: AgentEntry, audience: readonly string[], signal: AbortSignal) => {
    try {
      return await deps.jwts.fetch(entry, audience, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      // The reason names servers and addresses, which are no business of a workload.
      deps.log.warn('agent.jwt.not_issued', { spiffeId: entry.spiffeId.uri, problem: messageOf(error) });
      throw unavailable(`no JWT-SVID for ${entry.spiffeId.uri} can be had from the server now`);
    }
  };

  return implement(SpiffeWorkloadAPI, {
    fetchX509SVID: (_request, context, send) => stream(context, 'svids', { build: x509SvidResponse, send }),
    fetchX509Bundles: (_request, context, send) => stream(context, 'entries', { build: x509BundlesResponse, send }),
    fetchJWTBundles: (_request, context, send) => stream(context, 'entries', { build: jwtBundlesResponse, send }),

    async fetchJWTSVID({ audience, spiffeId }, context) {
      const caller = callerOf(context);
      checkAudience(audience);
      const wanted = spiffeId === '' ? undefined : requestedId(spiffeId);
      const selectors = knownSelectors(caller) ?? (await askSelectors(caller, context));
      const view =
        identities.known(selectors, 'entries') ??
        (await identities.look(selectors, 'entries', context.signal).catch((error: unknown) => {
          noteRefusal(deps, caller, error);
          throw error;
        }));
      const entries = firstOfEachId(view).filter((entry) => wanted === undefined || entry.spiffeId.uri === wanted.uri);
      if (entries.length === 0) throw new RpcError(Code.PERMISSION_DENIED, 'no identity issued');
      const cached = entries.map((entry) => ({ entry, svid: deps.jwts.fresh(entry, audience) }));
      const issued = cached.every(isIssued)
        ? cached
        : await Promise.all(
            cached.map(async ({ entry, svid }) => ({
              entry,
              svid: svid ?? (await issue(entry, audience, context.signal)),
            })),
          );
      refuseDead(caller);
      // One may have been revoked while its token was on its way.
      if (issued.some(({ entry }) => deps.isRevoked?.(entry) === true))
        throw new RpcError(Code.PERMISSION_DENIED, 'no identity issued');
      return jwtSvidResponse(issued);
    },

    async validateJWTSVID({ audience, svid: token }, context) {
      const caller = callerOf(context);
      if (audience === '') throw new RpcError(Code.INVALID_ARGUMENT, 'audience must be specified');
      if (token === '') throw new RpcError(Code.INVALID_ARGUMENT, 'svid must be specified');
      const own = deps.ownBundle();
      if (!own) throw unavailable('the agent has not reached its server yet');
      const { bundles } = await viewForVerifier(identities, caller, context);
      const known = new Map([own, ...bundles].map((bundle) => [bundle.trustDomain, bundle.jwtAuthorities]));
      const verdict = verifyJwtSvid({
        token,
        audience,
        authorities: (trustDomain) => known.get(trustDomain),
        nowMs: deps.clock.now(),
      });
      if (!verdict.ok) throw new RpcError(Code.INVALID_ARGUMENT, `the token is not valid here: ${verdict.reason}`);
      const { id, claims } = verdict.svid;
      return { spiffeId: id.uri, claims: visibleClaims(claims, id.trustDomain === own.trustDomain) };
    },
  });
}

/** Runs one streaming call: a message at once, and another whenever what the caller may see has changed. */
function createStreams(deps: { identities: Identities; counters: Counters; refusals: Pick<Refusals, 'note'> }) {
  const { identities, counters } = deps;
  const streamsByUid = new Map<number, number>();

  return async <Output extends DescMessage>(
    context: CallContext,
    need: Need,
    reply: { build: (view: WorkloadView) => Prebuilt<Output>; send: Send<Output> },
  ): Promise<void> => {
    const caller = callerOf(context);
    const open = streamsByUid.get(caller.uid) ?? 0;
    if (open >= STREAMS_PER_UID_MAX) throw unavailable(`over ${STREAMS_PER_UID_MAX} streams of uid ${caller.uid}`);
    streamsByUid.set(caller.uid, open + 1);
    counters.streamsOpened++;
    let last: Buffer | undefined;
    // At a stop it ends at once: there is no answer to wait for, and the next agent may be there already.
    const until = followAbort(context.signal, context.draining);
    try {
      const selectors = knownSelectors(caller) ?? (await askSelectors(caller, context));
      await identities.follow(selectors, {
        need,
        signal: until.signal,
        show(view) {
          const answer = reply.build(view);
          if (last?.equals(answer.frame)) return NOTHING_NEW;
          last = answer.frame;
          refuseDead(caller);
          counters.updatesSent++;
          return reply.send(answer);
        },
      });
    } catch (error) {
      noteRefusal(deps, caller, error);
      throw error;
    } finally {
      until.release();
      countDown(streamsByUid, caller.uid);
    }
  };
}

function noteRefusal({ refusals }: { refusals: Pick<Refusals, 'note'> }, caller: Caller, error: unknown): void {
  if (isWithoutIdentity(error)) refusals.note(caller, '');
}

/** A verifier may be a process without identity; it then sees the own trust domain's keys only. */
async function viewForVerifier(
  identities: Identities,
  caller: Caller,
  context: CallContext,
): Promise<Pick<WorkloadView, 'bundles'>> {
  const selectors = knownSelectors(caller) ?? (await askSelectors(caller, context));
  try {
    return await identities.look(selectors, 'entries', context.signal);
  } catch (error) {
    if (error instanceof RpcError && error.code === Code.PERMISSION_DENIED) return { bundles: [] };
    throw error;
  }
}

function callerOf(context: CallContext): Caller {
  const header = context.metadata.get(SECURITY_HEADER) ?? [];
  if (header.length !== 1 || header[0] !== 'true') {
    throw new RpcError(Code.INVALID_ARGUMENT, `metadata ${SECURITY_HEADER} must be "true"`);
  }
  // Only onConnection of this server writes under this symbol.
  const caller = context.state.get(CALLER) as Caller | undefined;
  if (!caller) throw new RpcError(Code.UNAVAILABLE, 'the calling process could not be identified');
  return caller;
}

/** Without waiting, as for all but the first call on a connection. */
function knownSelectors(caller: Caller): readonly Selector[] | undefined {
  try {
    return caller.known();
  } catch (error) {
    throw unidentified(error);
  }
}

async function askSelectors(caller: Caller, context: CallContext): Promise<readonly Selector[]> {
  try {
    return await caller.selectors(context.signal);
  } catch (error) {
    throw unidentified(error);
  }
}

function unidentified(error: unknown): unknown {
  return error instanceof AgentError ? unavailable('the calling process could not be identified') : error;
}

function isIssued(one: { readonly entry: AgentEntry; readonly svid: JwtSvid | undefined }): one is IssuedJwt {
  return one.svid !== undefined;
}

function refuseDead(caller: Caller): void {
  try {
    caller.assertAlive();
  } catch (cause) {
    throw new RpcError(Code.UNAVAILABLE, 'the calling process has ended', { cause });
  }
}

function requestedId(text: string): SpiffeId {
  try {
    return parseSpiffeId(text);
  } catch (error) {
    throw new RpcError(Code.INVALID_ARGUMENT, `the requested SPIFFE ID is not valid: ${messageOf(error)}`);
  }
}

function checkAudience(audience: readonly string[]): void {
  if (audience.length === 0) throw new RpcError(Code.INVALID_ARGUMENT, 'audience must be specified');
  const fits =
    audience.length <= AUDIENCES_MAX && audience.every((each) => each !== '' && each.length <= AUDIENCE_CHARS_MAX);
  if (fits) return;
  throw new RpcError(
    Code.INVALID_ARGUMENT,
    `at most ${AUDIENCES_MAX} audiences of 1 to ${AUDIENCE_CHARS_MAX} characters are taken`,
  );
}

function firstOfEachId(view: WorkloadView) {
  const seen = new Set<string>();
  return view.matched.filter((entry) => !seen.has(entry.spiffeId.uri) && seen.add(entry.spiffeId.uri));
}

/** Claims of a foreign trust domain mean what its operators say, not ours: only the standard ones pass. */
function visibleClaims(claims: { readonly [name: string]: JsonValue }, own: boolean): JsonObject {
  const visible = Object.entries(claims).filter(([name]) => own || FOREIGN_CLAIMS.has(name));
  const list = Object.fromEntries(visible);
  if (typeof list['aud'] === 'string') list['aud'] = [list['aud']];
  return list as JsonObject; // Both are what JSON can say; protobuf's type only lacks `readonly`.
}

function unavailable(message: string): RpcError {
  return new RpcError(Code.UNAVAILABLE, message);
}

const NOTHING_NEW = Promise.resolve();
const SECURITY_HEADER = 'workload.spiffe.io';
/** Far above what a node's sidecars need, far below what would hurt: a stream costs about 25 kB. */
const STREAMS_PER_UID_MAX = 4_096;
const AUDIENCES_MAX = 64;
const AUDIENCE_CHARS_MAX = 2_048;
const FOREIGN_CLAIMS: ReadonlySet<string> = new Set(['sub', 'aud', 'exp']);
