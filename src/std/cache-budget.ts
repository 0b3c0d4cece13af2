/**
 * Bytes that several caches share: whatever was used longest ago goes first, from whichever of them. What others can make many of (names,
 * texts, versions) may be a key: it costs what it takes, not one of so many places.
 */
export interface CacheBudget {
  readonly bytesMax: number;
  /** Used now, by all. */
  readonly bytes: number;
  /** Bytes by name of cache. */
  usage(): ReadonlyMap<string, number>;
  /** A part of it under a name, which several may share. */
  open<Value>(name: string): BudgetedCache<Value>;
  /** Lets go of everything that is kept. */
  clear(): void;
}

export interface BudgetedCache<Value> {
  take(key: string): Value | undefined;
  /** Keeps `value`, which takes about so many bytes beside its key, in place of what was there. */
  keep(key: string, value: Value, bytes: number): void;
  clear(): void;
}

/** Creates a budget; with none, nothing is kept. */
export function createCacheBudget(bytesMax: number): CacheBudget {
  return new Budget(bytesMax);
}

/** One thing that is kept, and its place in the order of use. */
interface Entry {
  readonly key: string;
  readonly value: unknown;
  readonly bytes: number;
  readonly cache: Cache<unknown>;
  before: Entry | undefined;
  after: Entry | undefined;
}

class Budget implements CacheBudget {
  readonly bytesMax: number;
  bytes = 0;
  readonly #usage = new Map<string, number>();
  readonly #caches = new Set<Cache<unknown>>();
  #newest: Entry | undefined;
  #oldest: Entry | undefined;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  usage(): ReadonlyMap<string, number> {
    return this.#usage;
  }

  open<Value>(name: string): BudgetedCache<Value> {
    if (!this.#usage.has(name)) this.#usage.set(name, 0);
    return new Cache<Value>(this, name);
  }

  clear(): void {
    for (const cache of this.#caches) cache.clear();
  }

  add(entry: Entry): void {
    this.#caches.add(entry.cache);
    this.#count(entry, entry.bytes);
    this.#link(entry);
    while (this.bytes > this.bytesMax && this.#oldest !== undefined) this.#oldest.cache.drop(this.#oldest.key);
  }

  remove(entry: Entry): void {
    this.#count(entry, -entry.bytes);
    this.#unlink(entry);
    // One that nobody uses any more is not held for being counted.
    if (entry.cache.size === 0) this.#caches.delete(entry.cache);
  }

  used(entry: Entry): void {
    if (entry === this.#newest) return;
    this.#unlink(entry);
    this.#link(entry);
  }

  #count({ cache }: Entry, bytes: number): void {
    this.bytes += bytes;
    this.#usage.set(cache.name, (this.#usage.get(cache.name) ?? 0) + bytes);
  }

  #link(entry: Entry): void {
    entry.before = this.#newest;
    entry.after = undefined;
    if (this.#newest !== undefined) this.#newest.after = entry;
    this.#newest = entry;
    this.#oldest ??= entry;
  }

  #unlink(entry: Entry): void {
    const { before, after } = entry;
    if (before === undefined) this.#oldest = after;
    else before.after = after;
    if (after === undefined) this.#newest = before;
    else after.before = before;
  }
}

class Cache<Value> implements BudgetedCache<Value> {
  readonly name: string;
  readonly #budget: Budget;
  readonly #entries = new Map<string, Entry & { readonly value: Value }>();

  constructor(budget: Budget, name: string) {
    this.#budget = budget;
    this.name = name;
  }

  get size(): number {
    return this.#entries.size;
  }

  take(key: string): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#budget.used(entry);
    return entry.value;
  }

  keep(key: string, value: Value, bytes: number): void {
    this.drop(key);
    const cost = bytes + key.length * BYTES_A_CHARACTER + ENTRY_BYTES;
    // One thing must not push out all others.
    if (cost > this.#budget.bytesMax / LARGEST_SHARE) return;
    const entry = { key, value, bytes: cost, cache: this, before: undefined, after: undefined };
    this.#entries.set(key, entry);
    this.#budget.add(entry);
  }

  drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#budget.remove(entry);
  }

  clear(): void {
    for (const entry of Array.from(this.#entries.values())) this.drop(entry.key);
  }
}

/** A text that is not Latin takes two. */
const BYTES_A_CHARACTER = 2;
/** The entry itself and its place in the map. */
const ENTRY_BYTES = 150;
/** Half of all at most for one. */
const LARGEST_SHARE = 2;
