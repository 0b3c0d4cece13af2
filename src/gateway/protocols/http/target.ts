import { createSampledLog, messageOf, type SampledLog } from '../../../std/index.ts';
import type { MemberDoor, Target, TargetDeps } from '../../protocol.ts';
import type { GatewaySession } from '../../sessions/session.ts';
import { audienceOf, type HttpConfig, parseConfig } from './config.ts';
import { createTokenDoor } from './door/token-door.ts';
import { createLaneRoom, type LaneRoom } from './http2/lane-room.ts';
import { serveCallers } from './http2/serve-callers.ts';
import { createMeaning, type Meanings } from './meaning/index.ts';
import { createNameWatch } from './names.ts';
import { isHttp2, refuseByVersion, serveByVersion, type Versions } from './session/by-version.ts';
import {
  deniedAnswer,
  ledgerAnswer,
  type OwnAnswer,
  quotaAnswer,
  sessionAnswer,
} from './session/refusals/own-answers.ts';
import { createVerdicts, type Verdicts } from './session/verdicts.ts';
import { type CallerTokens, createCallerTokens } from './upstream/caller-token.ts';
import { checkUpstream } from './upstream/check.ts';
import { placesOf } from './upstream/place.ts';
import { createUpstreams, type Upstreams } from './upstream/upstreams.ts';

/** What the sessions of one target share. */
export interface OpenTarget {
  readonly config: HttpConfig;
  readonly deps: TargetDeps;
  readonly upstreams: Upstreams;
  readonly meaning: Meanings;
  /** Undefined: the API is not told who calls. */
  readonly callers: CallerTokens | undefined;
  readonly verdicts: Verdicts;
  readonly laneRoom: LaneRoom;
  /** A client that asks again and again of a target that is away must not fill the log. */
  readonly failures: SampledLog;
}

/** Opens an HTTP target: connects when the first request comes. @throws GatewayError ERR_GATEWAY_TARGET_CONFIG */
export function openTarget(rawConfig: unknown, deps: TargetDeps): Target {
  const config = parseConfig(rawConfig);
  const target: OpenTarget = {
    ...{ config, deps, meaning: createMeaning(deps.name, config) },
    callers: config.identityHeader ? createCallerTokens({ ...deps, target: deps.name }) : undefined,
    upstreams: createUpstreams({ ...deps, places: placesOf(config) }),
    verdicts: createVerdicts(),
    laneRoom: createLaneRoom(),
    failures: createSampledLog(deps),
  };
  const names = createNameWatch({ name: deps.name, config, policies: deps.policies });
  return {
    listen: config.listen,
    hosts: config.hosts,
    door: doorOf(target),
    serve: (session) => serveClient(target, session),
    refuse: (client, refusal) => void refuseByVersion(client, versionsOf(target), sessionAnswer(refusal)),
    check: (signal, place) => checkEach(target, place, signal),
    serves: () => target.upstreams.isServing,
    warnings: names.warnings,
    async close() {
      names.close();
      target.failures.stop();
    },
  };
}

/** Where it is not the protocol's own. */
function doorOf(target: OpenTarget): MemberDoor | undefined {
  const { config, deps } = target;
  if (config.listen?.tokens !== true) return config.http2 ? undefined : HTTP1_DOOR;
  const sign = { ...deps, audience: audienceOf(deps.name, config) };
  if (!config.http2) return createTokenDoor(sign);
  return createTokenDoor(sign, (client, asked) => {
    return isHttp2(client) ? serveCallers(target, sign, { client, asked }) : undefined;
  });
}

const HTTP1_DOOR: MemberDoor = {
  ...{ proof: 'svid', alpn: ['http/1.1'] },
  negotiate: (_socket, startTls) => startTls(Buffer.alloc(0)),
};

/** Each of its places, or that one. */
async function checkEach(
  { config, deps, upstreams }: OpenTarget,
  authority: string | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  const places = upstreams.places.filter((one) => authority === undefined || one.authority === authority);
  const problems = await Promise.all(
    places.map(async (place) => {
      try {
        const problem = await checkUpstream({ ...deps, config, place }, signal);
        if (problem === undefined) upstreams.worked(place);
        else upstreams.failed(place);
        return problem;
      } catch (error) {
        if (!signal.aborted) upstreams.failed(place);
        return messageOf(error);
      }
    }),
  );
  const told = new Set(problems.filter((problem) => problem !== undefined));
  return told.size === 0 ? undefined : [...told].join('; ');
}

function versionsOf({ deps, config }: OpenTarget): Versions {
  return { clock: deps.clock, http2: config.http2 };
}

/** Asks policy whether the client may have a session at all, and serves its requests. */
async function serveClient(target: OpenTarget, session: GatewaySession): Promise<void> {
  const { client, gate, identity } = session;
  const { deps } = target;
  if (session.proofs === undefined) client.on('error', () => {}); // 'close' follows; elsewhere the door has one for all its sessions.
  const end = (answer: OwnAnswer) => refuseByVersion(client, versionsOf(target), answer);
  if (session.isAside) return end(sessionAnswer({ code: 'shutdown', what: 'no session is opened by this way' }));
  const opening = await gate.open({
    connect: { action: 'http:connect', resource: target.meaning.place, context: {} },
    detail: {},
  });
  if (opening.ok) return serveByVersion(target, session);
  if ('unrecorded' in opening) return end(ledgerAnswer(opening.unrecorded));
  if ('limit' in opening) return end(quotaAnswer(opening.limit));
  return end(
    deniedAnswer(identity.uri, { action: 'http:connect', what: `connect to target ${deps.name}` }, opening.decision),
  );
}
