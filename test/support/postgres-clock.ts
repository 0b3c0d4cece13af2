/**
 * The clock of a PostgreSQL, told by a test: `await using` nothing, it goes with the schema.
 *
 * `const time = await tellClock(postgres); await time.pass(10_000);` Whoever asks for `clock_timestamp()` gets it; what PostgreSQL does by itself goes by the real one.
 */
import type { TestPostgres } from './postgres.ts';

export interface ToldClock {
  /** Moves it on; a negative `byMs` sets it back. */
  pass(byMs: number): Promise<void>;
}

/** Takes the clock of that database over, from `startMs` on (epoch milliseconds), for connections that are opened from now on. */
export async function tellClock(postgres: TestPostgres, startMs: number): Promise<ToldClock> {
  await postgres.query(`
    create table public.told_clock as select ${startMs}::bigint as ms;
    create function public.clock_timestamp() returns timestamptz language sql volatile
      as 'select to_timestamp(ms / 1000.0) from public.told_clock';
    alter database postgres set search_path = public, pg_catalog`);
  return {
    async pass(byMs) {
      await postgres.query('update public.told_clock set ms = ms + $1', [byMs]);
    },
  };
}
