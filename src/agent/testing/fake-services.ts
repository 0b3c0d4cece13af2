import { create, toBinary } from '@bufbuild/protobuf';
import { Agent, Bundle as BundleService, Control, Entry as EntryService, SVID } from '@countersign/sdk/contract';
import {
  PermissionDeniedDetailsSchema,
  type PermissionDeniedDetails_Reason as Reason,
} from '@countersign/sdk/contract/gen/spire/api/types/status_pb.ts';
import { parseSpiffeId, spiffeIdOf, type TrustDomain } from '@countersign/sdk/identity';
import { type Bundle, parseSelector } from '../../model/index.ts';
import { type CallContext, Code, implement, RpcError, type RpcService } from '../../rpc/index.ts';
import { parseCertificate, parseCertificateRequest } from '../../wire/x509/index.ts';
import type { FakeEntry, FakeServer } from './fake-server.ts';

/** What the services share. */
export interface FakeState extends FakeServer {
  readonly trustDomain: TrustDomain;
  readonly pageSize: number;
  revision: bigint;
  readonly watchers: Set<() => void>;
}

/** The server API, over the state of a fake server. */
export function fakeServices(fake: FakeState): RpcService[] {
  return [agentService(fake), bundleService(fake), entryService(fake), svidService(fake), controlService(fake)];
}

function agentService(fake: FakeState) {
  return implement(Agent, {
    async attestAgent(requests, _context, send) {
      count(fake, 'attestAgent');
      if (fake.attestError) throw fake.attestError;
      let csr: Uint8Array | undefined;
      for await (const { step } of requests) {
        if (step.case === 'params') {
          csr = step.value.params?.csr;
          await send({ step: { case: 'challenge', value: Buffer.from('ping') } });
        } else if (step.case === 'challengeResponse' && csr) {
          if (Buffer.from(step.value).toString() !== 'pong') throw new RpcError(Code.INVALID_ARGUMENT, 'wrong answer');
          await send({
            step: { case: 'result', value: { svid: nodeSvid(fake, csr), reattestable: fake.reattestable } },
          });
          return;
        }
      }
    },
    async renewAgent({ params }, context) {
      count(fake, 'renewAgent');
      authorized(fake, context);
      return { svid: nodeSvid(fake, params?.csr ?? Buffer.alloc(0)) };
    },
    async postStatus(_request, context) {
      count(fake, 'postStatus');
      authorized(fake, context);
      return {};
    },
  });
}

function bundleService(fake: FakeState) {
  return implement(BundleService, {
    async getBundle() {
      count(fake, 'getBundle');
      return bundleMessage(ownBundle(fake));
    },
    async getFederatedBundle({ trustDomain: name }, context) {
      authorized(fake, context);
      const bundle = fake.federated.get(name);
      if (!bundle) throw new RpcError(Code.NOT_FOUND, 'no such bundle');
      return bundleMessage(bundle);
    },
  });
}

