import { join } from 'node:path';
import type { TrustDomain } from '@countersign/sdk/identity';
import type { GatewayConfig } from '../../config/index.ts';
import type { Gateway, RevocationRules } from '../../gateway/index.ts';
import {
  createKeptRevocations,
  createKnownRevocations,
  createRevocationWatch,
  type KnownRevocations,
  type RevocationWatch,
} from '../../known-revocations/index.ts';
import { Code, type Connect, createRpcClient, RpcError } from '../../rpc/index.ts';
import { type Clock, type Log, parseDurationMs, type Random, raceAbort, type Secret } from '../../std/index.ts';
import { createSealer } from '../../wire/seal/index.ts';
import type { WorkloadIdentity } from '../../workload-identity/index.ts';
import type { HealthCheck } from '../health/conditions.ts';
import type { Metric } from '../health/metrics.ts';
import { createRevocationCheck, revocationMetrics } from '../health/revocation-checks.ts';
import { deriveKey } from '../role-keys.ts';
import { ownFolderOf } from '../workers/own-folder.ts';
import type { GatewayControl } from './gateway-control.ts';

/** How a gateway goes by revocations, as its section of the configuration says. */
export function createGatewayRules(
  deps: { readonly clock: Clock; readonly log: Log },
  { maxAge, whenStale, allow }: GatewayConfig['revocations'],
): RevocationRules & { readonly current: KnownRevocations } {
  return {
    current: createKnownRevocations(deps),
    maxAgeMs: parseDurationMs(maxAge) ?? 0,
    whenStale: whenStale === 'deny' ? new Set(allow) : undefined,
  };
}

/**
 * Follows the server's feed of revocations, over a connection of its own: what has to be in force at once does not wait behind targets and policies.
 * What is known is in the file of that folder before it is acknowledged.
 */
export function openRevocations(deps: {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly config: Pick<GatewayConfig, 'dataDir'>;
  /** Of several processes each follows for itself, and keeps what it knows among its own files. */
  readonly share: { readonly number: number } | undefined;
  readonly sealKey: Secret;
  readonly trustDomain: TrustDomain;
  readonly rules: ReturnType<typeof createGatewayRules>;
  readonly connect: Connect;
  readonly identity: Pick<WorkloadIdentity, 'jwtAuthorities' | 'onChange' | 'ready'>;
  readonly control: Pick<GatewayControl, 'revocations' | 'acknowledge'>;
  readonly gateway: Pick<Gateway, 'ended'>;
}): RevocationWatch & { readonly metrics: readonly Metric[]; readonly check: HealthCheck } {
  const { clock, random, log, trustDomain, rules, identity, control, gateway } = deps;
  const dataDir = ownFolderOf(deps.config.dataDir, deps.share?.number ?? 1);
  const client = createRpcClient({ clock, log, connect: deps.connect });
  const sealer = createSealer(deriveKey(deps.sealKey, 'known revocations'), random);
  const watch = createRevocationWatch({
    ...{ clock, random, log, trustDomain, known: rules.current },
    kept: createKeptRevocations({ path: join(dataDir, REVOCATIONS_FILE), sealer, random }),
    authorities: () => identity.jwtAuthorities(trustDomain),
    isUnsupported: (error) => error instanceof RpcError && error.code === Code.UNIMPLEMENTED,
    ready: (signal) => whenKeysKnown(identity, trustDomain, signal),
    open: (request, signal) => control.revocations(client, { ...request, ...limitsOf(rules) }, signal),
    acknowledge: (state, signal) => control.acknowledge(client, state, signal),
    inEffect: (signal) => gateway.ended(signal),
    reconnect: () => client.reconnect(),
  });
  return {
    ...watch,
    metrics: revocationMetrics(rules.current, watch),
    check: createRevocationCheck({ clock, known: rules.current, watch, freshness: rules, setting: 'gateway.server' }),
    async stop() {
      await watch.stop();
      await client.close();
    },
  };
}

/** With an identity there is a way to the server, and with the keys what it says can be believed. */
async function whenKeysKnown(
  identity: Pick<WorkloadIdentity, 'jwtAuthorities' | 'onChange' | 'ready'>,
  trustDomain: TrustDomain,
  signal: AbortSignal,
): Promise<void> {
  await identity.ready(signal);
  while (identity.jwtAuthorities(trustDomain) === undefined) {
    let stopListening = () => {};
    const changed = new Promise<void>((resolve) => {
      stopListening = identity.onChange(resolve);
    });
    await raceAbort(changed, signal).finally(stopListening);
  }
}

/** What the server tells whoever waits for one that is away. */
function limitsOf({ maxAgeMs, whenStale }: RevocationRules) {
  return { freshForMs: BigInt(whenStale === undefined ? 0 : maxAgeMs), thenRefuses: whenStale?.size === 0 };
}

/** In the folder of the gateway's own files. */
const REVOCATIONS_FILE = 'revocations.sealed';
