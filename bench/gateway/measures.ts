/** The figures of all rounds, by name and subject, and the rows they make. */
import { type BenchResult, median, medianRatio, result } from '../harness.ts';

export interface Measures {
  /** Notes a figure of the round that runs. */
  note(name: string, subject: string, value: number): void;
  /** Figures in the order of the rounds; none when it was not measured. */
  rounds(name: string, subject: string): readonly number[];
  /** A row that compares subject and peer, round by round; none when one of them was not measured. */
  compare(question: {
    readonly name: string;
    readonly subject: string;
    readonly peer: string;
    readonly unit: string;
    readonly goal?: string;
  }): readonly BenchResult[];
  /** A row for a figure that stands alone; none when it was not measured. */
  tell(name: string, subject: string, unit: string, goal?: string): readonly BenchResult[];
}

export function createMeasures(): Measures {
  const table = new Map<string, number[]>();
  const rounds = (name: string, subject: string) => table.get(`${name}\n${subject}`) ?? [];
  return {
    rounds,
    note(name, subject, value) {
      table.set(`${name}\n${subject}`, [...rounds(name, subject), value]);
    },
    compare({ name, subject, peer, unit, goal = '' }) {
      const [mine, theirs] = [rounds(name, subject), rounds(name, peer)];
      if (mine.length === 0 || mine.length !== theirs.length) return [];
      const figures = { value: median(mine), peerValue: median(theirs), ratio: medianRatio(mine, theirs) };
      return [result({ case: name, subject, peer, unit, goal, ...figures })];
    },
    tell(name, subject, unit, goal = '') {
      const mine = rounds(name, subject);
      return mine.length === 0 ? [] : [result({ case: name, subject, unit, value: median(mine), goal })];
    },
  };
}
