import { SpiffeWorkloadAPI } from '@countersign/sdk/contract';
import type { TrustDomain } from '@countersign/sdk/identity';
import type { JwtAuthority } from '../model/index.ts';
import { createRpcClient } from '../rpc/index.ts';
import { type Clock, createListeners, type Log, messageOf, raceAbort, type Service, sleep } from '../std/index.ts';
import { WorkloadIdentityError } from './errors.ts';
import { type OwnIdentity, parseJwtBundles, parseX509Response } from './parse-response.ts';

/** A process's own identity, kept fresh. `start` begins to watch and does not wait; `ready` does. */
export interface WorkloadIdentity extends Service {
  /** The identity now; undefined while there is none or its SVID has expired. */
  current(): OwnIdentity | undefined;
  /** Resolves once there is an identity. Rejects only when the signal aborts. */
  ready(signal: AbortSignal): Promise<void>;
  /** Calls `listener` after each new SVID or bundle, until the returned function is called. */
  onChange(listener: () => void): () => void;
  /** What tokens of that trust domain are signed by, as the Workload API told last; undefined: none is trusted, or nothing is followed. */
  jwtAuthorities(trustDomain: TrustDomain): readonly JwtAuthority[] | undefined;
  /**
   * A JWT-SVID of the current identity for one audience; the agent caches them.
   * @throws RpcError, WorkloadIdentityError ERR_WORKLOAD_API_ANSWER
   */
  jwt(audience: string, signal: AbortSignal): Promise<string>;
}

/**
 * Creates a {@link WorkloadIdentity} over the Workload API at `socket`, an absolute path. Another than the default identity is
 * taken by its `hint`.
 */
export function createWorkloadIdentity(deps: {
  clock: Clock;
  log: Log;
  socket: string;
  hint?: string;
  /** Whether what verifies tokens is followed as well. */
  followsTokens?: boolean;
}): WorkloadIdentity {
  const { clock, log } = deps;
  const client = createRpcClient({ clock, log, connect: { unix: deps.socket } });
  const listeners = createListeners();
  const stop = new AbortController();
  let latest: OwnIdentity | undefined;
  let jwtBundles: ReadonlyMap<TrustDomain, readonly JwtAuthority[]> = new Map();
  let running: Promise<unknown> = Promise.resolve();

  const current = () => (latest && clock.now() < latest.expiresAtS * 1000 ? latest : undefined);

  /** Follows one stream to its end; true when it brought something. */
  const followOne = async (open: () => AsyncIterable<() => void>): Promise<boolean> => {
    let fruitful = false;
    try {
      for await (const take of open()) {
        take();
        fruitful = true;
        listeners.tell();
      }
    } catch (error) {
      if (!stop.signal.aborted) log.warn('workload_identity.stream_ended', { problem: messageOf(error) });
    }
    return fruitful;
  };
  const options = { signal: stop.signal, metadata: SECURITY_METADATA };
  const svids = async function* () {
    for await (const response of client.serverStream(SpiffeWorkloadAPI.method.fetchX509SVID, {}, options))
      yield () => {
        latest = parseX509Response(response, deps.hint);
        log.debug('workload_identity.updated', { id: latest.id.uri, expiresAtS: latest.expiresAtS });
      };
  };
  const tokenKeys = async function* () {
    for await (const response of client.serverStream(SpiffeWorkloadAPI.method.fetchJWTBundles, {}, options))
      yield () => {
        jwtBundles = parseJwtBundles(response);
      };
  };

  const run = async (open: () => AsyncIterable<() => void>) => {
    let pauseMs = PAUSE_FIRST_MS;
    while (!stop.signal.aborted) {
      if (await followOne(open)) pauseMs = PAUSE_FIRST_MS;
      await sleep(clock, pauseMs, stop.signal).catch(() => {}); // Stopping ends the loop.
      pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS);
    }
  };

  return {
    current,
    jwtAuthorities: (trustDomain) => jwtBundles.get(trustDomain),
    onChange: listeners.add,
    async start() {
      running = Promise.all([run(svids), ...(deps.followsTokens === true ? [run(tokenKeys)] : [])]);
    },
    async stop() {
      stop.abort();
      await client.close();
      await running;
    },
    async ready(signal) {
      while (!current()) {
        let unsubscribe = () => {};
        const changed = new Promise<void>((resolve) => {
          unsubscribe = listeners.add(resolve);
        });
        await raceAbort(changed, signal).finally(unsubscribe);
      }
    },
    async jwt(audience, signal) {
      const options = { signal, timeoutMs: JWT_MS_MAX, metadata: SECURITY_METADATA };
      const spiffeId = current()?.id.uri ?? '';
      const request = { audience: [audience], spiffeId };
      const { svids } = await client.unary(SpiffeWorkloadAPI.method.fetchJWTSVID, request, options);
      const token = svids[0]?.svid;
      if (token) return token;
      throw new WorkloadIdentityError('ERR_WORKLOAD_API_ANSWER', 'the Workload API answered with no JWT-SVID');
    },
  };
}

const SECURITY_METADATA = { 'workload.spiffe.io': 'true' };
/** The agent is on the same machine: looking for it often costs next to nothing, and being back soon is worth much. */
const PAUSE_FIRST_MS = 100;
const PAUSE_MAX_MS = 5_000;
const JWT_MS_MAX = 30_000;
