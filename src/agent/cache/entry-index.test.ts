import { parseTrustDomain, spiffeIdOf } from '@countersign/sdk/identity';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { containsAll, parseSelector } from '../../model/index.ts';
import { createEntryIndex, orderIdentities, selectorKey } from './entry-index.ts';
import type { AgentEntry } from './types.ts';

const trustDomain = parseTrustDomain('example.org');

function entry(id: string, rest: Partial<AgentEntry> & { show?: string[] } = {}): AgentEntry {
  const { show = ['unix:uid:1'], ...fields } = rest;
  return {
    id,
    spiffeId: spiffeIdOf(trustDomain, `/${id}`),
    selectors: selectors(show),
    federatesWith: [],
    hint: '',
    createdAtS: 1,
    revision: 0,
    prefetch: true,
    uniqueJwt: false,
    ...fields,
  };
}

function selectors(texts: string[]) {
  return texts.flatMap((text) => parseSelector(text) ?? []);
}

describe('matching', () => {
  it('applies an entry only to a process that shows all of its selectors', () => {
    const index = createEntryIndex([entry('both', { show: ['unix:uid:1', 'unix:gid:2'] }), entry('one')]);
    expect(index.match(selectors(['unix:uid:1'])).map(({ id }) => id)).toEqual(['one']);
    expect(index.match(selectors(['unix:gid:2', 'unix:uid:1'])).map(({ id }) => id)).toEqual(['both', 'one']);
    expect(index.match([])).toEqual([]);
  });

  it('never applies an entry without selectors', () => {
    expect(createEntryIndex([entry('none', { show: [] })]).match(selectors(['unix:uid:1']))).toEqual([]);
  });

  it('finds exactly what a look at every entry finds', () => {
    const some = fc.uniqueArray(fc.constantFrom('a:1', 'a:2', 'b:1', 'b:2', 'c:x'), { minLength: 1 });
    fc.assert(
      fc.property(
        fc.array(some, { maxLength: 12 }),
        fc.uniqueArray(fc.constantFrom('a:1', 'a:2', 'b:1', 'b:2', 'c:x')),
        (shows, caller) => {
          const entries = shows.map((show, i) => entry(`e${i}`, { show }));
          const found = createEntryIndex(entries).match(selectors(caller));
          const expected = entries.filter((each) => containsAll(selectors(caller), each.selectors));
          expect(found.map(({ id }) => id).toSorted()).toEqual(expected.map(({ id }) => id).toSorted());
        },
      ),
    );
  });

  it('takes callers with the same selectors for the same, and no others', () => {
    expect(selectorKey(selectors(['a:1', 'b:2']))).toBe(selectorKey(selectors(['b:2', 'a:1'])));
    expect(selectorKey(selectors(['a:1,b:2']))).not.toBe(selectorKey(selectors(['a:1', 'b:2'])));
  });
});

describe('the order of identities', () => {
  it('puts the oldest entry first, then by id, so a new entry never becomes the default', () => {
    const ordered = orderIdentities([
      entry('z', { createdAtS: 5 }),
      entry('b', { createdAtS: 2 }),
      entry('a', { createdAtS: 2 }),
    ]);
    expect(ordered.map(({ id }) => id)).toEqual(['a', 'b', 'z']);
  });

  it('puts the entry with the hint "default" before all others', () => {
    const ordered = orderIdentities([entry('a'), entry('b'), entry('d', { createdAtS: 9, hint: 'default' })]);
    expect(ordered.map(({ id }) => id)).toEqual(['d', 'a', 'b']);
  });

  it('lets the oldest of several entries keep a hint, and leaves the others their identity', () => {
    const ordered = orderIdentities([
      entry('new', { createdAtS: 2, hint: 'internal' }),
      entry('old', { createdAtS: 1, hint: 'internal' }),
    ]);
    expect(ordered.map(({ id, hint }) => [id, hint])).toEqual([
      ['old', 'internal'],
      ['new', ''],
    ]);
  });
});
