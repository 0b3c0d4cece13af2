import type { MessageInitShape } from '@bufbuild/protobuf';
import { Control } from '@countersign/sdk/contract';
import type {
  IdentityAttributes as IdentityAttributesMessage,
  IdentityAttributesSchema,
} from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import { type IdentityAttributes, NO_ATTRIBUTES, parseIdentityAttributes } from '../../model/index.ts';
import { type CallOptions, Code, type RpcClient, RpcError } from '../../rpc/index.ts';

/** What those entries say of their identities beyond the SPIRE API, by entry id; none of those that say nothing. @throws RpcError */
export async function entryAttributes(
  client: RpcClient,
  entryIds: readonly string[],
  options: CallOptions,
): Promise<ReadonlyMap<string, IdentityAttributes>> {
  const found = new Map<string, IdentityAttributes>();
  try {
    for (let start = 0; start < entryIds.length; start += ENTRIES_A_CALL) {
      const request = { entryIds: entryIds.slice(start, start + ENTRIES_A_CALL) };
      const { attributes } = await client.unary(Control.method.listEntryAttributes, request, options);
      for (const one of attributes) found.set(one.entryId, attributesIn(one.attributes));
    }
  } catch (error) {
    // A server of before there were any.
    if (!(error instanceof RpcError && error.code === Code.UNIMPLEMENTED)) throw error;
  }
  return found;
}

export function attributesMessage(attributes: IdentityAttributes): MessageInitShape<typeof IdentityAttributesSchema> {
  const { owner, environment, labels } = attributes;
  return { owner, environment, labels: Object.entries(labels).map(([name, value]) => ({ name, value })) };
}

/** @throws InvalidAttributes */
export function attributesIn(message: IdentityAttributesMessage | undefined): IdentityAttributes {
  if (message === undefined) return NO_ATTRIBUTES;
  const { owner, environment, labels } = message;
  const entries = labels.map(({ name, value }) => [name, value] as const);
  return parseIdentityAttributes({ owner, environment, labels: Object.fromEntries(entries) });
}

/** What the server takes at once. */
const ENTRIES_A_CALL = 500;
