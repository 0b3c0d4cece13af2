import { Bundle as BundleService } from '@countersign/sdk/contract';
import { BatchDeleteFederatedBundleRequest_Mode } from '@countersign/sdk/contract/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import type { BundleMask, Bundle as BundleMessage } from '@countersign/sdk/contract/gen/spire/api/types/bundle_pb.ts';
import { parseTrustDomain, type TrustDomain } from '@countersign/sdk/identity';
import type { Authority } from '../authority/index.ts';
import type { Bundle } from '../model/index.ts';
import type { Registration } from '../registration/index.ts';
import { type CallContext, Code, implement, prebuilt, RpcError, type RpcService } from '../rpc/index.ts';
import type { Log } from '../std/index.ts';
import { type Audit, codesOf } from './audit.ts';
import { trustDomainText } from './ids.ts';
import { mergeBundle, parseBundle, toBundleMessage } from './messages/bundle-message.ts';
import { invalid, itemStatusOf, notFound, OK_STATUS } from './status.ts';

/** The SPIRE server's Bundle API. */
export function bundleService(deps: {
  log: Log;
  trustDomain: TrustDomain;
  authority: Authority;
  registration: Registration;
  audit: Audit;
}): RpcService {
  const { authority, audit, trustDomain } = deps;
  const federated = (name: string): { trustDomain: TrustDomain; bundle: Bundle | undefined } => {
    const parsed = parseTrustDomain(trustDomainText(name));
    if (parsed === trustDomain) throw invalid("the server's own bundle is no federated bundle");
    return { trustDomain: parsed, bundle: authority.federatedBundle(parsed) };
  };
  /** Applies `write` to each bundle of a batch; one that fails does not hinder the others. */
  const writeEach = (
    context: CallContext,
    batch: { bundle: readonly BundleMessage[]; outputMask?: BundleMask | undefined },
    write: (known: Bundle | undefined, sent: Bundle) => Bundle,
  ) =>
    audit.act(
      context,
      { target: 'bundles', detail: { trustDomains: batch.bundle.map((one) => one.trustDomain) }, outcome: codesOf },
      async () => {
        const results = [];
        for (const message of batch.bundle) {
          try {
            const known = federated(message.trustDomain).bundle;
            const next = write(known, parseBundle(message));
            await authority.setFederatedBundle(next, context.signal);
            results.push({ status: OK_STATUS, bundle: toBundleMessage(next, batch.outputMask) });
          } catch (error) {
            results.push({ status: itemStatusOf(error, deps.log, context.method) });
          }
        }
        return { results };
      },
    );
  const ownBundle = frameOwnBundle(authority);
  return implement(BundleService, {
    async countBundles() {
      return { count: 1 + authority.federatedBundles().length };
    },
    async getBundle({ outputMask }) {
      return outputMask === undefined ? ownBundle() : toBundleMessage(authority.bundle(), outputMask);
    },
    async listFederatedBundles({ outputMask, pageSize, pageToken }) {
      if (pageSize < 0) throw invalid('the page size is negative');
      const rest = authority
        .federatedBundles()
        .filter((bundle) => bundle.trustDomain > pageToken)
        .toSorted((a, b) => (a.trustDomain < b.trustDomain ? -1 : 1));
      const page = rest.slice(0, pageSize === 0 ? PAGE_BUNDLES_MAX : Math.min(pageSize, PAGE_BUNDLES_MAX));
      return {
        bundles: page.map((bundle) => toBundleMessage(bundle, outputMask)),
        nextPageToken: page.length < rest.length ? (page.at(-1)?.trustDomain ?? '') : '',
      };
    },
    async getFederatedBundle(request) {
      const { bundle } = federated(request.trustDomain);
      if (bundle === undefined) throw notFound('there is no bundle of that trust domain');
      return toBundleMessage(bundle, request.outputMask);
    },
    async batchCreateFederatedBundle(request, context) {
      return writeEach(context, request, (known, sent) => {
        if (known !== undefined) throw new RpcError(Code.ALREADY_EXISTS, 'there is a bundle of that trust domain');
        return sent;
      });
    },
    async batchUpdateFederatedBundle(request, context) {
      return writeEach(context, request, (known, sent) => {
        if (known === undefined) throw notFound('there is no bundle of that trust domain');
        return mergeBundle(known, sent, request.inputMask);
      });
    },
    async batchSetFederatedBundle(request, context) {
      return writeEach(context, request, (_known, sent) => sent);
    },
    async batchDeleteFederatedBundle({ trustDomains, mode }, context) {
      return audit.act(context, { target: 'bundles', detail: { trustDomains, mode }, outcome: codesOf }, async () => {
        const results = [];
        for (const name of trustDomains) {
          try {
            const known = federated(name);
            if (known.bundle === undefined) throw notFound('there is no bundle of that trust domain');
            await releaseEntries(deps.registration, known.trustDomain, mode, context.signal);
            await authority.removeFederatedBundle(known.trustDomain, context.signal);
            results.push({ trustDomain: name, status: OK_STATUS });
          } catch (error) {
            results.push({ trustDomain: name, status: itemStatusOf(error, deps.log, context.method) });
          }
        }
        return { results };
      });
    },
  });
}

/** Every agent asks for the own bundle every few seconds: it is framed once per change. */
function frameOwnBundle(authority: Pick<Authority, 'bundle'>) {
  const frame = (bundle: Bundle) => prebuilt(BundleService.method.getBundle.output, toBundleMessage(bundle, undefined));
  let known: { sequence: number; answer: ReturnType<typeof frame> } | undefined;
  return () => {
    const bundle = authority.bundle();
    if (known?.sequence !== bundle.sequence) known = { sequence: bundle.sequence, answer: frame(bundle) };
    return known.answer;
  };
}

/** Makes no entry federate with the trust domain any more, in the way that `mode` says. @throws RpcError FAILED_PRECONDITION */
async function releaseEntries(
  registration: Registration,
  trustDomain: TrustDomain,
  mode: BatchDeleteFederatedBundleRequest_Mode,
  signal: AbortSignal,
): Promise<void> {
  const filter = { federatesWith: { values: [trustDomain], match: 'superset' } } as const;
  for (;;) {
    // Always the first page: what was released no longer matches.
    const { entries } = await registration.list({ filter });
    if (entries.length === 0) return;
    switch (mode) {
      case BatchDeleteFederatedBundleRequest_Mode.DELETE:
        await registration.batchDelete(
          entries.map(({ id }) => id),
          { signal },
        );
        break;
      case BatchDeleteFederatedBundleRequest_Mode.DISSOCIATE:
        await registration.batchUpdate(
          entries.map(({ id, federatesWith }) => ({
            id,
            entry: { federatesWith: federatesWith.filter((name) => name !== trustDomain) },
            mask: new Set(['federatesWith'] as const),
          })),
          { signal },
        );
        break;
      default:
        throw new RpcError(
          Code.FAILED_PRECONDITION,
          `${entries.length} or more entries federate with the trust domain`,
        );
    }
  }
}

const PAGE_BUNDLES_MAX = 100;
