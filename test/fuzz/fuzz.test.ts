import { describe, expect, it } from 'vitest';
import { runCampaign } from './campaign.ts';
import { createFastRandom } from './fast-random.ts';
import { mutate } from './mutate.ts';
import { loadTargets } from './targets.ts';

// A fixed number of executions of every fuzz target, the same in each run. `npm run fuzz` goes on for longer, with other seeds, led by
// what code is reached.

const targets = await loadTargets();
const EXECUTIONS = 10_000;
const SLOW_EXECUTIONS = 500;
/** On a machine that is busy with something else, fewer executions are better than a test that fails for that. */
const TIME_MS_MAX = 20_000;

describe.each(targets)('$name', (target) => {
  it('holds on its seeds and its corpus', () => {
    for (const input of [...target.seeds, ...target.corpus]) expect(() => target.fuzz(input)).not.toThrow();
  });

  const executions = target.slow ? SLOW_EXECUTIONS : EXECUTIONS;
  it(`holds on ${executions} changed inputs`, () => {
    const { broken } = runCampaign(target, { executions, timeMs: TIME_MS_MAX, seed: 'ci' });
    const [first] = broken;
    if (first === undefined) return;
    const { input, error } = first;
    expect.fail(
      `input ${Buffer.from(input).toString('hex').slice(0, 400)}: ${error instanceof Error ? error.stack : String(error)}`,
    );
  });

  it('has a corpus that a repository can bear', () => {
    expect(target.corpus.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(64 * 1024);
  });
});

describe('a target that is wrong', () => {
  /** Breaks on a length that is honest, behind a word and a number. */
  const wrong = {
    ...{ name: 'wrong', corpusDir: '', corpus: [], slow: false },
    seeds: [Buffer.from('0001 abc')],
    tokens: [Buffer.from('magic')],
    fuzz(input: Uint8Array) {
      const bytes = Buffer.from(input);
      const at = bytes.indexOf('magic') + 5;
      if (at < 5 || at + 2 > bytes.length || bytes.readUInt8(at) !== 0) return;
      if (bytes.readUInt8(at + 1) === bytes.length - at - 2) throw new Error('broken');
    },
  };

  it('is found out, with the input that shows it', () => {
    const { broken } = runCampaign(wrong, { executions: 200_000, timeMs: TIME_MS_MAX, seed: 'ci' });
    expect(broken.length).toBeGreaterThan(0);
    for (const { input } of broken) expect(() => wrong.fuzz(input)).toThrow('broken');
  });

  it('leads the search on by what its inputs reach', () => {
    let grew = false;
    const coverage = {
      grew() {
        const was = grew;
        grew = false;
        return was;
      },
      ...{ reset() {}, mark: () => () => {}, covered: () => 0 },
    };
    const seen: string[] = [];
    const fuzz = (input: Uint8Array) => {
      if (!Buffer.from(input).includes('magic')) return;
      grew = true;
      seen.push(Buffer.from(input).toString('latin1'));
    };
    const { found } = runCampaign({ ...wrong, fuzz }, { executions: 1000, timeMs: TIME_MS_MAX, seed: 'ci', coverage });
    expect(found.length).toBeGreaterThan(0);
    for (const input of found) expect(seen).toContain(Buffer.from(input).toString('latin1'));
  });
});

describe('inputs', () => {
  const made = (seed: string) => {
    const random = createFastRandom(seed);
    const stock = { inputs: [Buffer.from('{"a":1}'), Buffer.alloc(40)], tokens: [Buffer.from('null')] };
    return Array.from({ length: 2000 }, () => mutate(stock, random).toString('hex'));
  };

  it('are the same for the same seed, others for another, and of all lengths', () => {
    expect(made('a')).toEqual(made('a'));
    expect(made('a')).not.toEqual(made('b'));
    expect(new Set(made('a').map((text) => text.length)).size).toBeGreaterThan(50);
  });

  it('come from chance that is even', () => {
    const random = createFastRandom('even');
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 100_000; i++) {
      const number = random.below(10);
      counts[number] = (counts[number] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });
});
