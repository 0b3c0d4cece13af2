/**
 * What every sink promises to the record, over each member that is registered: what it says it has taken is there, in its order; what it can't take now it
 * says so; and it ends when it is told to.
 */
import { Value } from 'typebox/value';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SinkMember } from '../../src/records/index.ts';
import { recordSinks } from '../../src/records/sinks/registry.generated.ts';
import { createSilentLog, createSystemClock, createSystemRandom, Secret } from '../../src/std/index.ts';
import { type ConformanceSink, sinkItems } from './sink-items.ts';

interface SinkCase {
  readonly conformance: { readonly lacks?: string | undefined; open(): Promise<ConformanceSink> };
}

const cases = await Promise.all(
  recordSinks.map(async (member: SinkMember) => {
    const { conformance }: SinkCase = await import(`../../src/records/sinks/${member.id}/testing/conformance.ts`);
    return { id: member.id, member, conformance };
  }),
);
const { signal } = new AbortController();

describe.each(cases.filter(({ conformance }) => conformance.lacks === undefined))('the sink $id', ({
  member,
  conformance,
}) => {
  let there: ConformanceSink;
  beforeEach(async () => {
    there = await conformance.open();
  });
  afterEach(() => there.close());

  const deps = () => ({
    ...{ clock: createSystemClock(), random: createSystemRandom(), log: createSilentLog(), name: 'one', dataDir: '/' },
    readSecret(reference: string) {
      const text = there.secrets[reference];
      return text === undefined ? undefined : Secret.fromText(text);
    },
    readTrustedFile: (path: string) => there.files?.[path],
  });
  const opened = () => member.open(there.config, deps());

  it('describes itself: kind, one sentence, a closed schema whose keys all say what they are', () => {
    expect(member.kind).toBe('sink');
    expect(member.summary).toMatch(/\.$/);
    expect(Value.Check(member.config, { ...there.config, unexpected: 1 })).toBe(false);
    for (const property of Object.values(member.config.properties)) expect(property).toHaveProperty('description');
  });

  it('refuses a config that its schema does not allow', async () => {
    await expect(member.open({ ...there.config, unexpected: true }, deps())).rejects.toMatchObject({
      code: 'ERR_RECORDS_SINK',
    });
  });

  it('has all that it says it has taken, in its order, whatever is in it', async () => {
    const sink = await opened();
    const items = sinkItems(120);
    for (let at = 0; at < items.length; at += 50)
      expect(await sink.send(items.slice(at, at + 50), { signal })).toEqual({ kind: 'taken' });
    await sink.close();
    expect(await there.taken()).toEqual(items.map(({ id }) => id));
  });

  it('takes what comes again, under the same ids', async () => {
    const sink = await opened();
    const items = sinkItems(4);
    for (const part of [items, items.slice(2)]) expect(await sink.send(part, { signal })).toEqual({ kind: 'taken' });
    await sink.close();
    expect(new Set(await there.taken())).toEqual(new Set(items.map(({ id }) => id)));
  });

  it('says that it is away while it is, and goes on by itself when it is back', async () => {
    const sink = await opened();
    const items = sinkItems(6);
    expect(await sink.send(items.slice(0, 2), { signal })).toEqual({ kind: 'taken' });
    await there.breakIt();
    const again = await opened();
    for (const one of [sink, again]) {
      const answer = await one.send(items.slice(2), { signal }).catch(() => ({ kind: 'away' }));
      if (one === again) expect(answer).toMatchObject({ kind: 'away' });
    }
    await there.mendIt();
    expect(await again.send(items.slice(2), { signal })).toEqual({ kind: 'taken' });
    await Promise.all([sink.close(), again.close()]);
    expect(new Set(await there.taken())).toEqual(new Set(items.map(({ id }) => id)));
  });

  it('says so when something of it is refused, where the other side can refuse', async () => {
    if (there.refuse === undefined) return expect(member.id).toMatch(/^(file|nats|syslog|fixture)$/);
    const sink = await opened();
    const items = sinkItems(3);
    await there.refuse(items[1]?.id ?? '');
    expect(await sink.send(items, { signal })).toMatchObject({ kind: 'refused' });
    expect(await sink.send(items.slice(1, 2), { signal })).toMatchObject({ kind: 'refused' });
    expect(await sink.send(items.slice(2), { signal })).toEqual({ kind: 'taken' });
    await sink.close();
  });

  it('hands over nothing once it was told to end', async () => {
    const sink = await opened();
    const ended = new AbortController();
    ended.abort();
    const answer = await sink.send(sinkItems(2), { signal: ended.signal }).catch(() => ({ kind: 'away' }));
    expect(answer).toMatchObject({ kind: 'away' });
    await sink.close();
    expect(await there.taken()).toEqual([]);
  });

  it('shows no secret in what it says', async () => {
    const sink = await opened();
    await there.breakIt();
    const answer = await sink
      .send(sinkItems(1), { signal })
      .catch((error) => ({ kind: 'away', reason: String(error) }));
    for (const text of Object.values(there.secrets)) expect(JSON.stringify(answer)).not.toContain(text);
    await sink.close();
  });
});

it.for(cases)('the sink $id can be tried here', ({ conformance }, { skip }) => {
  if (conformance.lacks !== undefined) skip(conformance.lacks);
  expect(conformance.open).toBeTypeOf('function');
});
