import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  CreateEntryRequest,
  CreateEntryResponseSchema,
  ListEntryAttributesResponseSchema,
} from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import type { Registration } from '../registration/index.ts';
import { type CallContext, Code, RpcError } from '../rpc/index.ts';
import { assert } from '../std/index.ts';
import type { Audit } from './audit.ts';
import { parseAttributes, toAttributesMessage } from './messages/attributes-message.ts';
import { parseEntry, toEntryMessage } from './messages/entry-message.ts';
import { invalid } from './status.ts';

/** See the contract. @throws RpcError INVALID_ARGUMENT, ALREADY_EXISTS */
export async function createEntry(
  { registration, audit }: { readonly registration: Pick<Registration, 'batchCreate'>; readonly audit: Audit },
  { entry, attributes }: CreateEntryRequest,
  context: CallContext,
): Promise<MessageInitShape<typeof CreateEntryResponseSchema>> {
  if (entry === undefined) throw invalid('the entry is missing');
  const input = { ...parseEntry(entry), attributes: parseAttributes(attributes) };
  const what = { target: 'entries', detail: { count: 1, spiffeIds: [input.spiffeId] }, outcome: createdId };
  return audit.act(context, what, async () => {
    const [result] = await registration.batchCreate([input], { signal: context.signal });
    assert(result !== undefined, 'each entry of a batch has a result');
    if (result.status === 'already-exists') throw new RpcError(Code.ALREADY_EXISTS, result.message);
    if (result.status !== 'ok') throw invalid(result.message);
    const made = result.entry;
    return { entry: toEntryMessage(made, undefined), attributes: toAttributesMessage(made.attributes) };
  });
}

/** See the contract. @throws RpcError INVALID_ARGUMENT */
export async function listEntryAttributes(
  registration: Pick<Registration, 'attributesOf'>,
  entryIds: readonly string[],
): Promise<MessageInitShape<typeof ListEntryAttributesResponseSchema>> {
  if (entryIds.length > ENTRIES_ASKED_MAX) {
    throw invalid(`attributes of ${entryIds.length} entries were asked for, allowed are ${ENTRIES_ASKED_MAX}`);
  }
  const found = await registration.attributesOf(entryIds);
  return { attributes: Array.from(found, ([entryId, one]) => ({ entryId, attributes: toAttributesMessage(one) })) };
}

function createdId({ entry }: { readonly entry: { readonly id?: string } }) {
  return { ids: [entry.id ?? ''] };
}

/** Their answer fits a message. */
const ENTRIES_ASKED_MAX = 500;
