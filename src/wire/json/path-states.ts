import { JsonError } from './errors.ts';
import { foldName } from './fold-name.ts';

/** A value's UTF-8 text: the bytes of `buffer` from `start` to `end`. */
export interface JsonSpan {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

/**
 * Writes what is shown instead of a scalar into `into` at `at`, as UTF-8 without quotes or escapes, and answers where it ends; -1 = null.
 * The text is a string's after unescaping, else what stands there. There is room for the text and {@link valueGrowthMax} bytes more.
 * Never asked for `null`.
 */
export type JsonMask = (text: JsonSpan, into: Buffer, at: number) => number;

/** Masks what is reached by `path`, names from the outermost object on; `*` is any one name or one level of arrays. */
export interface FieldRule {
  readonly path: readonly string[];
  readonly mask: JsonMask;
}

/** Most bytes by which a masked value may be longer than the value. */
export const valueGrowthMax = 16;

/** All that rules can still do at one place of a document: the state of an automaton that is built as documents ask for it. */
export class PathState {
  /** The mask of the value here: the first rule's that ends here. */
  readonly mask: JsonMask | undefined;
  /** No rule can match here or below. */
  readonly isDead: boolean;
  readonly #automaton: PathAutomaton;
  readonly #places: readonly number[];
  #elements: PathState | undefined;
  #names: NameTable | undefined;

  constructor(automaton: PathAutomaton, places: readonly number[]) {
    this.#automaton = automaton;
    this.#places = places;
    this.mask = automaton.maskAt(places);
    this.isDead = places.length === 0;
  }

  /** Of an element, when this is an array's. */
  get elements(): PathState {
    this.#elements ??= this.#automaton.elementsOf(this.#places);
    return this.#elements;
  }

  /** Of a member's value, by its name in ASCII as it stands between the quotes. */
  ofAscii(buffer: Buffer, start: number, end: number): PathState {
    this.#names ??= this.#automaton.namesOf(this.#places);
    const candidates = this.#names.byLength[end - start];
    if (candidates === undefined) return this.#names.other;
    for (const { bytes, state } of candidates) {
      let i = start;
      while (i < end && LOWER[buffer[i] ?? 0] === bytes[i - start]) i++;
      if (i === end) return state;
    }
    return this.#names.other;
  }

  /** Of a member's value, by its name. */
  ofName(name: string): PathState {
    this.#names ??= this.#automaton.namesOf(this.#places);
    return this.#names.byFolded.get(foldName(name)) ?? this.#names.other;
  }
}

/** The state of a document as a whole. */
export function createPathStates(rules: readonly FieldRule[]): PathState {
  const automaton = new PathAutomaton(rules);
  return automaton.stateOf(rules.map((_, rule) => automaton.placeOf(rule, 0)));
}

interface NameTable {
  readonly byFolded: ReadonlyMap<string, PathState>;
  /** Folded names in ASCII, by their length. */
  readonly byLength: readonly (readonly { readonly bytes: Buffer; readonly state: PathState }[] | undefined)[];
  readonly other: PathState;
}

/** A place is a rule and how many names of its path are behind us, in one number; a state is a set of places. */
class PathAutomaton {
  readonly #rules: readonly { readonly path: readonly string[]; readonly mask: JsonMask }[];
  readonly #stride: number;
  readonly #states = new Map<string, PathState>();

  constructor(rules: readonly FieldRule[]) {
    this.#rules = rules.map(({ path, mask }) => ({
      path: path.map((name) => (name === ANY ? ANY : ` ${foldName(name)}`)),
      mask,
    }));
    this.#stride = Math.max(0, ...rules.map(({ path }) => path.length)) + 1;
  }

  placeOf(rule: number, at: number): number {
    return rule * this.#stride + at;
  }

  stateOf(places: readonly number[]): PathState {
    const sorted = [...new Set(places)].sort((a, b) => a - b);
    const key = sorted.join();
    let state = this.#states.get(key);
    if (state === undefined) {
      if (this.#states.size >= STATES_MAX)
        throw new JsonError('ERR_JSON_LIMIT', `${STATES_MAX} ways through the rules`);
      state = new PathState(this, sorted);
      this.#states.set(key, state);
    }
    return state;
  }

  maskAt(places: readonly number[]): JsonMask | undefined {
    const last = places.find((place) => this.#segment(place) === undefined);
    return last === undefined ? undefined : this.#rules[Math.floor(last / this.#stride)]?.mask;
  }

  elementsOf(places: readonly number[]): PathState {
    return this.stateOf([...places, ...this.#after(places, ANY)]);
  }

  namesOf(places: readonly number[]): NameTable {
    const any = this.#after(places, ANY);
    const byFolded = new Map<string, PathState>();
    const byLength: { bytes: Buffer; state: PathState }[][] = [];
    for (const segment of new Set(places.map((place) => this.#segment(place)))) {
      if (segment === undefined || segment === ANY) continue;
      const name = segment.slice(1);
      const bytes = Buffer.from(name);
      const state = this.stateOf([...any, ...this.#after(places, segment)]);
      byFolded.set(name, state);
      if (bytes.length !== name.length) continue;
      byLength[bytes.length] ??= [];
      byLength[bytes.length]?.push({ bytes, state });
    }
    return { byFolded, byLength, other: this.stateOf(any) };
  }

  #after(places: readonly number[], segment: string): number[] {
    return places.filter((place) => this.#segment(place) === segment).map((place) => place + 1);
  }

  #segment(place: number): string | undefined {
    return this.#rules[Math.floor(place / this.#stride)]?.path[place % this.#stride];
  }
}

const ANY = '*';
/** Rules with many `*` can be in very many states at once; so many are no rules that a person wrote. */
const STATES_MAX = 10_000;
const LOWER = Uint8Array.from({ length: 256 }, (_, byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte));

/** Where no rule matches any more. */
export const deadState: PathState = createPathStates([]);
