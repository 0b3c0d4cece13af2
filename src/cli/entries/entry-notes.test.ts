import { describe, expect, it } from 'vitest';
import { doubtAbout, type NotedEntry, notesOnAttributes, notesOnOverlaps, notesOnSelectors } from './entry-notes.ts';

const entry = (id: string, selectors: readonly string[], more: Partial<NotedEntry> = {}): NotedEntry => ({
  ...{ id, spiffeId: `spiffe://example.org/${id}`, parentId: 'spiffe://example.org/countersign/nodes', selectors },
  ...{ hint: '', createdAtS: 100, owner: '', environment: '', labels: {}, ...more },
});

describe('selectors that no process shows', () => {
  it.each([
    ['unix:usr:a', 'there is no unix:usr'],
    ['unixx:user:a', 'no attestor gives selectors of type unixx (did you mean "unix"?)'],
    ['unix:user:no-such-user', 'no user of this machine is called no-such-user'],
  ])('are told: %s', (selector, why) => {
    const [note, ...more] = notesOnSelectors([entry('typo', ['unix:uid:1', selector])]);
    expect(more).toEqual([]);
    expect(note).toMatchObject({ entry: 'typo', found: expect.stringContaining(why) });
    expect(note?.found).toContain(selector);
  });

  it('are not those that agents of SPIRE show, or that name nodes', () => {
    const node = entry('nodes', ['countersign:node:attested'], { parentId: 'spiffe://example.org/spire/server' });
    const alias = entry('alias', ['spiffe_id:spiffe://example.org/spire/agent/x']);
    expect(notesOnSelectors([entry('pod', ['k8s:ns:shop']), node, alias])).toEqual([]);
    expect(doubtAbout('unix:uid:0')).toBeUndefined();
  });
});

describe('two entries that match one process', () => {
  const web = entry('web', ['unix:uid:7'], { createdAtS: 50 });
  const narrow = entry('narrow', ['unix:path:/bin/x', 'unix:uid:7']);

  it.each([
    ['with the same selectors', entry('two', ['unix:uid:7'])],
    ['where one has more of them', narrow],
  ])('%s are told, with the identity that is taken and why', (_, other) => {
    for (const all of [
      [web, other],
      [other, web],
    ]) {
      const [note, ...more] = notesOnOverlaps([other], all);
      expect(more).toEqual([]);
      expect(note?.found).toContain('its sessions are of spiffe://example.org/web, because it is the older one');
      expect(note).toMatchObject({ entry: other.id, remedy: expect.stringContaining('`default`') });
    }
  });

  it('of one age go by their names', () => {
    const other = entry('a', ['unix:uid:7'], { createdAtS: web.createdAtS });
    const [note] = notesOnOverlaps([web], [web, other]);
    expect(note?.found).toContain('matches entry a and entry web; its sessions are of spiffe://example.org/a');
  });

  it.each([
    ['one has the hint default', entry('two', ['unix:uid:7'], { hint: 'default' })],
    ['both give one identity', entry('two', ['unix:uid:7'], { spiffeId: web.spiffeId })],
    ['they are below different parents', entry('two', ['unix:uid:7'], { parentId: 'spiffe://example.org/node/a' })],
    ['neither has all selectors of the other', entry('two', ['unix:gid:7'])],
  ])('are not told where %s', (_, other) => {
    expect(notesOnOverlaps([other], [web, other])).toEqual([]);
  });

  it('are not told where neither is asked about', () => {
    expect(notesOnOverlaps([entry('else', ['unix:uid:9'])], [web, narrow])).toEqual([]);
  });
});

describe('entries of one identity', () => {
  const web = { spiffeId: 'spiffe://example.org/web' };
  const one = entry('one', ['unix:uid:7'], { ...web, owner: 'ops', labels: { team: 'web', tier: '1' } });
  const two = entry('two', ['unix:uid:8'], { ...web, owner: 'dev', labels: { team: 'web' } });

  it('that differ in what they say of it are told once, with what policies make of that', () => {
    expect(notesOnAttributes([one, two], [one, two])).toEqual([
      {
        ...{ entry: 'one', isOfMachine: false, remedy: expect.stringContaining('all entries') },
        found: 'entries one, two differ in owner, labels.tier; to policies spiffe://example.org/web has none of that',
      },
    ]);
    expect(notesOnAttributes([two], [one])).toHaveLength(1);
  });

  it('that agree, or are of other identities, are not', () => {
    expect(
      notesOnAttributes([one], [one, { ...one, id: 'three' }, { ...two, spiffeId: 'spiffe://example.org/b' }]),
    ).toEqual([]);
  });
});
