/** The index answers as the plainest reading of the rules does, after any sequence of changes; the naive model here is that reading. */
import { parseSpiffeId, type SpiffeId } from '@countersign/sdk/identity';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { containsAll, type Entry, NO_ATTRIBUTES, type Selector } from '../model/index.ts';
import { createEntryIndex, type EntryChange } from './entry-index.ts';
import { createNodeWatchers } from './node-watchers.ts';

const SERVER = 'spiffe://example.org/spire/server';
const id = (path: string) => parseSpiffeId(`spiffe://example.org${path}`);
const selector = (value: string): Selector => ({ type: 's', value });

function entry(fields: {
  id: string;
  spiffeId: string;
  parentId: string;
  selectors?: readonly string[];
  expiresAtS?: number;
}): Entry {
  return {
    id: fields.id,
    spiffeId: id(fields.spiffeId),
    parentId: id(fields.parentId),
    selectors: (fields.selectors ?? ['x']).map(selector),
    x509SvidTtlS: 0,
    jwtSvidTtlS: 0,
    federatesWith: [],
    admin: false,
    downstream: false,
    expiresAtS: fields.expiresAtS ?? 0,
    dnsNames: [],
    revisionNumber: 0,
    storeSvid: false,
    hint: '',
    createdAtS: 0,
    attributes: NO_ATTRIBUTES,
  };
}

/** The rules word for word: an entry is authorised when its parent is the node, an alias of it, or the identity of an authorised entry. */
function naive(entries: readonly Entry[], node: SpiffeId, selectors: readonly Selector[], nowS: number): string[] {
  const current = entries.filter((one) => one.expiresAtS === 0 || one.expiresAtS > nowS);
  const aliases = current.filter((one) => one.parentId.uri === SERVER && containsAll(selectors, one.selectors));
  const parents = new Set([node.uri, ...aliases.map((alias) => alias.spiffeId.uri)]);
  const found = new Set<Entry>();
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const one of current) {
      if (!parents.has(one.parentId.uri)) continue;
      found.add(one);
      parents.add(one.spiffeId.uri);
    }
  }
  return [...found].map((one) => one.id).sort();
}

const paths = ['/a', '/b', '/c', '/d', '/spire/agent/1', '/spire/agent/2'];
const entries = fc
  .record({
    id: fc.integer({ min: 0, max: 11 }).map(String),
    spiffeId: fc.constantFrom('/a', '/b', '/c', '/d'),
    parentId: fc.constantFrom(...paths, '/spire/server', '/spire/server'),
    selectors: fc.uniqueArray(fc.constantFrom('x', 'y', 'z'), { minLength: 1 }),
    expiresAtS: fc.constantFrom(0, 0, 0, 50, 150),
  })
  .map(entry);
const steps = fc.array(fc.oneof({ weight: 3, arbitrary: entries }, fc.integer({ min: 0, max: 11 }).map(String)), {
  maxLength: 40,
});
const nodeSelectors = fc.uniqueArray(fc.constantFrom('x', 'y', 'z')).map((values) => values.map(selector));

describe('the index of entries', () => {
  it('answers as the rules say, for all and for one, whatever was put and removed before', () => {
    fc.assert(
      fc.property(steps, nodeSelectors, (sequence, selectors) => {
        const index = createEntryIndex(SERVER);
        const model = new Map<string, Entry>();
        for (const step of sequence) {
          if (typeof step === 'string') {
            index.remove(step);
            model.delete(step);
          } else {
            index.put(step);
            model.set(step.id, step);
          }
        }
        for (const path of ['/spire/agent/1', '/spire/agent/2', '/a']) {
          const node = id(path);
          const expected = naive([...model.values()], node, selectors, 100);
          expect(
            index
              .authorized(node, selectors, 100)
              .map((one) => one.id)
              .sort(),
          ).toEqual(expected);
          for (const entryId of model.keys()) {
            const one = index.authorizedOne({ entryId, nodeId: node, nodeSelectors: selectors, nowS: 100 });
            expect(one?.id).toBe(expected.includes(entryId) ? entryId : undefined);
          }
        }
        expect(index.size).toBe(model.size);
      }),
      { numRuns: 500 },
    );
  });

  it('tells every node whose entries change, for any batch of changes', () => {
    fc.assert(
      fc.property(steps, steps, nodeSelectors, (first, batch, selectors) => {
        const index = createEntryIndex(SERVER);
        const model = new Map<string, Entry>();
        const apply = (step: Entry | string): EntryChange => {
          if (typeof step === 'string') {
            model.delete(step);
            return index.remove(step);
          }
          model.set(step.id, step);
          return index.put(step);
        };
        for (const step of first) apply(step);
        const watchers = createNodeWatchers(() => {});
        const nodes = ['/spire/agent/1', '/spire/agent/2', '/spire/agent/3'].map((path) => ({
          id: id(path),
          selectors,
        }));
        const told = new Set<string>();
        for (const node of nodes) watchers.add(node, () => told.add(node.id.uri));
        const answer = (node: SpiffeId) =>
          JSON.stringify(naive([...model.values()], node, selectors, 0).map((entryId) => model.get(entryId)));
        const before = nodes.map((node) => answer(node.id));
        const changes = batch.map(apply);
        watchers.notify(index, changes, 1);
        for (const [place, node] of nodes.entries()) {
          if (answer(node.id) !== before[place]) expect(told).toContain(node.id.uri);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('ends on entries that are parents of each other', () => {
    const index = createEntryIndex(SERVER);
    index.put(entry({ id: '1', spiffeId: '/a', parentId: '/b' }));
    index.put(entry({ id: '2', spiffeId: '/b', parentId: '/a' }));
    expect(index.authorized(id('/a'), [], 0)).toHaveLength(2);
    expect(
      index.authorizedOne({ entryId: '1', nodeId: id('/spire/agent/1'), nodeSelectors: [], nowS: 0 }),
    ).toBeUndefined();
  });
});

describe('watchers of nodes', () => {
  it('are left alone by changes that concern others, and after they stopped', () => {
    const index = createEntryIndex(SERVER);
    const watchers = createNodeWatchers(() => {});
    const told: string[] = [];
    const watch = (name: string, path: string, values: readonly string[]) =>
      watchers.add({ id: id(path), selectors: values.map(selector) }, () => told.push(name));
    watch('one', '/spire/agent/1', ['x', 'y']);
    watch('two', '/spire/agent/2', ['x']);
    const stop = watch('three', '/spire/agent/1', []);
    stop();
    watchers.notify(index, [index.put(entry({ id: '1', spiffeId: '/a', parentId: '/spire/agent/1' }))], 1);
    expect(told).toEqual(['one']);
    const alias = entry({ id: '2', spiffeId: '/alias', parentId: '/spire/server', selectors: ['x', 'y'] });
    watchers.notify(index, [index.put(alias)], 2);
    expect(told).toEqual(['one', 'one']);
    const below = entry({ id: '3', spiffeId: '/b', parentId: '/alias' });
    watchers.notify(index, [index.put(below), index.put(below)], 3);
    expect(told).toEqual(['one', 'one', 'one']);
  });

  it('hear of a change even when another one throws', () => {
    const failures: unknown[] = [];
    const watchers = createNodeWatchers((error) => failures.push(error));
    const node = { id: id('/spire/agent/1'), selectors: [] };
    let told = 0;
    watchers.add(node, () => {
      throw new Error('bad');
    });
    watchers.add(node, () => told++);
    watchers.notifyAll(1);
    expect({ told, failures: failures.length }).toEqual({ told: 1, failures: 1 });
  });
});
