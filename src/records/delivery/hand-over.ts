import type { Clock } from '../../std/index.ts';
import type { SinkAnswer } from '../sink.ts';
import { type Delivery, type DeliveryDeps, moveCursors, type SinkPlan } from './cursors.ts';
import type { Pending } from './read-batch.ts';
import { createSender } from './sender.ts';

/** Hands over a batch, and moves the cursors. */
export function createHand(
  deps: DeliveryDeps,
  of: Delivery & { readonly cursors: Map<number, number>; readonly waiting: WaitingLogs },
) {
  const { plan, state, cursors, waiting, signal } = of;
  const sender = createSender(deps, of);
  const move = (to: ReadonlyMap<number, number>) => moveCursors(deps, of, to);
  const settle = (logs: readonly number[]) => {
    for (const log of logs) {
      waiting.passed(log);
      state.passed(log);
    }
  };
  return {
    /** One that was refused before: once, since the others wait for it. */
    async again(one: Pending): Promise<void> {
      const answer = await sender.send([one], 1);
      if (answer === undefined) return;
      if (answer.kind !== 'taken') return waiting.add(one.log);
      await move(new Map([[one.log, one.position + 1]]));
      state.taken(1);
      settle([one.log]);
    },
    async over(entries: readonly Pending[], ends: ReadonlyMap<number, number>): Promise<void> {
      const stopped = new Set<number>();
      const isLeft = ({ log, position }: Pending) => !stopped.has(log) && position >= (cursors.get(log) ?? 0);
      const refuse = async ({ log, position, origin }: Pending, reason: string) => {
        stopped.add(log);
        waiting.add(log);
        state.refused({ log, position, origin, reason });
        deps.log.warn('records.sink.refused', { sink: plan.name, entry: `${log}/${position}`, reason });
        // All before it were taken, or are not asked for.
        if ((cursors.get(log) ?? 0) < position) await move(new Map([[log, position]]));
      };
      // In halves from the first that is refused on, until what is refused is known: all before it goes on in its order.
      const parts = [...partsOf(entries, plan)];
      for (let part = parts.shift(); part !== undefined && !signal.aborted; part = parts.shift()) {
        const left = part.filter(isLeft);
        const [first, ...others] = left;
        if (first === undefined) continue;
        const isSkipped = isLeftOut(first, plan);
        const answer = isSkipped ? TAKEN : await sender.send(left, TRIES_MAX);
        if (answer === undefined) return;
        if (answer.kind === 'taken') {
          if (isSkipped) await tellSkipped(deps, plan, first);
          else state.taken(left.length);
          await move(new Map(left.map((one) => [one.log, one.position + 1])));
          settle(left.map((one) => one.log));
        } else if (others.length > 0) {
          const middle = Math.ceil(left.length / 2);
          parts.unshift(left.slice(0, middle), left.slice(middle));
        } else if (answer.kind === 'refused') {
          await refuse(first, answer.reason);
        } else {
          // Whether it is the sink or this entry, another log's next one tells: a writer could hold up all others by an entry that a sink fails over.
          const other = nextOfAnother(first.log, parts.flat().filter(isLeft), plan);
          if (other === undefined) return;
          const told = await sender.send([other], 1);
          if (told === undefined) return;
          if (told.kind === 'away') {
            parts.unshift(left);
            continue;
          }
          if (told.kind === 'refused') await refuse(other, told.reason);
          else {
            state.taken(1);
            await move(new Map([[other.log, other.position + 1]]));
          }
          await refuse(first, answer.reason);
        }
      }
      if (signal.aborted) return;
      const passed = Array.from(ends).filter(([log, end]) => !stopped.has(log) && (cursors.get(log) ?? 0) < end);
      if (passed.length > 0) await move(new Map(passed));
      settle(passed.map(([log]) => log));
    },
  };
}

/** The next entry of some log but that one, where it is one to be handed over. */
function nextOfAnother(log: number, entries: readonly Pending[], plan: SinkPlan): Pending | undefined {
  const looked = new Set([log]);
  for (const one of entries) {
    if (looked.has(one.log)) continue;
    if (!isLeftOut(one, plan)) return one;
    looked.add(one.log);
  }
  return undefined;
}

/** What is left out stands alone. */
function* partsOf(entries: readonly Pending[], plan: SinkPlan): Generator<readonly Pending[]> {
  let from = 0;
  for (const [n, one] of entries.entries()) {
    if (!isLeftOut(one, plan)) continue;
    yield entries.slice(from, n);
    yield [one];
    from = n + 1;
  }
  yield entries.slice(from);
}

function isLeftOut({ log, position }: Pending, { skip }: SinkPlan): boolean {
  return skip.has(`${log}/${position}`);
}

/** That an entry is left out is itself an entry. */
async function tellSkipped(
  { write, clock, trustDomain, log }: DeliveryDeps,
  plan: SinkPlan,
  one: Pending,
): Promise<void> {
  log.warn('records.sink.skipped', { sink: plan.name, entry: `${one.log}/${one.position}` });
  await write({
    ...{ kind: 'ledger', timeMs: clock.now(), actor: `spiffe://${trustDomain}/spire/server`, target: one.origin },
    ...{ action: 'record:sink-skipped', session: '', operation: '' },
    detail: { sink: plan.name, log: one.log, position: one.position },
  });
}

/** Logs whose next entry is refused, and when it is tried again. */
export interface WaitingLogs {
  has(log: number): boolean;
  isDue(log: number): boolean;
  add(log: number): void;
  passed(log: number): void;
}

/** Creates {@link WaitingLogs}. */
export function createWaitingLogs(clock: Clock): WaitingLogs {
  const logs = new Map<number, { readonly untilMs: number; readonly nextMs: number }>();
  return {
    has: (log) => logs.has(log),
    isDue: (log) => clock.monotonicMs() >= (logs.get(log)?.untilMs ?? Number.POSITIVE_INFINITY),
    add(log) {
      const pauseMs = logs.get(log)?.nextMs ?? REFUSED_FIRST_MS;
      logs.set(log, { untilMs: clock.monotonicMs() + pauseMs, nextMs: Math.min(pauseMs * 2, REFUSED_MS_MAX) });
    },
    passed: (log) => void logs.delete(log),
  };
}

const TAKEN: SinkAnswer = { kind: 'taken' };
/** So often a batch is tried as it is while the sink is away; then its halves. */
const TRIES_MAX = 5;
const REFUSED_FIRST_MS = 30_000;
const REFUSED_MS_MAX = 600_000;
