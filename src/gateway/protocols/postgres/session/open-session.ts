import { type Barred, barredText, type Decision, isBarred } from '../../../../model/index.ts';
import { approvalText } from '../../../../policy/index.ts';
import { type Log, timeoutSignal } from '../../../../std/index.ts';
import { type ErrorText, PostgresWireError } from '../../../../wire/postgres/index.ts';
import type { TargetDeps } from '../../../protocol.ts';
import { endOf, type GatewaySession } from '../../../sessions/session.ts';
import type { CatalogSource } from '../catalog/source.ts';
import type { PostgresConfig } from '../config.ts';
import { endClient } from '../end-connections.ts';
import { type CancelKeys, wordOf } from '../login/cancel.ts';
import { type ClientCheck, openChecked } from '../login/client-check.ts';
import { admitStartup, type ClientRequest, readClientRequest, type SessionStart } from '../login/startup.ts';
import { cancelUpstream, type Upstream } from '../login/upstream.ts';
import { ledgerText, refusalText, targetError, unservedEncoding } from '../refusal.ts';
import { codingBetween, databaseResource, loadParser, type Planner, settingQuestion } from '../sql/index.ts';
import type { ConversationDeps } from './conversation.ts';
import { sessionsReached } from './over-limit.ts';
import { serve } from './serve.ts';

/** What the sessions of one database share. */
export interface Database {
  readonly catalogs: CatalogSource;
  readonly planner: Planner;
}

/** What the sessions of one target share. */
export interface OpenTarget {
  readonly config: PostgresConfig;
  readonly deps: TargetDeps;
  readonly keys: CancelKeys;
  readonly clientCheck: ClientCheck;
  /** A client that connects again and again to a target that is away must not fill the log. */
  readonly failures: Log;
  /** `hasOwnPath`: the session asked for its search path itself. */
  database(name: string, options: { readonly hasOwnPath: boolean }): Database;
}

/**
 * Serves one client of a target from its start-up packet to its last word: asks policy whether it may connect, records that, logs in to the
 * database, and hands both sides to `serve`. Resolves when the session is over; what goes wrong is told to the client.
 */
export async function serveClient(target: OpenTarget, session: GatewaySession): Promise<void> {
  const { deps } = target;
  const { client } = session;
  client.on('error', () => {}); // 'close' follows.
  const timeout = timeoutSignal(deps.clock, STARTUP_MS_MAX, session.signal, session.drain);
  let request: ClientRequest | undefined;
  try {
    request = await readClientRequest(client, timeout.signal);
  } catch (error) {
    return endClient(client, startupError(error, session));
  } finally {
    timeout.cancel();
  }
  if (request === undefined) return client.destroy() && undefined;
  if (request.kind === 'cancel') {
    if (session.policy.standing?.reason === 'revoked') return endClient(client, undefined);
    const { processId, key } = request;
    const cancelled = target.keys.use(session.identity, processId, key);
    if (cancelled === undefined) deps.passOn?.(session.identity, wordOf(processId, key));
    // As PostgreSQL, which closes once the process was told: a driver waits for that, and one that is told later would lose its next statement.
    await cancelled;
    return endClient(client, undefined);
  }
  if (session.isAside)
    return endClient(client, refusalText({ code: 'shutdown', what: 'no session is opened by this way' }));
  const mayBeMasked = session.policy.potentialMasks().length > 0;
  const start = admitStartup(request, { name: deps.name, config: target.config, mayBeMasked });
  if ('error' in start) return endClient(client, start.error);
  await runSession(target, session, { start, rest: request.rest });
}

