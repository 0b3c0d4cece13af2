import { Entry } from '@countersign/sdk/contract';
import { IdentityError } from '@countersign/sdk/identity';
import type { Declared } from '../../config/index.ts';
import type { IdentityAttributes } from '../../model/index.ts';
import type { RpcClient } from '../../rpc/index.ts';
import { Code, RpcError } from '../../rpc/index.ts';
import { UsageError } from '../command.ts';
import { attributesMessage, entryAttributes } from './entry-attributes.ts';
import { attributesOf, type EntryText, entryMessage, entryValue } from './entry-text.ts';

/** What `apply` would do to one entry. */
export interface EntryChange {
  readonly kind: 'Entry';
  readonly name: string;
  readonly action: 'create' | 'update' | 'unchanged';
  readonly differences: readonly string[];
  readonly entry: EntryText;
}

/**
 * Compares declared entries with the server's, by id (an entry's declared name is its id). Entries without a parent hang under the
 * alias of all attested nodes, which is planned with them (decision 0006).
 * @throws UsageError with a line for each entry that is none; RpcError
 */
export async function planEntries(
  client: RpcClient,
  declared: readonly Declared[],
  options: { trustDomain: string; signal: AbortSignal; timeoutMs: number },
): Promise<EntryChange[]> {
  const alias = `spiffe://${options.trustDomain}/countersign/nodes`;
  const texts: EntryText[] = declared.map(({ name, spec }) => ({
    parentId: alias,
    ...(spec as unknown as Omit<EntryText, 'id' | 'parentId'>),
    id: name,
  })); // Passed the schema of declared entries.
  for (const [index, { id, parentId, admin }] of texts.entries()) {
    if (admin !== true || parentId !== alias) continue;
    throw new UsageError(
      `${declared[index]?.where ?? 'declared'}: entry ${id} is admin and holds on every attested node, so any one stolen node would be an operator; name the one agent it holds on as parentId`,
    );
  }
  const problems = texts.flatMap((text, index) => problemOf(text, declared[index]?.where ?? text.id));
  if (problems.length > 0) throw new UsageError(problems.join('\n'));
  if (texts.some(({ parentId }) => parentId === alias)) {
    texts.unshift({
      id: 'countersign-nodes',
      spiffeId: alias,
      parentId: `spiffe://${options.trustDomain}/spire/server`,
      selectors: ['countersign:node:attested'],
    });
  }
  const changes: EntryChange[] = [];
  const said = await entryAttributes(
    client,
    texts.map(({ id }) => id),
    options,
  );
  for (const entry of texts) changes.push(await planEntry(client, { entry, before: said.get(entry.id) }, options));
  return changes;
}

/** The messages of the entries that are to be made or changed. */
export function changedEntries(changes: readonly EntryChange[]): ReturnType<typeof entryMessage>[] {
  return changes.filter(({ action }) => action !== 'unchanged').map(({ entry }) => entryMessage(entry));
}

/** What they say beyond the SPIRE API, be it nothing: what is no longer declared is no longer so. */
export function changedAttributes(changes: readonly EntryChange[]) {
  return changes
    .filter(({ action }) => action !== 'unchanged')
    .map(({ entry }) => ({ entryId: entry.id, attributes: attributesMessage(attributesOf(entry)) }));
}

/** What makes an entry one that no message can say, with its place; none when nothing does. */
function problemOf(text: EntryText, where: string): readonly string[] {
  try {
    entryMessage(text);
    attributesOf(text);
    return [];
  } catch (error) {
    if (!(error instanceof IdentityError || error instanceof UsageError)) throw error;
    return [`${where}: entry ${text.id}: ${error.message}`];
  }
}

async function planEntry(
  client: RpcClient,
  { entry, before }: { readonly entry: EntryText; readonly before: IdentityAttributes | undefined },
  options: { signal: AbortSignal; timeoutMs: number },
): Promise<EntryChange> {
  const base = { kind: 'Entry', name: entry.id, entry } as const;
  try {
    const present = entryValue(await client.unary(Entry.method.getEntry, { id: entry.id }, options), before);
    const wanted = { ...entryMessage(entry), ...attributesOf(entry) };
    const pairs: readonly (readonly [string, unknown, unknown])[] = [
      ['spiffeId', present.spiffeId, entry.spiffeId],
      ['parentId', present.parentId, entry.parentId],
      ['selectors', present.selectors.toSorted(), [...entry.selectors].sort()],
      ['x509Ttl', present.x509SvidTtlS, wanted.x509SvidTtl],
      ['jwtTtl', present.jwtSvidTtlS, wanted.jwtSvidTtl],
      ['dnsNames', present.dnsNames, wanted.dnsNames],
      ['federatesWith', present.federatesWith.toSorted(), [...(entry.federatesWith ?? [])].sort()],
      ['admin', present.admin, wanted.admin],
      ['hint', present.hint, wanted.hint],
      ['owner', present.owner, wanted.owner],
      ['environment', present.environment, wanted.environment],
      ['labels', present.labels, wanted.labels],
    ];
    const differences = pairs.flatMap(([key, before, after]) =>
      JSON.stringify(before) === JSON.stringify(after)
        ? []
        : [`${key}: ${JSON.stringify(before)} → ${JSON.stringify(after)}`],
    );
    return { ...base, action: differences.length > 0 ? 'update' : 'unchanged', differences };
  } catch (error) {
    if (error instanceof RpcError && error.code === Code.NOT_FOUND)
      return { ...base, action: 'create', differences: [] };
    throw error;
  }
}
