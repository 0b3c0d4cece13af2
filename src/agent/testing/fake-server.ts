import { createPrivateKey } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import { Agent, Bundle as BundleService, Control, Entry as EntryService, SVID } from '@countersign/sdk/contract';
import {
  PermissionDeniedDetailsSchema,
  type PermissionDeniedDetails_Reason as Reason,
} from '@countersign/sdk/contract/gen/spire/api/types/status_pb.ts';
import { parseSpiffeId, spiffeIdOf, type TrustDomain } from '@countersign/sdk/identity';
import { type Bundle, parseSelector, type TargetView } from '../../model/index.ts';
import { type CallContext, Code, createRpcServer, implement, RpcError, type RpcServer } from '../../rpc/index.ts';
import { type Clock, createSilentLog, type Random } from '../../std/index.ts';
import { parseCertificate, parseCertificateRequest } from '../../wire/x509/index.ts';
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
  const { clock, trustDomain } = deps;
  const watchers = new Set<() => void>();
  let revision = 1n;
  let rpc: RpcServer | undefined;
  let port = 0;
  const calls: Record<string, number> = {};
  const count = (name: string) => {
    calls[name] = (calls[name] ?? 0) + 1;
  };
  const idMessage = (uri: string) => {
    const id = parseSpiffeId(uri);
    return { trustDomain: id.trustDomain, path: id.path };
  };
  const authorized = (context: CallContext) => {
    if (fake.refuse !== undefined) throw refusal(fake.refuse);
    const leaf = context.peer.kind === 'tls' ? context.peer.chainDer[0] : undefined;
    if (!leaf) throw new RpcError(Code.PERMISSION_DENIED, 'no certificate');
    if (!fake.serials.includes(parseCertificate(leaf).serial))
      throw new RpcError(Code.PERMISSION_DENIED, 'unknown serial');
  };
  const nodeSvid = (csr: Uint8Array) => {
    const uri = `spiffe://${trustDomain}/spire/agent/fake/node`;
    const { spkiDer } = parseCertificateRequest(Buffer.from(csr));
    const { chainDer, expiresAtS } = fake.authority.issue({ uri, spkiDer, ttlS: fake.nodeTtlS });
    for (const der of chainDer) fake.serials.push(parseCertificate(der).serial);
    return { certChain: chainDer, id: idMessage(uri), expiresAt: BigInt(expiresAtS) };
  };
  const entryMessage = (entry: FakeEntry) => ({
    id: entry.id,
    spiffeId: { trustDomain, path: entry.path },
    selectors: entry.selectors.map((text) => parseSelector(text) ?? { type: '', value: '' }),
    hint: entry.hint ?? '',
    createdAt: BigInt(entry.createdAtS ?? 1),
    revisionNumber: BigInt(entry.revision ?? 0),
    federatesWith: [...(entry.federatesWith ?? [])],
  });
  const bundleMessage = (bundle: Bundle) => ({
    trustDomain: bundle.trustDomain,
    x509Authorities: bundle.x509Authorities.map(({ der, tainted }) => ({ asn1: der, tainted })),
    jwtAuthorities: bundle.jwtAuthorities.map((key) => ({
      keyId: key.keyId,
      publicKey: key.publicKeyDer,
      expiresAt: BigInt(key.expiresAtS),
      tainted: key.tainted,
    })),
    sequenceNumber: BigInt(bundle.sequence),
    refreshHint: BigInt(bundle.refreshHintS),
  });
  const ownBundle = (): Bundle => {
    const own = fake.authority.bundle(Number(revision));
    const old = fake.tainted.map((authority) => authority.bundle(1, true));
    return {
      ...own,
      x509Authorities: [...own.x509Authorities, ...old.flatMap((each) => each.x509Authorities)],
      jwtAuthorities: [...own.jwtAuthorities, ...old.flatMap((each) => each.jwtAuthorities)],
    };
  };

  const services = () => [
    implement(Agent, {
      async attestAgent(requests, _context, send) {
        count('attestAgent');
        if (fake.attestError) throw fake.attestError;
        let csr: Uint8Array | undefined;
        for await (const { step } of requests) {
          if (step.case === 'params') {
            csr = step.value.params?.csr;
            await send({ step: { case: 'challenge', value: Buffer.from('ping') } });
          } else if (step.case === 'challengeResponse' && csr) {
            if (Buffer.from(step.value).toString() !== 'pong')
              throw new RpcError(Code.INVALID_ARGUMENT, 'wrong answer');
            await send({ step: { case: 'result', value: { svid: nodeSvid(csr), reattestable: fake.reattestable } } });
            return;
          }
        }
      },
      async renewAgent({ params }, context) {
        count('renewAgent');
        authorized(context);
        return { svid: nodeSvid(params?.csr ?? Buffer.alloc(0)) };
      },
      async postStatus(_request, context) {
        count('postStatus');
        authorized(context);
        return {};
      },
    }),
    implement(BundleService, {
      async getBundle() {
        count('getBundle');
        return bundleMessage(ownBundle());
      },
      async getFederatedBundle({ trustDomain: name }, context) {
        authorized(context);
        const bundle = fake.federated.get(name);
        if (!bundle) throw new RpcError(Code.NOT_FOUND, 'no such bundle');
        return bundleMessage(bundle);
      },
    }),
    implement(EntryService, {
      async syncAuthorizedEntries(requests, context, send) {
        count('sync');
        authorized(context);
        const pageSize = deps.pageSize ?? 500;
        let first = true;
        for await (const { ids } of requests) {
          const all = [...fake.entries.values()];
          if (first) {
            first = false;
            if (all.length <= pageSize) {
              await send({ entries: all.map(entryMessage) });
              continue;
            }
            for (let at = 0; at < all.length; at += pageSize) {
              const entryRevisions = all.slice(at, at + pageSize).map((entry) => ({
                id: entry.id,
                revisionNumber: BigInt(entry.revision ?? 0),
                createdAt: BigInt(entry.createdAtS ?? 1),
              }));
              await send({ entryRevisions, more: at + pageSize < all.length });
            }
          } else {
            count('entriesFetched');
            const wanted = ids.flatMap((id) => fake.entries.get(id) ?? []);
            await send({ entries: wanted.map(entryMessage) });
          }
        }
      },
    }),
    implement(SVID, {
      async batchNewX509SVID({ params }, context) {
        count('mint');
        authorized(context);
        fake.minted.push(params.map(({ entryId }) => entryId));
        return {
          results: params.map(({ entryId, csr }) => {
            const entry = fake.entries.get(entryId);
            if (!entry) return { status: { code: Code.NOT_FOUND, message: 'entry not found' } };
            const { uri } = spiffeIdOf(trustDomain, entry.path);
            const { spkiDer } = parseCertificateRequest(Buffer.from(csr));
            const ttlS = entry.ttlS ?? fake.svidTtlS;
            const { chainDer, expiresAtS } = fake.authority.issue({ uri, spkiDer, ttlS });
            return {
              status: { code: Code.OK, message: '' },
              svid: { certChain: chainDer, id: idMessage(uri), expiresAt: BigInt(expiresAtS) },
            };
          }),
        };
      },
      async newJWTSVID({ entryId, audience }, context) {
        count('jwt');
        authorized(context);
        const entry = fake.entries.get(entryId);
        if (!entry) throw new RpcError(Code.NOT_FOUND, 'entry not found');
        const { uri } = spiffeIdOf(trustDomain, entry.path);
        const { token, issuedAtS, expiresAtS } = fake.authority.jwt({ uri, audience, ttlS: 300 });
        return { svid: { token, id: idMessage(uri), issuedAt: BigInt(issuedAtS), expiresAt: BigInt(expiresAtS) } };
      },
    }),
    implement(Control, {
      async watchNode(_request, context, send) {
        if (!fake.push) throw new RpcError(Code.UNIMPLEMENTED, 'unknown service');
        count('watch');
        authorized(context);
        for (;;) {
          const next = new Promise<void>((resolve, reject) => {
            watchers.add(resolve);
            context.signal.addEventListener('abort', () => reject(context.signal.reason), { once: true });
          });
          await send({
            entriesRevision: revision,
            bundleSequence: revision,
            targets: fake.targets.map((target) => ({ ...target, gateways: [...target.gateways] })),
          });
          await next;
        }
      },
    }),
  ];

  const fake: FakeServer = {
    entries: new Map(),
    federated: new Map(),
    calls,
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
      rpc = createRpcServer({
        clock,
        log: createSilentLog(),
        services: services(),
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
      await rpc.start(new AbortController().signal);
      const at = rpc.address();
      if ('port' in at) port = at.port;
    },
    async stop() {
      await rpc?.stop();
    },
    changed() {
      revision++;
      const waiting = [...watchers];
      watchers.clear();
      for (const wake of waiting) wake();
    },
  };
  return fake;
}

function refusal(reason: Reason): RpcError {
  const value = toBinary(PermissionDeniedDetailsSchema, create(PermissionDeniedDetailsSchema, { reason }));
  const details = [{ typeName: PermissionDeniedDetailsSchema.typeName, value }];
  return new RpcError(Code.PERMISSION_DENIED, 'refused', { details });
}
