/**
 * What the target's prepared statements or portals are, by name, while requests are in flight. A request that makes or drops one may
 * still fail, and then everything behind it up to the next Sync does not happen: so a name means what the *same* segment made of it, or
 * what was confirmed; and as long as another segment's change of that name is in flight nobody can tell, and the asker has to wait.
 * Guessing here would run a statement under the plan of another.
 */
export class Names<T> {
  readonly #weigh: (value: T) => number;
  #confirmedBytes = 0;
  /** Of the changes in flight: replies come in the order in which they were sent. */
  readonly #flightBytes: number[] = [];
  #flightBytesSum = 0;
  readonly #confirmed = new Map<string, T>();
  /** Of the segment being sent; undefined = closed in it. */
  readonly #segment = new Map<string, T | undefined>();
  /** Changes in flight, by name. */
  readonly #inFlight = new Map<string, number>();

  /** `weigh` says how many bytes are kept for a value. */
  constructor(weigh: (value: T) => number) {
    this.#weigh = weigh;
  }

  /** Bytes kept for all values, those in flight included. */
  get bytes(): number {
    return this.#confirmedBytes + this.#flightBytesSum;
  }

  /** The value of that name, undefined when there is none, or `'wait'` until replies have come. */
  lookup(name: string): T | undefined | 'wait' {
    if (this.#segment.has(name)) return this.#segment.get(name);
    return this.#inFlight.has(name) ? 'wait' : this.#confirmed.get(name);
  }

  /** A change was sent; undefined = the name is closed. */
  sent(name: string, value: T | undefined): void {
    this.#segment.set(name, value);
    this.#inFlight.set(name, (this.#inFlight.get(name) ?? 0) + 1);
    const bytes = value === undefined ? 0 : this.#weigh(value);
    this.#flightBytes.push(bytes);
    this.#flightBytesSum += bytes;
  }

  /** The target carried a change out. */
  confirmed(name: string, value: T | undefined): void {
    this.#landed(name);
    this.forget(name);
    if (value === undefined) return;
    this.#confirmed.set(name, value);
    this.#confirmedBytes += this.#weigh(value);
  }

  /** The target refused or skipped a change: the name means what it meant before. */
  dropped(name: string): void {
    this.#landed(name);
  }

  /** A Sync was sent, or the segment being sent has failed. */
  endSegment(): void {
    this.#segment.clear();
  }

  /** Forgets what is confirmed: portals when a transaction ended, everything at DISCARD ALL. */
  clear(): void {
    this.#confirmed.clear();
    this.#confirmedBytes = 0;
  }

  /** The target forgot that name, or all, by a statement that nothing was sent behind. */
  gone(name: string | undefined): void {
    if (name === undefined) {
      this.#segment.clear();
      this.clear();
    } else {
      this.#segment.delete(name);
      this.forget(name);
    }
  }

  /** What is confirmed. */
  get confirmedOnes(): ReadonlyMap<string, T> {
    return this.#confirmed;
  }

  forget(name: string): void {
    const value = this.#confirmed.get(name);
    if (value === undefined) return;
    this.#confirmed.delete(name);
    this.#confirmedBytes -= this.#weigh(value);
  }

  /** True while any change is in flight. */
  get busy(): boolean {
    return this.#inFlight.size > 0;
  }

  get size(): number {
    return this.#confirmed.size + this.#inFlight.size;
  }

  /** True while a change of a named (not the unnamed) one is in flight. */
  get namedInFlight(): boolean {
    return this.#inFlight.size > (this.#inFlight.has('') ? 1 : 0);
  }

  #landed(name: string): void {
    this.#flightBytesSum -= this.#flightBytes.shift() ?? 0;
    const count = (this.#inFlight.get(name) ?? 1) - 1;
    if (count === 0) this.#inFlight.delete(name);
    else this.#inFlight.set(name, count);
  }
}
