import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  ListResourcesRequest,
  ListResourcesResponseSchema,
} from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import type { Resource, ResourceKind, Resources, Snapshot } from '../resources/index.ts';

/** The parsed form of policies, and what parsed them; undefined when they are too many for that. */
export type ParsePolicies = (policies: readonly Resource[]) =>
  | {
      readonly by: string;
      readonly forms: readonly { readonly textDigest: Uint8Array; readonly json: string }[];
    }
  | undefined;

/** What operators are told of declared resources. Parsed forms are made once a revision, when somebody asks for them. */
export function createListing(deps: {
  readonly resources: Pick<Resources, 'list'>;
  readonly parsePolicies: ParsePolicies;
}) {
  let known: { readonly revision: number; readonly parsed: Parsed } | undefined;

  function parsedOf({ revision, policies }: Snapshot): Parsed {
    if (known?.revision !== revision) {
      const found = deps.parsePolicies(policies);
      known = { revision, parsed: found && { by: found.by, policies: [...found.forms] } };
    }
    return known.parsed;
  }

  return async (
    { parsed }: Pick<ListResourcesRequest, 'parsed'>,
    wanted: ResourceKind | undefined,
  ): Promise<MessageInitShape<typeof ListResourcesResponseSchema>> => {
    const snapshot = await deps.resources.list();
    const forms = parsed && (wanted ?? 'Policy') === 'Policy' ? parsedOf(snapshot) : undefined;
    return {
      resources: listedOf(snapshot, wanted),
      revision: BigInt(snapshot.revision),
      ...(forms === undefined ? {} : { parsed: forms }),
    };
  };
}

type Parsed = MessageInitShape<typeof ListResourcesResponseSchema>['parsed'];

function listedOf({ resources }: Snapshot, wanted: ResourceKind | undefined) {
  const listed = resources.filter(({ kind }) => wanted === undefined || kind === wanted);
  return listed
    .toSorted((a, b) => (a.kind < b.kind ? -1 : a.kind > b.kind ? 1 : 0))
    .map(({ kind, name, spec }) => ({ kind, name, specJson: JSON.stringify(spec) }));
}
