import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createJsonMasker, type FieldRule, type JsonMask, type JsonValue, readStrictJson } from './index.ts';
import * as target from './json.fuzz.ts';

// Goal: what is shown is what a plain mask over the tree of values makes, wherever the bytes are cut, and depends on no masked value.

const redact: JsonMask = (_, into, at) => at + into.write('[x]', at);
const none: JsonMask = () => -1;
const echo: JsonMask = ({ buffer, start, end }, into, at) =>
  at + into.write(`<${buffer.toString('utf8', start, end)}>`, at);

interface TestRule {
  readonly path: readonly string[];
  readonly kind: 'redact' | 'none' | 'echo';
}

const masks = { redact, none, echo };
const names = fc.constantFrom('a', 'b', 'c', 'toString', '__proto__', '', 'a b', 'é');
const kinds = fc.constantFrom('redact', 'none', 'echo');
const path = fc.array(fc.oneof(names, fc.constant('*')), { maxLength: 4 });
const rules: fc.Arbitrary<TestRule[]> = fc.array(fc.record({ path, kind: kinds }), { maxLength: 4 });
const scalar = fc.oneof(
  fc.string({ maxLength: 6 }),
  fc.string({ unit: 'binary', maxLength: 4 }),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(true, false, null),
);
const { value: document } = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'medium', withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(fc.tuple(names, tie('value')), { maxLength: 5 }).map((pairs) => Object.fromEntries(pairs)),
  ),
}));
const blanks = fc.constantFrom(undefined, 1, '\t');
const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });

/** The same by recursion over the tree: slow, and plain to see. */
function reference(value: JsonValue, held: readonly TestRule[]): JsonValue {
  const rule = held.find(({ path }) => path.length === 0);
  if (rule) {
    if (value === null || typeof value === 'object' || rule.kind === 'none') return null;
    return rule.kind === 'redact' ? '[x]' : `<${typeof value === 'number' ? JSON.stringify(value) : value}>`;
  }
  const next = (test: TestRule, name: string) => (test.path[0] === name ? [{ ...test, path: test.path.slice(1) }] : []);
  if (Array.isArray(value)) {
    // A rule goes through, and may have taken the array by its star as well.
    const within = held.flatMap((test) => [test, ...next(test, '*')]);
    return value.map((item) => reference(item, within));
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => {
      const within = held.flatMap((test) => [...next(test, '*'), ...next(test, name)]);
      return [name, reference(item, within)];
    }),
  );
}

function shown(bytes: Buffer, tests: readonly TestRule[], lengths: readonly number[]): string {
  const masker = createJsonMasker({
    rules: tests.map(({ path, kind }): FieldRule => ({ path, mask: masks[kind] })),
    format: 'json',
  });
  const pieces: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const next = at + (lengths[turn % lengths.length] ?? 1);
    pieces.push(...masker.push(bytes.subarray(at, next)));
    at = next;
  }
  pieces.push(...masker.end());
  return Buffer.concat(pieces).toString();
}

describe('what is shown', () => {
  it('is what the mask of a tree makes, however it is laid out and cut', () => {
    fc.assert(
      fc.property(document, rules, blanks, cuts, (value, tests, indent, lengths) => {
        const bytes = Buffer.from(JSON.stringify(value, null, indent));
        const whole = shown(bytes, tests, [bytes.length]);
        expect(JSON.parse(whole)).toEqual(reference(JSON.parse(bytes.toString()), tests));
        expect(shown(bytes, tests, lengths)).toBe(whole);
        expect(shown(bytes, tests, [1])).toBe(whole);
      }),
      { numRuns: 3_000 },
    );
  });

  it('is byte for byte what came where no rule matches', () => {
    fc.assert(
      fc.property(document, blanks, cuts, (value, indent, lengths) => {
        const text = JSON.stringify(value, null, indent);
        expect(shown(Buffer.from(text), [{ path: ['nowhere', '*'], kind: 'none' }], lengths)).toBe(text);
      }),
    );
  });

  it('is the same whatever the masked values are', () => {
    fc.assert(
      fc.property(document, rules, scalar, scalar, (value, all, one, other) => {
        const tests = all.map((test): TestRule => ({ ...test, kind: test.kind === 'echo' ? 'redact' : test.kind }));
        // Null is shown as null, so it is no secret under redact; a container is null as well.
        const shownWith = (secret: JsonValue) =>
          shown(Buffer.from(JSON.stringify(replaced(value, tests, secret))), tests, [7]);
        expect(shownWith(one ?? 0)).toBe(shownWith(other ?? ''));
      }),
      { numRuns: 2_000 },
    );
  });

  it('is the same for each cut of documents with every kind of token', () => {
    for (const seed of target.seeds) {
      const bytes = Buffer.from(seed);
      for (const format of ['json', 'ndjson', 'sse'] as const) {
        const results = Array.from({ length: bytes.length + 1 }, (_, cut) => {
          const masker = createJsonMasker({
            rules: [
              { path: ['s'], mask: echo },
              { path: ['*', 'k'], mask: none },
            ],
            format,
          });
          try {
            const pieces = [
              ...masker.push(bytes.subarray(0, cut)),
              ...masker.push(bytes.subarray(cut)),
              ...masker.end(),
            ];
            return Buffer.concat(pieces).toString();
          } catch (error) {
            return String(error);
          }
        });
        expect(new Set(results.map((text) => text.replace(/ at byte \d+$/, ''))).size, `${format} ${bytes}`).toBe(1);
      }
    }
  });
});

/** The document with `secret` in place of each scalar that a rule masks. */
function replaced(value: JsonValue, tests: readonly TestRule[], secret: JsonValue): JsonValue {
  const marks = tests.map((test): TestRule => ({ ...test, kind: 'redact' }));
  const put = (original: JsonValue, masked: JsonValue): JsonValue => {
    if (masked === '[x]') return original === '[x]' ? original : secret;
    if (Array.isArray(original) && Array.isArray(masked)) return original.map((item, at) => put(item, masked[at]));
    if (typeof original !== 'object' || original === null || typeof masked !== 'object' || masked === null)
      return original;
    return Object.fromEntries(
      Object.entries(original).map(([name, item]) => [name, put(item, Reflect.get(masked, name))]),
    );
  };
  return put(value, reference(value, marks));
}

it('a strict reader takes what JSON.parse takes and gives the same, or refuses', () => {
  fc.assert(
    fc.property(document, blanks, (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      let read: JsonValue;
      try {
        read = readStrictJson(Buffer.from(text));
      } catch {
        return;
      }
      expect(read).toEqual(JSON.parse(text));
    }),
  );
});

it('any bytes are shown alike or refused', () => {
  const edited = fc
    .tuple(fc.constantFrom(...target.seeds), fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 4 }))
    .map(([seed, edits]) => {
      const bytes = Uint8Array.from(seed);
      for (const [at, value] of edits) bytes[at % bytes.length] = value;
      return bytes;
    });
  for (const seed of target.seeds) target.fuzz(seed);
  fc.assert(
    fc.property(fc.oneof(edited, fc.uint8Array({ maxLength: 80 })), (bytes) => target.fuzz(bytes)),
    { numRuns: 1_000 },
  );
});
