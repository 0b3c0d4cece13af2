import { describe, expect, it } from 'vitest';
import { createTurns, type GroupDatabase, type GroupJob } from './turns.ts';

/** A database that only notes what is asked of it. `failAt` makes that step throw. */
function createNotes(failAt?: keyof GroupDatabase): GroupDatabase & { readonly steps: string[] } {
  const steps: string[] = [];
  let inTransaction = false;
  const step = (name: keyof GroupDatabase, after?: boolean) => () => {
    steps.push(name);
    if (name === failAt) throw new Error(`${name} failed`);
    if (after !== undefined) inTransaction = after;
  };
  return {
    steps,
    begin: step('begin', true),
    savepoint: step('savepoint'),
    releaseSavepoint: step('releaseSavepoint'),
    undoSavepoint: step('undoSavepoint'),
    commit: step('commit', false),
    rollback: step('rollback', false),
    inTransaction: () => inTransaction,
  };
}

function job(outcomes: string[], name: string, run: () => Promise<void> = async () => {}): GroupJob {
  return {
    run,
    committed: () => void outcomes.push(`${name} committed`),
    failed: (error) => void outcomes.push(`${name} failed: ${error instanceof Error ? error.message : error}`),
  };
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('turns', () => {
  it('give transactions that wait together one commit, and tell them only after it', async () => {
    const database = createNotes();
    const turns = createTurns(database);
    const outcomes: string[] = [];
    let committedBefore = -1;
    turns.transaction(job(outcomes, 'a'), undefined);
    turns.transaction(
      job(outcomes, 'b', async () => {
        committedBefore = outcomes.length;
      }),
      undefined,
    );
    await turn();
    expect(database.steps).toEqual([
      'begin',
      'savepoint',
      'releaseSavepoint',
      'savepoint',
      'releaseSavepoint',
      'commit',
    ]);
    expect(outcomes).toEqual(['a committed', 'b committed']);
    expect(committedBefore).toBe(0);
  });

  it('undo only the one that fails', async () => {
    const database = createNotes();
    const turns = createTurns(database);
    const outcomes: string[] = [];
    const fails = async () => {
      throw new Error('no');
    };
    turns.transaction(job(outcomes, 'a'), undefined);
    turns.transaction(job(outcomes, 'b', fails), undefined);
    turns.transaction(job(outcomes, 'c'), undefined);
    await turn();
    expect(outcomes).toEqual(['b failed: no', 'a committed', 'c committed']);
    expect(database.steps.filter((step) => step === 'undoSavepoint')).toHaveLength(1);
  });

  it.each([
    'begin',
    'commit',
    'releaseSavepoint',
  ] as const)('fail every member when %s fails, and go on with the next', async (failAt) => {
    const database = createNotes(failAt);
    const turns = createTurns(database);
    const outcomes: string[] = [];
    turns.transaction(job(outcomes, 'a'), undefined);
    await turn();
    expect(outcomes).toEqual([`a failed: ${failAt} failed`]);
    expect(database.inTransaction()).toBe(false);
    const leave = await turns.statement();
    leave();
  });

  it('do not let a statement in between the members of a group, nor a group while a statement runs', async () => {
    const database = createNotes();
    const turns = createTurns(database);
    const outcomes: string[] = [];
    turns.transaction(job(outcomes, 'a'), undefined);
    const statement = turns.statement().then((leave) => {
      outcomes.push('statement');
      return leave;
    });
    turns.transaction(job(outcomes, 'b'), undefined);
    const leave = await statement;
    await turn();
    expect(outcomes).toEqual(['a committed', 'statement']);
    leave();
    await turn();
    expect(outcomes).toEqual(['a committed', 'statement', 'b committed']);
  });

  it('share one commit among 64 at most', async () => {
    const database = createNotes();
    const turns = createTurns(database);
    const outcomes: string[] = [];
    for (let n = 0; n < 65; n++) turns.transaction(job(outcomes, `${n}`), undefined);
    while (outcomes.length < 65) await turn();
    expect(database.steps.filter((step) => step === 'commit')).toHaveLength(2);
  });

  it('refuse the 10,001st that waits', async () => {
    const turns = createTurns(createNotes());
    const leave = await turns.statement();
    const outcomes: string[] = [];
    for (let n = 0; n < 10_000; n++) turns.transaction(job(outcomes, `${n}`), undefined);
    expect(outcomes).toEqual([]);
    turns.transaction(job(outcomes, 'last'), undefined);
    expect(outcomes).toEqual(['last failed: 10000 statements and transactions wait already']);
    await expect(turns.statement()).rejects.toMatchObject({ code: 'ERR_STORE_QUEUE_FULL' });
    leave();
  });
});
