import { Entry } from '@countersign/sdk/contract';
import type { Declared } from '../../config/index.ts';
import type { CallOptions, RpcClient } from '../../rpc/index.ts';
import { entryAttributes } from './entry-attributes.ts';
import {
  type EntryNote,
  type NotedEntry,
  notesOnAttributes,
  notesOnOverlaps,
  notesOnSelectors,
} from './entry-notes.ts';
import { attributesOf, entryValue } from './entry-text.ts';
import type { EntryChange } from './plan-entries.ts';

/** What is odd about a declared entry, and where it is declared. */
export interface DeclaredNote extends EntryNote {
  readonly severity: 'warning';
  readonly where: string;
}

/** What is odd about declared entries, held against those that the server has. @throws RpcError */
export async function notesOnDeclared(
  client: RpcClient,
  {
    declared,
    entries,
  }: {
    readonly declared: readonly Pick<Declared, 'kind' | 'name' | 'where'>[];
    readonly entries: readonly EntryChange[];
  },
  options: CallOptions,
): Promise<readonly DeclaredNote[]> {
  if (entries.length === 0) return [];
  const places = new Map(declared.flatMap(({ kind, name, where }) => (kind === 'Entry' ? [[name, where]] : [])));
  const present = (await entriesAt(client, options)) ?? [];
  const ages = new Map(present.map(({ id, createdAtS }) => [id, createdAtS]));
  const about = entries.map(({ name, entry }): NotedEntry => {
    const { spiffeId, parentId, selectors, hint = '' } = entry;
    const createdAtS = ages.get(name) ?? Number.POSITIVE_INFINITY;
    return { id: name, spiffeId, parentId, selectors, hint, createdAtS, ...attributesOf(entry) };
  });
  const names = new Set(about.map(({ id }) => id));
  const all = [...present.filter(({ id }) => !names.has(id)), ...about];
  return [...notesOnSelectors(about), ...notesOnOverlaps(about, all), ...notesOnAttributes(about, all)].map((note) => {
    return { ...note, severity: 'warning', where: places.get(note.entry) ?? `Entry/${note.entry}` };
  });
}

/** One line for a person. */
export function formatNote({ where, found, remedy }: DeclaredNote): string {
  return `${where}: warning: ${found} (${remedy.replace(/\.$/, '')})`;
}

/** All entries of the server; undefined when there are more than it is worth asking for. @throws RpcError */
export async function entriesAt(client: RpcClient, options: CallOptions): Promise<readonly NotedEntry[] | undefined> {
  const entries: NotedEntry[] = [];
  let pageToken = '';
  for (let page = 0; page < PAGES_MAX; page++) {
    const answer = await client.unary(Entry.method.listEntries, { pageSize: ENTRIES_A_PAGE, pageToken }, options);
    const said = await entryAttributes(
      client,
      answer.entries.map(({ id }) => id),
      options,
    );
    entries.push(...answer.entries.map((entry) => entryValue(entry, said.get(entry.id))));
    pageToken = answer.nextPageToken;
    if (pageToken === '') return entries;
  }
  return undefined;
}

const ENTRIES_A_PAGE = 500;
/** Twenty thousand entries. */
const PAGES_MAX = 40;
