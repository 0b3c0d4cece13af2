import { createPrivateKey } from 'node:crypto';
import type { PermissionDeniedDetails_Reason as Reason } from '@countersign/sdk/contract/gen/spire/api/types/status_pb.ts';
import type { TrustDomain } from '@countersign/sdk/identity';
import type { Bundle, TargetView } from '../../model/index.ts';
import { createRpcServer, type RpcError, type RpcServer } from '../../rpc/index.ts';
import { type Clock, createSilentLog, type Random } from '../../std/index.ts';
import { type FakeState, fakeServices } from './fake-services.ts';
import { createTestAuthority, type TestAuthority } from './test-authority.ts';

export interface FakeEntry {
  readonly id: string;
  readonly path: string;
  readonly selectors: readonly string[];
  readonly hint?: string;
  readonly createdAtS?: number;
  readonly revision?: number;
  readonly ttlS?: number;
  readonly federatesWith?: readonly string[];
}

/** A server that speaks the real contract over real TLS, with everything in memory and every answer adjustable. */
export interface FakeServer {
  readonly entries: Map<string, FakeEntry>;
  readonly federated: Map<string, Bundle>;
  readonly calls: Record<string, number>;
  /** What was asked of BatchNewX509SVID, by call. */
  readonly minted: string[][];
  targets: readonly TargetView[];
  authority: TestAuthority;
  /** Further authorities in the bundle, such as an old tainted one. */
  tainted: TestAuthority[];
  push: boolean;
  reattestable: boolean;
  nodeTtlS: number;
  svidTtlS: number;
  /** Refuses every authenticated call for this reason. */
  refuse: Reason | undefined;
  attestError: RpcError | undefined;
  /** Serials that were issued to the node, the newest last. */
  readonly serials: string[];
  address(): { host: string; port: number };
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Tells watchers that something changed. */
  changed(): void;
}

export function createFakeServer(deps: {
  clock: Clock;
  random: Random;
  trustDomain: TrustDomain;
  pageSize?: number;
}): FakeServer {
  let rpc: RpcServer | undefined;
  let port = 0;
  const fake: FakeState = {
    trustDomain: deps.trustDomain,
    pageSize: deps.pageSize ?? 500,
    revision: 1n,
    watchers: new Set(),
    entries: new Map(),
    federated: new Map(),
    calls: {},
    minted: [],
    targets: [],
    authority: createTestAuthority(deps),
    tainted: [],
    push: true,
    reattestable: true,
    nodeTtlS: 3_600,
    svidTtlS: 3_600,
    refuse: undefined,
    attestError: undefined,
    serials: [],
    address: () => ({ host: '127.0.0.1', port }),
    async start() {
      rpc = openServer(deps.clock, fake, port);
      await rpc.start(new AbortController().signal);
      const at = rpc.address();
      if ('port' in at) port = at.port;
    },
    async stop() {
      await rpc?.stop();
    },
    changed() {
      fake.revision++;
      const waiting = [...fake.watchers];
      fake.watchers.clear();
      for (const wake of waiting) wake();
    },
  };
  return fake;
}

function openServer(clock: Clock, fake: FakeState, port: number): RpcServer {
  return createRpcServer({
    clock,
    log: createSilentLog(),
    services: fakeServices(fake),
    limits: { graceMs: 0 },
    listen: {
      host: '127.0.0.1',
      port,
      tls: () => {
        const { chainDer, keyDer } = fake.authority.issueWithKey('/spire/server', 86_400);
        return { chainDer, key: createPrivateKey({ key: keyDer, format: 'der', type: 'pkcs8' }) };
      },
    },
  });
}
