/**
 * `npm run soak -- [--minutes N]`: server, agent and gateway, a process each, under sessions that come and go, make and drop tables, prepare
 * and are denied, and under one small flood after the other. Prints memory of each each ten seconds, and at the end whether it stayed flat once
 * it was warm; ends with 1 if not.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { residentBytes } from '../bench/gateway/process-usage.ts';
import { DOORS, FRAME_KINDS, SOCKET_KINDS } from '../test/scenarios/floods/kinds.ts';
import { declareOperator } from '../test/scenarios/floods/others.ts';
import { type FloodSize, runFlood } from '../test/scenarios/floods/run.ts';
import { ALLOW_ALL, type Stack, startStack } from '../test/support/stack.ts';
import { deeds, type Way } from './soak/clients.ts';
import { type Reading, trendOf } from './soak/trend.ts';

const ROLES = ['server', 'agent', 'gateway'] as const;
/** The doors of server and agent speak HTTP/2. */
const FLOODS = DOORS.flatMap((door) =>
  [...(door === 'server' || door === 'agent' ? FRAME_KINDS : []), ...SOCKET_KINDS].map((kind) => ({ door, kind })),
);
const FLOOD_SIZE: FloodSize = {
  ...{ seconds: 1, atOnce: 10, connectionsMax: 200, from: '127.0.0.2' },
  ...{ restSeconds: 5, awaits: 'sockets' },
};
const EVERY_MS = 10_000;
/** So that what is done takes a part of the machine only. */
const BREATH_MS = 50;

const FORBIDDEN = `@id("hidden") forbid (principal, action == Action::"postgres:select", resource == Postgres::Table::"shop/shop/public/hidden");`;

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '60' } } });
process.exitCode = await main(Number(values.minutes));

async function main(minutes: number): Promise<number> {
  await using stack = await startStack({
    isSearched: false,
    seed: `create table things (id int primary key, note text); insert into things select i, 'note ' || i from generate_series(1, 1000) i;
      create table hidden (id int); grant select on things to shop_app;
      do $$ begin for i in 1 .. 1000 loop execute 'create table filler_' || i || ' (id int, email text, note text)'; end loop; end $$`,
    policies: { soak: `${ALLOW_ALL}\n${FORBIDDEN}` },
  });
  await declareOperator(stack);
  const way: Way = { options: { host: stack.socketDir, port: 5432, user: 'shop_app', database: 'shop' } };
  const done = new Map<string, number>();
  const failed = new Map<string, number>();
  const stop = new AbortController();
  const work = { ...deeds, floods: (_way: Way, round: number) => flood(stack, round) };
  const working = Object.entries(work).map(([name, act]) =>
    repeat(stop.signal, async (round) => {
      try {
        await act(way, round);
        done.set(name, (done.get(name) ?? 0) + 1);
      } catch (error) {
        failed.set(`${name}: ${String(error)}`, (failed.get(`${name}: ${String(error)}`) ?? 0) + 1);
      }
    }),
  );
  const readings = await watch(stack, minutes * 60_000);
  stop.abort();
  await Promise.all(working);
  process.stdout.write(`done: ${JSON.stringify(Object.fromEntries(done))}\n`);
  process.stdout.write(`failed: ${JSON.stringify(Object.fromEntries(failed))}\n`);
  const verdicts = Array.from(readings, ([name, of]) => ({ name, ...trendOf(of) }));
  for (const { name, startBytes, grownBytes, isFlat } of verdicts)
    process.stdout.write(
      `${isFlat ? 'flat after warm-up' : 'GROWS            '}  ${name}: ${mb(startBytes)} MB, ${mb(grownBytes)} MB more\n`,
    );
  process.stdout.write(`${JSON.stringify({ minutes, done: Object.fromEntries(done), verdicts })}\n`);
  return verdicts.every(({ isFlat }) => isFlat) && done.size === working.length ? 0 : 1;
}

/** One after the other, all doors and kinds in turn. */
async function flood(stack: Stack, round: number): Promise<void> {
  const next = FLOODS[round % FLOODS.length];
  if (next === undefined) return;
  const { known, newcomer } = await runFlood(stack, next, FLOOD_SIZE);
  const failed = known.during.failed + newcomer.during.failed;
  if (failed > 0) throw new Error(`${failed} others failed while ${next.door} was flooded with ${next.kind}`);
}

async function repeat(signal: AbortSignal, act: (round: number) => Promise<void>): Promise<void> {
  for (let round = 1; !signal.aborted; round++) {
    await act(round);
    await pause(BREATH_MS);
  }
}

async function watch(stack: Stack, forMs: number): Promise<ReadonlyMap<string, readonly Reading[]>> {
  const readings = new Map<string, Reading[]>();
  const began = performance.now();
  while (performance.now() - began < forMs) {
    await pause(EVERY_MS);
    const seconds = (performance.now() - began) / 1000;
    const line: string[] = [];
    for (const role of ROLES) {
      const looks = [
        ['resident', residentBytes(stack.roles[role].pid)],
        ['heap', await heapBytes(stack.folder.http[role])],
      ] as const;
      for (const [kind, bytes] of looks) {
        const name = `${role} ${kind}`;
        readings.set(name, [...(readings.get(name) ?? []), { seconds, bytes }]);
        line.push(`${name} ${mb(bytes)}`);
      }
    }
    process.stdout.write(`${seconds.toFixed(0).padStart(5)} s  ${line.join('  ')}\n`);
  }
  return readings;
}

async function heapBytes(address: string): Promise<number> {
  const text = await (await fetch(`http://${address}/metrics`)).text();
  return Number(/^countersign_heap_bytes (\S+)/m.exec(text)?.[1]);
}

function mb(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
