import type { DescMessage } from '@bufbuild/protobuf';
import {
  JWTBundlesResponseSchema,
  JWTSVIDResponseSchema,
  X509BundlesResponseSchema,
  X509SVIDResponseSchema,
} from '@countersign/sdk/contract/gen/spiffe/workload/workload_pb.ts';
import { formatSpiffeId } from '@countersign/sdk/identity';
import type { Bundle } from '../../model/index.ts';
import { type Prebuilt, prebuilt } from '../../rpc/index.ts';
import { concatBytes } from '../../std/index.ts';
import { encodeJwks } from '../../wire/jose/index.ts';
import type { WorkloadView } from '../cache/subscriptions.ts';
import type { AgentEntry, JwtSvid } from '../cache/types.ts';

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

/** The response of FetchJWTSVID. @see SPIFFE Workload API §6.2.1 */
export function jwtSvidResponse(issued: readonly IssuedJwt[]): Prebuilt<typeof JWTSVIDResponseSchema> {
  const [only, ...others] = issued;
  // The common case, asked for over and over while the token is cached: encoded once.
  if (!only || others.length > 0) return encodeJwtSvids(issued);
  const known = jwtResponses.get(only.svid);
  if (known?.entry === only.entry) return known.answer;
  const answer = encodeJwtSvids(issued);
  jwtResponses.set(only.svid, { entry: only.entry, answer });
  return answer;
}

/** A token and the entry that it was issued for. */
export interface IssuedJwt {
  readonly entry: AgentEntry;
  readonly svid: JwtSvid;
}

function encodeJwtSvids(issued: readonly IssuedJwt[]): Prebuilt<typeof JWTSVIDResponseSchema> {
  const svids = issued.map(({ entry, svid }) => ({ spiffeId: entry.spiffeId.uri, svid: svid.token, hint: entry.hint }));
  return prebuilt(JWTSVIDResponseSchema, { svids });
}

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

const jwtResponses = new WeakMap<
  JwtSvid,
  { readonly entry: AgentEntry; readonly answer: Prebuilt<typeof JWTSVIDResponseSchema> }
>();
