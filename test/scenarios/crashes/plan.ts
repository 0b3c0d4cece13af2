/** Which role dies when: all of a round follows from the seed and the round's number. */
import { createSeededRandom } from '../../../src/std/index.ts';

export type Victim = 'server' | 'agent' | 'gateway' | 'postgres';
export const VICTIMS: readonly Victim[] = ['gateway', 'agent', 'server', 'postgres'];

/** One round of kill -9 under load. */
export interface Round {
  readonly number: number;
  /** The roles that die, at the same moment when there are two. */
  readonly victims: readonly Victim[];
  /** They die after so many operations were acknowledged in this round … */
  readonly afterOperations: number;
  /** … and so many milliseconds more, which lands within other operations. */
  readonly delayMs: number;
  /** For each further kill, how long after the start of the new process it comes, in milliseconds. */
  readonly duringStartMs: readonly number[];
}

/** The plan of one round. Each role has its turn in every four rounds, whatever else chance brings. */
export function planRound(seed: string, number: number): Round {
  const random = createSeededRandom(`${seed}:${number}`);
  const below = (bound: number) => Math.floor(random.fraction() * bound);
  const first = VICTIMS[number % VICTIMS.length] ?? 'gateway';
  const others = VICTIMS.filter((victim) => victim !== first);
  const second = others[below(others.length)];
  const victims = random.fraction() < TWO_AT_ONCE && second !== undefined ? [first, second] : [first];
  const again = random.fraction() < DURING_START ? 1 + below(2) : 0;
  return {
    number,
    victims,
    afterOperations: 1 + below(OPERATIONS_MAX),
    delayMs: random.fraction() < 0.5 ? 0 : random.fraction() * DELAY_MS_MAX,
    duringStartMs: Array.from({ length: again }, () => random.fraction() * START_MS_MAX),
  };
}

/** As one line. */
export function describeRound(round: Round): string {
  const { number, victims, afterOperations, delayMs, duringStartMs } = round;
  const again = duringStartMs.map((ms) => `, again ${Math.round(ms)} ms into its start`).join('');
  return `round ${number}: ${victims.join(' and ')} after ${afterOperations} operations and ${delayMs.toFixed(1)} ms${again}`;
}

const TWO_AT_ONCE = 0.2;
const DURING_START = 0.25;
const OPERATIONS_MAX = 150;
const DELAY_MS_MAX = 12;
/** A role is up in about half a second on a free machine: this reaches beyond its first sessions. */
const START_MS_MAX = 1200;
