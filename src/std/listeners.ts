/** Who wants to hear of something, each time it happens. */
export interface Listeners<T = void> {
  /** How many there are. */
  readonly size: number;
  /** Adds one; a function that is added twice is told twice. What is returned takes it out again; calling that once more changes nothing. */
  add(listener: (value: T) => void): () => void;
  /**
   * Calls each that is there now, in the order in which they were added. One that is taken out meanwhile is not called any more; one
   * that is added meanwhile is called from the next time on.
   */
  tell(value: T): void;
}

/**
 * Creates a set without any. `failed` hears what a listener throws, and the others are told all the same. Without it the error is thrown
 * by `tell`, and those that come after are not told.
 */
export function createListeners<T = void>(failed?: (error: unknown) => void): Listeners<T> {
  const listeners = new Set<Listener<T>>();
  return {
    get size() {
      return listeners.size;
    },
    add(call) {
      const listener = { call };
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    tell(value) {
      if (listeners.size === 0) return; // As a rule there are none where it happens most often.
      for (const listener of [...listeners]) {
        if (!listeners.has(listener)) continue;
        try {
          listener.call(value);
        } catch (error) {
          if (failed === undefined) throw error;
          failed(error);
        }
      }
    },
  };
}

/** An object of its own, so that one function can be added more than once. */
interface Listener<T> {
  readonly call: (value: T) => void;
}
