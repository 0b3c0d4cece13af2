import type { DescMessage } from '@bufbuild/protobuf';
import {
  JWTBundlesResponseSchema,
  X509BundlesResponseSchema,
  X509SVIDResponseSchema,
} from '@countersign/sdk/contract/gen/spiffe/workload/workload_pb.ts';
import { formatSpiffeId } from '@countersign/sdk/identity';
import type { Bundle } from '../../model/index.ts';
import { type Prebuilt, prebuilt } from '../../rpc/index.ts';
import { concatBytes } from '../../std/index.ts';
import { encodeJwks } from '../../wire/jose/index.ts';
import type { WorkloadView } from '../cache/subscriptions.ts';

/** The response of FetchX509SVID for what a workload may see: encoded once, sent to all its streams. @see SPIFFE Workload API §5.2.1 */
export const x509SvidResponse = onceEach((view: WorkloadView) => {
  const [own, ...federated] = view.bundles;
  return prebuilt(X509SVIDResponseSchema, {
    svids: view.identities.map(({ entry, svid }) => ({
      spiffeId: svid.spiffeId.uri,
      x509Svid: concatBytes(svid.chainDer),
      x509SvidKey: svid.keyDer,
      bundle: own ? rootsDer(own) : Buffer.alloc(0),
      hint: entry.hint,
    })),
    federatedBundles: byTrustDomain(federated, rootsDer),
  });
});

/** The response of FetchX509Bundles. @see SPIFFE Workload API §5.2.2 */
export const x509BundlesResponse = onceEach((view: WorkloadView) =>
  prebuilt(X509BundlesResponseSchema, { bundles: byTrustDomain(view.bundles, rootsDer) }),
);

/** The response of FetchJWTBundles: key sets as JSON. @see SPIFFE Workload API §6.2.2 */
export const jwtBundlesResponse = onceEach((view: WorkloadView) =>
  prebuilt(JWTBundlesResponseSchema, {
    bundles: byTrustDomain(view.bundles, (bundle) => encodeJwks(bundle.jwtAuthorities)),
  }),
);

function rootsDer(bundle: Bundle): Buffer {
  return concatBytes(bundle.x509Authorities.map((authority) => authority.der));
}

function byTrustDomain(bundles: readonly Bundle[], encode: (bundle: Bundle) => Buffer): Record<string, Uint8Array> {
  return Object.fromEntries(bundles.map((bundle) => [formatSpiffeId(bundle.trustDomain), encode(bundle)]));
}

function onceEach<Output extends DescMessage>(
  build: (view: WorkloadView) => Prebuilt<Output>,
): (view: WorkloadView) => Prebuilt<Output> {
  const built = new WeakMap<WorkloadView, Prebuilt<Output>>();
  return (view) => {
    const ready = built.get(view) ?? build(view);
    built.set(view, ready);
    return ready;
  };
}
