import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { SyncAuthorizedEntriesResponseSchema } from '@countersign/sdk/contract/gen/spire/api/server/entry/v1/entry_pb.ts';
import { describe, expect, it } from 'vitest';
import { createSilentLog } from '../../std/index.ts';
import type { SyncCall } from '../attach/server-link.ts';
import { syncEntries } from './sync-entries.ts';

type Answer = MessageInitShape<typeof SyncAuthorizedEntriesResponseSchema>;

/** A server that answers with these messages, whatever is asked; `asked` collects the ids of each request. */
function script(answers: Answer[]): { call: SyncCall; asked: string[][] } {
  const asked: string[][] = [];
  const call: SyncCall = {
    async send(message) {
      asked.push([...(message.ids ?? [])]);
    },
    end() {},
    cancel() {},
    responses: (async function* () {
      for (const answer of answers) yield create(SyncAuthorizedEntriesResponseSchema, answer);
    })(),
  };
  return { call, asked };
}

const entry = (id: string, revision = 0) => ({
  id,
  spiffeId: { trustDomain: 'example.org', path: `/${id}` },
  selectors: [{ type: 'unix', value: 'uid:1' }],
  revisionNumber: BigInt(revision),
});
const revision = (id: string, revisionNumber = 0n) => ({ id, revisionNumber });

describe('the sync of entries', () => {
  const run = async (answers: Answer[], before: Answer[] = [{ entries: [] }]) => {
    const old = await syncEntries(script(before).call, new Map(), createSilentLog());
    const known = new Map(old.map((each) => [each.id, each]));
    const { call, asked } = script(answers);
    return { entries: await syncEntries(call, known, createSilentLog()), known, asked };
  };

  it('takes whole entries that come at once, in one message or several', async () => {
    expect((await run([{ entries: [entry('a')] }])).entries).toHaveLength(1);
    expect((await run([{ entries: [entry('a')], more: true }, { entries: [entry('b')] }])).entries).toHaveLength(2);
    expect((await run([{}])).entries).toEqual([]);
  });

  it('asks in pages for what is new or changed, keeps what is not, and drops what is gone', async () => {
    const { entries, known, asked } = await run(
      [
        { entryRevisions: [revision('a'), revision('b', 1n)], more: true },
        { entryRevisions: [revision('c'), revision('d')] },
        { entries: [entry('b', 1)], more: true },
        { entries: [entry('c')] },
        { entries: [entry('d')] },
      ],
      [{ entries: [entry('a'), entry('b'), entry('gone')] }],
    );
    expect(asked).toEqual([[], ['b', 'c'], ['d']]);
    expect(entries.map(({ id }) => id).toSorted()).toEqual(['a', 'b', 'c', 'd']);
    expect(entries.find(({ id }) => id === 'a')).toBe(known.get('a'));
  });

  it('leaves out an entry that was deleted between its revision and its page', async () => {
    const { entries } = await run([{ entryRevisions: [revision('a')] }, {}]);
    expect(entries).toEqual([]);
  });

  it.each([
    ['ends before it answered', []],
    ['ends in the middle', [{ entries: [entry('a')], more: true }]],
    ['mixes revisions into entries', [{ entries: [entry('a')], more: true }, { entryRevisions: [revision('b')] }]],
    ['mixes entries into revisions', [{ entryRevisions: [revision('b')], entries: [entry('a')] }]],
  ] as [string, Answer[]][])('fails when the server %s', async (_what, answers) => {
    await expect(run(answers)).rejects.toMatchObject({ code: 'ERR_AGENT_SERVER_ANSWER' });
  });
});
