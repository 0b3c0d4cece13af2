import { type TObject, type TProperties, Type } from 'typebox';
import { sha256 } from '../std/index.ts';
import { EndpointError } from './errors.ts';

/** The fields of the input of a paged endpoint. */
export const pageInput = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1000, description: 'Items of one page at most; 100 unless said.' }),
  ),
  cursor: Type.Optional(
    Type.String({ maxLength: 1024, description: 'Where to go on: `next` of the page before, as it came.' }),
  ),
};

/** A page of `item`, and what else is said of it: its output. */
export function pageOf<Item extends TObject, More extends TProperties>(item: Item, more: More) {
  return Type.Object(
    {
      ...more,
      items: Type.Array(item, { maxItems: PAGE_ITEMS_MAX }),
      next: Type.Optional(
        Type.String({ maxLength: 1024, description: 'The cursor of the next page; absent on the last.' }),
      ),
    },
    { additionalProperties: false },
  );
}

/** How a page is asked for: `after` is the key of the last item before it, undefined for the first page. */
export interface PageRequest {
  readonly limit: number;
  readonly after: string | undefined;
}

/**
 * Reads what a caller says of a page. `question` is the endpoint's name with all that narrows the list: a cursor goes on with the question that it
 * was handed out for, and with no other. @throws EndpointError ERR_ENDPOINT_CURSOR
 */
export function readPage(
  { limit = PAGE_ITEMS, cursor }: { limit?: number | undefined; cursor?: string | undefined },
  question: readonly string[],
): PageRequest {
  if (cursor === undefined) return { limit, after: undefined };
  const bytes = Buffer.from(cursor, 'base64url');
  const key = bytes.subarray(CHECK_BYTES);
  // Base64 has spellings of one text; only the one that was handed out is a cursor.
  if (bytes.length <= CHECK_BYTES || bytes.toString('base64url') !== cursor) throw noCursor();
  if (!checkOf(key, question).equals(bytes.subarray(0, CHECK_BYTES))) throw noCursor();
  return { limit, after: key.toString('utf8') };
}

/** The cursor of what follows the item with that key. It proves nothing but that it was copied whole: a key is nothing that its holder may not ask for. */
export function cursorAfter(key: string, question: readonly string[]): string {
  const bytes = Buffer.from(key, 'utf8');
  return Buffer.concat([checkOf(bytes, question), bytes]).toString('base64url');
}

/** The page of a list that is whole in memory, ordered by key. */
export function pageOfAll<Item>(
  all: readonly Item[],
  { limit, after }: PageRequest,
  { keyOf, question }: { keyOf: (item: Item) => string; question: readonly string[] },
): { items: Item[]; next?: string } {
  const from = after === undefined ? 0 : all.findIndex((item) => keyOf(item) > after);
  if (from < 0) return { items: [] };
  const items = all.slice(from, from + limit);
  const last = items.at(-1);
  const isLast = last === undefined || from + items.length >= all.length;
  return isLast ? { items } : { items, next: cursorAfter(keyOf(last), question) };
}

function checkOf(key: Buffer, question: readonly string[]): Buffer {
  return sha256(Buffer.concat([Buffer.from(JSON.stringify(question)), key])).subarray(0, CHECK_BYTES);
}

function noCursor(): EndpointError {
  return new EndpointError('ERR_ENDPOINT_CURSOR', 'the cursor is none that was handed out for this question');
}

const PAGE_ITEMS = 100;
const PAGE_ITEMS_MAX = 1000;
const CHECK_BYTES = 12;
