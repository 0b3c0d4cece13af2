import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  EntryAttributes as EntryAttributesMessage,
  IdentityAttributes as IdentityAttributesMessage,
  IdentityAttributesSchema,
  PrincipalsSchema,
} from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import { hasAttributes, type IdentityAttributes, type WrittenAttributes } from '../../model/index.ts';
import type { PrincipalChanges } from '../../registration/index.ts';
import { invalid } from '../status.ts';

export function toAttributesMessage(attributes: IdentityAttributes): MessageInitShape<typeof IdentityAttributesSchema> {
  const { owner, environment, labels } = attributes;
  return { owner, environment, labels: Object.entries(labels).map(([name, value]) => ({ name, value })) };
}

/** What a caller says of attributes; registration checks it. @throws RpcError INVALID_ARGUMENT */
export function parseAttributes(message: IdentityAttributesMessage | undefined): WrittenAttributes {
  if (message === undefined) return {};
  const { owner, environment, labels } = message;
  const names = new Set(labels.map(({ name }) => name));
  if (names.size < labels.length) throw invalid('a label is given twice');
  // Made of entries, so that no name is taken for a prototype.
  return { owner, environment, labels: Object.fromEntries(labels.map(({ name, value }) => [name, value])) };
}

/** By entry id. @throws RpcError INVALID_ARGUMENT */
export function parseEntryAttributes(
  messages: readonly EntryAttributesMessage[],
  entryIds: ReadonlySet<string>,
): ReadonlyMap<string, WrittenAttributes> {
  const found = new Map<string, WrittenAttributes>();
  for (const { entryId, attributes } of messages) {
    if (!entryIds.has(entryId)) throw invalid('attributes are given of an entry that is not declared');
    if (found.has(entryId)) throw invalid(`attributes of entry ${entryId} are given twice`);
    found.set(entryId, parseAttributes(attributes));
  }
  return found;
}

/** In messages of which each fits what a gateway takes; at least one. */
export function* principalsMessages({
  revision,
  whole,
  changes,
}: PrincipalChanges): Generator<MessageInitShape<typeof PrincipalsSchema>> {
  const all = Array.from(changes, ([spiffeId, attributes]) => ({
    spiffeId,
    ...(hasAttributes(attributes) ? { attributes: toAttributesMessage(attributes) } : {}),
  }));
  let start = 0;
  do {
    const principals = all.slice(start, start + PRINCIPALS_A_MESSAGE);
    start += PRINCIPALS_A_MESSAGE;
    yield { revision: BigInt(revision), whole, principals, more: start < all.length };
  } while (start < all.length);
}

/** Of six kilobytes each at most: well below the 4 MiB that clients of gRPC take. */
const PRINCIPALS_A_MESSAGE = 256;