async function runSession(
  target: OpenTarget,
  session: GatewaySession,
  client: { start: SessionStart; rest: Buffer },
): Promise<void> {
  const { config, deps, keys } = target;
  const { start, rest } = client;
  const place = { target: deps.name, database: start.database };
  const also = start.asked.map((setting) => {
    const { action, resource, context = {} } = settingQuestion(place, setting);
    return { question: { action, resource, context }, detail: { setting }, setting };
  });
  const connect = { action: 'postgres:connect', resource: databaseResource(place), context: {} };
  const [, application] = start.parameters.find(([name]) => name === 'application_name') ?? [];
  const opening = await session.gate.open({
    connect,
    also,
    client: { application },
    detail: { database: start.database },
  });
  if (!opening.ok) {
    if ('unrecorded' in opening) return endClient(session.client, ledgerText('FATAL', opening.unrecorded));
    if ('limit' in opening) return endClient(session.client, sessionsReached(opening.limit));
    const setting = also.find(({ question }) => question === opening.question)?.setting;
    if (isBarred(opening.decision)) return endClient(session.client, barredClient(session, opening.decision));
    const denied =
      setting === undefined ? connectDenied(session, place, opening.decision) : settingDenied(session, setting);
    return endClient(session.client, denied);
  }
  let release = () => {};
  let key: ReturnType<CancelKeys['mint']> | undefined;
  try {
    const { catalogs, planner } = target.database(start.database, { hasOwnPath: start.searchPath !== undefined });
    await loadParser();
    const login = openChecked(
      { ...deps, config },
      { parameters: start.parameters, minor: 2, forClient: true, signal: session.signal },
      target.clientCheck,
    );
    let upstream: Upstream;
    try {
      [upstream, release] = await Promise.all([login, catalogs.hold(session.signal)]);
    } catch (error) {
      login.then((late) => late.socket.destroy()).catch(() => {}); // The first failure is the one to report.
      throw error;
    }
    const encodings = encodingsOf(start, upstream);
    if ('error' in encodings) return endClient(session.client, encodings.error);
    const cancelUntil = (signal: AbortSignal) => cancelUpstream({ ...deps, config }, upstream, signal);
    const cancel = () => cancelUntil(session.signal);
    const keyBytes = start.minor >= 2 ? KEY_BYTES : KEY_BYTES_3_0;
    let cancelHeld = () => false;
    key = keys.mint({ identity: session.identity, processId: upstream.processId, keyBytes }, async () => {
      if (!cancelHeld()) await cancel().catch((error) => deps.log.warn('gateway.postgres.cancel_failed', { error }));
    });
    await serve({
      session,
      upstream,
      start,
      key,
      rest,
      log: deps.log.child({ session: session.id }),
      conversation: {
        clock: deps.clock,
        planner,
        decider: session.policy,
        maskKey: deps.maskKey.reveal(),
        ...{ startPath: start.searchPath, encodings, limits: config.limits },
        catalog: () => catalogs.current(),
        isOutdated: () => catalogs.isOutdated,
      },
      refreshCatalog: () => catalogs.refresh(session.signal),
      cancelUpstream: cancel,
      onCancel(held) {
        cancelHeld = held;
      },
      async endUpstream() {
        const time = timeoutSignal(deps.clock, HELD_MS_MAX);
        await cancelUntil(time.signal).finally(() => time.cancel());
      },
    });
  } catch (error) {
    if (session.signal.aborted) return endClient(session.client, startupError(error, session));
    target.failures.error('gateway.postgres.target_failed', { target: deps.name, session: session.id, error });
    endClient(session.client, targetError(deps.name, error));
  } finally {
    key?.close();
    release();
  }
}

/** In what the client's texts are and the server's are; without a pair that is served there is no session. */
function encodingsOf(start: SessionStart, upstream: Upstream): ConversationDeps['encodings'] | { error: ErrorText } {
  const pair = { client: start.encoding, server: upstream.parameters.get('server_encoding') ?? '' };
  if (codingBetween(pair.client, pair.server) !== undefined) return pair;
  upstream.socket.destroy();
  return { error: unservedEncoding(pair.client, pair.server) };
}

function startupError(error: unknown, session: GatewaySession): ErrorText {
  for (const signal of [session.signal, session.drain]) if (signal.aborted) return refusalText(endOf(signal));
  if (error instanceof PostgresWireError) return { severity: 'FATAL', sqlstate: '08P01', message: error.message };
  return refusalText({ code: 'timeout', what: `no start-up packet within ${STARTUP_MS_MAX / 1000} seconds` });
}

/** It is not authenticated by what it has shown, whatever policies permit. */
function barredClient({ identity }: GatewaySession, barred: Barred): ErrorText {
  const { what, hint } = barredText(barred);
  return {
    ...{ severity: 'FATAL', sqlstate: '28000', message: `${identity.uri} is not let in: ${what}` },
    ...{ detail: `countersign: ${barred.reason}`, hint },
  };
}

/** Whoever is refused has proven its identity, and can't tell its operator otherwise which it was. */
function settingDenied({ identity }: GatewaySession, setting: string): ErrorText {
  return {
    severity: 'FATAL',
    sqlstate: '42501',
    message: `policy does not allow ${identity.uri} to set "${setting}" at start-up`,
    hint: `It needs a permit for postgres:set when context.setting == "${setting}"; or leave it out of the connection string.`,
  };
}

/** As for a setting. */
function connectDenied(
  { identity }: GatewaySession,
  { target, database }: { readonly target: string; readonly database: string },
  decision: Exclude<Decision, { allow: true }>,
): ErrorText {
  const { reason, policies } = decision;
  const named = policies.length > 0 ? `; policies: ${policies.slice(0, POLICIES_TOLD_MAX).join(', ')}` : '';
  return {
    severity: 'FATAL',
    sqlstate: '42501',
    message: `policy does not allow ${identity.uri} to connect to database "${database}" of target "${target}"`,
    detail: `countersign: ${reason}${named}`,
    hint:
      decision.reason === 'approval-needed'
        ? `It ${approvalText(decision.rules)}.`
        : 'It needs a permit for the action postgres:connect, and no forbid that applies.',
  };
}

/** How long a connection whose session is over is held for what runs there to be cancelled. */
const HELD_MS_MAX = 3_000;
const POLICIES_TOLD_MAX = 10;
/** A client that has not said what it wants by then holds a place for nothing. */
const STARTUP_MS_MAX = 10_000;
const KEY_BYTES_3_0 = 4;
/** What protocol 3.2 allows up to 256 of. */
const KEY_BYTES = 32;