function entryService(fake: FakeState) {
  return implement(EntryService, {
    async syncAuthorizedEntries(requests, context, send) {
      count(fake, 'sync');
      authorized(fake, context);
      const pageSize = fake.pageSize;
      let first = true;
      for await (const { ids } of requests) {
        const all = [...fake.entries.values()];
        if (first) {
          first = false;
          if (all.length <= pageSize) {
            await send({ entries: all.map((entry) => entryMessage(fake, entry)) });
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
          count(fake, 'entriesFetched');
          const wanted = ids.flatMap((id) => fake.entries.get(id) ?? []);
          await send({ entries: wanted.map((entry) => entryMessage(fake, entry)) });
        }
      }
    },
  });
}

function svidService(fake: FakeState) {
  return implement(SVID, {
    async batchNewX509SVID({ params }, context) {
      count(fake, 'mint');
      authorized(fake, context);
      fake.minted.push(params.map(({ entryId }) => entryId));
      return {
        results: params.map(({ entryId, csr }) => {
          const entry = fake.entries.get(entryId);
          if (!entry) return { status: { code: Code.NOT_FOUND, message: 'entry not found' } };
          const { uri } = spiffeIdOf(fake.trustDomain, entry.path);
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
      count(fake, 'jwt');
      authorized(fake, context);
      const entry = fake.entries.get(entryId);
      if (!entry) throw new RpcError(Code.NOT_FOUND, 'entry not found');
      const { uri } = spiffeIdOf(fake.trustDomain, entry.path);
      const { token, issuedAtS, expiresAtS } = fake.authority.jwt({ uri, audience, ttlS: 300 });
      return { svid: { token, id: idMessage(uri), issuedAt: BigInt(issuedAtS), expiresAt: BigInt(expiresAtS) } };
    },
  });
}

function controlService(fake: FakeState) {
  return implement(Control, {
    async watchNode(_request, context, send) {
      if (!fake.push) throw new RpcError(Code.UNIMPLEMENTED, 'unknown service');
      count(fake, 'watch');
      authorized(fake, context);
      for (;;) {
        const next = new Promise<void>((resolve, reject) => {
          fake.watchers.add(resolve);
          context.signal.addEventListener('abort', () => reject(context.signal.reason), { once: true });
        });
        await send({
          entriesRevision: fake.revision,
          bundleSequence: fake.revision,
          targets: fake.targets.map((target) => ({
            ...{ ...target, gateways: [...target.gateways] },
            hosts: [...(target.hosts ?? [])],
          })),
        });
        await next;
      }
    },
  });
}

function count(fake: FakeState, name: string): void {
  fake.calls[name] = (fake.calls[name] ?? 0) + 1;
}

function idMessage(uri: string) {
  const id = parseSpiffeId(uri);
  return { trustDomain: id.trustDomain, path: id.path };
}

function authorized(fake: FakeState, context: CallContext): void {
  if (fake.refuse !== undefined) throw refusal(fake.refuse);
  const leaf = context.peer.kind === 'tls' ? context.peer.chainDer[0] : undefined;
  if (!leaf) throw new RpcError(Code.PERMISSION_DENIED, 'no certificate');
  if (!fake.serials.includes(parseCertificate(leaf).serial)) {
    throw new RpcError(Code.PERMISSION_DENIED, 'unknown serial');
  }
}

function nodeSvid(fake: FakeState, csr: Uint8Array) {
  const uri = `spiffe://${fake.trustDomain}/spire/agent/fake/node`;
  const { spkiDer } = parseCertificateRequest(Buffer.from(csr));
  const { chainDer, expiresAtS } = fake.authority.issue({ uri, spkiDer, ttlS: fake.nodeTtlS });
  for (const der of chainDer) fake.serials.push(parseCertificate(der).serial);
  return { certChain: chainDer, id: idMessage(uri), expiresAt: BigInt(expiresAtS) };
}

function entryMessage({ trustDomain }: FakeState, entry: FakeEntry) {
  return {
    id: entry.id,
    spiffeId: { trustDomain, path: entry.path },
    selectors: entry.selectors.map((text) => parseSelector(text) ?? { type: '', value: '' }),
    hint: entry.hint ?? '',
    createdAt: BigInt(entry.createdAtS ?? 1),
    revisionNumber: BigInt(entry.revision ?? 0),
    federatesWith: [...(entry.federatesWith ?? [])],
  };
}

function bundleMessage(bundle: Bundle) {
  return {
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
  };
}

function ownBundle(fake: FakeState): Bundle {
  const own = fake.authority.bundle(Number(fake.revision));
  const old = fake.tainted.map((authority) => authority.bundle(1, true));
  return {
    ...own,
    x509Authorities: [...own.x509Authorities, ...old.flatMap((each) => each.x509Authorities)],
    jwtAuthorities: [...own.jwtAuthorities, ...old.flatMap((each) => each.jwtAuthorities)],
  };
}

function refusal(reason: Reason): RpcError {
  const value = toBinary(PermissionDeniedDetailsSchema, create(PermissionDeniedDetailsSchema, { reason }));
  const details = [{ typeName: PermissionDeniedDetailsSchema.typeName, value }];
  return new RpcError(Code.PERMISSION_DENIED, 'refused', { details });
}
