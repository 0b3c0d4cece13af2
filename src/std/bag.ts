/**
 * Things in hand, in no order: for those that come and go by the ten thousand in a second. A `Set` leaves its outgrown tables behind it; one of
 * them that a full collection has moved to the old space keeps every later one, and all that they ever held, until the next full collection.
 */
export interface Bag<T> {
  readonly size: number;
  /** Puts it in, once more if it is there already. What is returned takes it out again. */
  add(item: T): InBag;
  /** What is in it now; putting in and taking out change nothing in the list returned. */
  items(): T[];
}

/** The place of one thing in a {@link Bag}. */
export interface InBag {
  /** Takes it out; false when it is out already. */
  remove(): boolean;
}

/** Creates an empty {@link Bag}. */
export function createBag<T>(): Bag<T> {
  const places: Place<T>[] = [];
  return {
    get size() {
      return places.length;
    },
    add(item) {
      const place = new Place(places, item);
      places.push(place);
      return place;
    },
    items: () => places.map((place) => place.item),
  };
}

class Place<T> implements InBag {
  readonly item: T;
  readonly #places: Place<T>[];
  #index: number;

  constructor(places: Place<T>[], item: T) {
    this.#places = places;
    this.#index = places.length;
    this.item = item;
  }

  remove(): boolean {
    if (this.#index < 0) return false;
    const last = this.#places.pop();
    if (last !== undefined && last !== this) {
      this.#places[this.#index] = last;
      last.#index = this.#index;
    }
    this.#index = -1;
    return true;
  }
}
