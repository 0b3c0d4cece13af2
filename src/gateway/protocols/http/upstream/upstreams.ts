import type { Duplex } from 'node:stream';
import type { Clock, Random } from '../../../../std/index.ts';
import { codeOf } from '../../../../std/index.ts';
import type { Place } from './place.ts';

/** The upstreams of one target, which serve the same. */
export interface Upstreams {
  readonly places: readonly Place[];
  /**
   * Connects to one of them: of those that are well to the one with the fewest connections, chance deciding between equals; one that fails lets the next
   * be tried, each once, those set aside last.
   * @throws what the last one failed of; at once the abort error, and what is none of one upstream's own
   */
  connect(to: (place: Place) => Promise<Duplex>, signal: AbortSignal): Promise<Connected>;
  /** It failed: it is set aside for a while, longer each time. */
  failed(place: Place): void;
  /** It answered. */
  worked(place: Place): void;
  /** There are others beside one that fails, and one of them is well. */
  readonly isServing: boolean;
}

export interface Connected {
  readonly socket: Duplex;
  readonly place: Place;
}

/** Creates them; `places` has at least one. */
export function createUpstreams(deps: {
  readonly places: readonly Place[];
  readonly clock: Clock;
  readonly random: Pick<Random, 'fraction'>;
}): Upstreams {
  const { places, clock, random } = deps;
  const states = new Map(places.map((place) => [place, { failures: 0, asideUntilMs: 0, connections: 0 }]));
  const stateOf = (place: Place) => {
    const state = states.get(place);
    if (state === undefined) throw new Error('no upstream of this target');
    return state;
  };
  const failed = (place: Place) => {
    const state = stateOf(place);
    const delayMs = Math.min(ASIDE_MS * 2 ** state.failures, ASIDE_MS_MAX);
    state.failures++;
    state.asideUntilMs = clock.monotonicMs() + delayMs * (0.5 + random.fraction() / 2);
  };
  const inOrder = () => {
    const now = clock.monotonicMs();
    return places
      .map((place) => ({ place, state: stateOf(place), chance: random.fraction() }))
      .map((one) => ({ ...one, asideMs: one.state.failures === 0 ? 0 : Math.max(0, one.state.asideUntilMs - now) }))
      .toSorted((a, b) => a.asideMs - b.asideMs || a.state.connections - b.state.connections || a.chance - b.chance)
      .map(({ place }) => place);
  };
  return {
    ...{ places, failed },
    worked(place) {
      stateOf(place).failures = 0;
    },
    get isServing() {
      return places.length > 1 && places.some((place) => stateOf(place).failures === 0);
    },
    async connect(to, signal) {
      let last: unknown;
      const untilMs = clock.monotonicMs() + TRIES_MS_MAX;
      for (const place of inOrder()) {
        try {
          const socket = await to(place);
          const state = stateOf(place);
          state.connections++;
          socket.once('close', () => void state.connections--);
          return { socket, place };
        } catch (error) {
          if (signal.aborted || !OWN_FAILURES.has(codeOf(error) ?? '')) throw error;
          failed(place);
          last = error;
          if (clock.monotonicMs() >= untilMs) break;
        }
      }
      throw last;
    },
  };
}

/** Of one upstream: a secret that can't be read is missing for all of them. */
const OWN_FAILURES: ReadonlySet<string> = new Set(['ERR_GATEWAY_TARGET_AWAY', 'ERR_GATEWAY_TARGET_TLS']);
/** Whoever waits for a connection waits for some that do not answer, not for sixteen. */
const TRIES_MS_MAX = 15_000;
const ASIDE_MS = 1_000;
/** As long as health waits between two looks: it is back soon after it is well. */
const ASIDE_MS_MAX = 60_000;
