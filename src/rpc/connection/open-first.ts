import { abortError, type Clock, followAbort, type Timer } from '../../std/index.ts';

/** How one of several places is tried. */
export interface Attempt {
  readonly signal: AbortSignal;
  /** To be called when something is there: an answer is then worth waiting for somewhat longer. */
  reached(): void;
}

/**
 * Opens the first of several places that can be opened: each has a while before the next one is tried beside it, and the next comes at once where
 * one fails. The first that opens is the one, whichever it is; the others are given up. Resolves to undefined when none can be opened.
 *
 * `missed` hears of each that failed, with its error, and of each whose while was over when another one opened.
 * @throws the abort error of `signal`
 */
export function openFirst<Place, Opened>(
  places: readonly Place[],
  options: {
    clock: Clock;
    open: (place: Place, attempt: Attempt) => Promise<Opened>;
    /** True of one that is not worth waiting for: it was missed before. */
    isDoubtful?: (place: Place) => boolean;
    /** What was opened in vain. */
    close: (opened: Opened) => void;
    missed: (place: Place, error: unknown) => void;
    signal: AbortSignal;
  },
): Promise<Opened | undefined> {
  return new Promise((resolve, reject) => new Race(places, { ...options, resolve, reject }).start());
}

type RaceOptions<Place, Opened> = Parameters<typeof openFirst<Place, Opened>>[1] & {
  resolve: (opened: Opened | undefined) => void;
  reject: (error: unknown) => void;
};

class Race<Place, Opened> {
  readonly #options: RaceOptions<Place, Opened>;
  readonly #waiting: Place[];
  readonly #trying = new Map<Place, { readonly end: ReturnType<typeof followAbort>; timer: Timer; isLate: boolean }>();
  #isOver = false;

  constructor(places: readonly Place[], options: RaceOptions<Place, Opened>) {
    this.#waiting = [...places];
    this.#options = options;
  }

  start(): void {
    const { signal } = this.#options;
    signal.addEventListener('abort', this.#onAbort, { once: true });
    if (signal.aborted) this.#onAbort();
    else this.#next();
  }

  readonly #onAbort = () => this.#finish(() => this.#options.reject(abortError(this.#options.signal)));

  #next(): void {
    const { clock, open, isDoubtful } = this.#options;
    const place = this.#waiting.shift();
    if (place === undefined) {
      if (this.#trying.size === 0) this.#finish(() => this.#options.resolve(undefined));
      return;
    }
    const late = () => {
      trying.isLate = true;
      this.#next();
    };
    // Where this process was held up, what came meanwhile is heard of before it counts as late.
    const after = (delayMs: number) =>
      clock.after(delayMs, () => {
        trying.timer = clock.after(0, late);
      });
    const trying = { end: followAbort(), timer: after(UNREACHED_MS_MAX), isLate: false };
    this.#trying.set(place, trying);
    const reached = () => {
      if (trying.isLate || !this.#trying.has(place)) return;
      trying.timer.cancel();
      trying.timer = after(isDoubtful?.(place) ? DOUBTED_MS_MAX : UNANSWERED_MS_MAX);
    };
    open(place, { signal: trying.end.signal, reached }).then(
      (opened) => this.#opened(place, opened),
      (error: unknown) => this.#failed(place, error),
    );
  }

  #opened(place: Place, opened: Opened): void {
    if (this.#isOver) {
      this.#options.close(opened);
      return;
    }
    this.#drop(place);
    for (const [other, { isLate }] of this.#trying)
      if (isLate) this.#options.missed(other, new Error('another one was faster'));
    this.#finish(() => this.#options.resolve(opened));
  }

  #failed(place: Place, error: unknown): void {
    if (this.#isOver) return;
    const trying = this.#drop(place);
    this.#options.missed(place, error);
    // Beside one that is late the next is on its way.
    if (!trying?.isLate || this.#trying.size === 0) this.#next();
  }

  #drop(place: Place) {
    const trying = this.#trying.get(place);
    trying?.timer.cancel();
    this.#trying.delete(place);
    return trying;
  }

  #finish(act: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    act();
    for (const [place, { end }] of [...this.#trying]) {
      this.#drop(place);
      end.abort();
    }
  }
}

/** Whoever is there answers a connection sooner, wherever in the world; as RFC 8305 advises. */
const UNREACHED_MS_MAX = 250;
/** For a handshake and an answer, also of a gateway to which all others have just come; one that hangs is connected to all the same. */
const UNANSWERED_MS_MAX = 2_000;
/** Three ways there and back, across the world. */
const DOUBTED_MS_MAX = 500;
