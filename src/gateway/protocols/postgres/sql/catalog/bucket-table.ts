import { malformed } from './items.ts';
import type { CatalogQuery } from './queries.ts';

export type AnswerRow = readonly (string | null)[];
export type ItemKey = number | string;

/** What an answer says of one bucket, read and not yet taken over. */
interface BucketChange<Value> {
  readonly index: number;
  readonly digest: string | undefined;
  readonly characters: number;
  readonly items: ReadonlyMap<ItemKey, Value>;
}

/** Makes of an item its key and its value. @throws SqlError ERR_SQL_CATALOG */
export type ItemReader<Value> = (item: readonly unknown[]) => readonly [ItemKey, Value];

/** Where items go to. */
export interface ItemSink<Value> {
  set(key: ItemKey, value: Value): void;
  remove(key: ItemKey): void;
}

/** Which items of one query are held, by bucket, with the digest of each bucket's text: what the next question is made of. */
export class BucketTable<Value> {
  readonly #query: CatalogQuery;
  readonly #createReader: () => ItemReader<Value>;
  readonly #sink: ItemSink<Value>;
  readonly #buckets: Bucket[];

  /** `createReader` makes the reader of one answer. */
  constructor(query: CatalogQuery, createReader: () => ItemReader<Value>, sink: ItemSink<Value>) {
    this.#query = query;
    this.#createReader = createReader;
    this.#sink = sink;
    this.#buckets = Array.from({ length: query.buckets }, () => emptyBucket);
  }

  get digests(): readonly (string | undefined)[] {
    return this.#buckets.map(({ digest }) => digest);
  }

  /** Of the texts of what is held, in another form. */
  get characters(): number {
    return this.#buckets.reduce((sum, { characters }) => sum + characters, 0);
  }

  /** Reads an answer whole before any of it is taken over. @throws SqlError ERR_SQL_CATALOG */
  read(rows: readonly AnswerRow[]): readonly BucketChange<Value>[] {
    const read = this.#createReader();
    return rows.map((row) => {
      const [indexText, digest = null, text = null] = row;
      const index = Number(indexText);
      if (row.length !== 3 || !Number.isInteger(index) || this.#buckets[index] === undefined)
        throw malformed(this.#query.name, 'a row that is no bucket of it');
      if ((digest === null) !== (text === null)) throw malformed(this.#query.name, 'items without digest');
      if (digest !== null && !BASE64.test(digest)) throw malformed(this.#query.name, 'a digest that is none');
      const items = new Map<ItemKey, Value>(itemsOf(text ?? '', this.#query.name).map(read));
      return { index, digest: digest ?? undefined, characters: text?.length ?? 0, items };
    });
  }

  /** What a query whose answer is missing leaves: nothing. */
  nothing(): readonly BucketChange<Value>[] {
    return this.#buckets.flatMap(({ digest }, index) => (digest === undefined ? [] : [{ index, ...noItems }]));
  }

  /** Takes over what was read: first what is gone, since a key may come back in another bucket. */
  take(buckets: readonly BucketChange<Value>[]): void {
    for (const { index, items } of buckets)
      for (const key of this.#buckets[index]?.keys ?? []) if (!items.has(key)) this.#sink.remove(key);
    for (const { index, digest, characters, items } of buckets) {
      for (const [key, value] of items) this.#sink.set(key, value);
      this.#buckets[index] = { digest, characters, keys: Array.from(items.keys()) };
    }
  }
}

function itemsOf(text: string, query: CatalogQuery['name']): readonly (readonly unknown[])[] {
  try {
    const items: unknown = JSON.parse(`[${text}]`);
    if (Array.isArray(items) && items.every(Array.isArray)) return items;
  } catch {
    // Said below.
  }
  throw malformed(query, 'items that are no lists');
}

interface Bucket {
  readonly digest: string | undefined;
  readonly characters: number;
  readonly keys: readonly ItemKey[];
}

const emptyBucket: Bucket = { digest: undefined, characters: 0, keys: [] };
const noItems = { digest: undefined, characters: 0, items: new Map<never, never>() };
/** Of SHA-256. It goes back to the server as part of a text. */
const BASE64 = /^[A-Za-z0-9+/=]{44}$/;
