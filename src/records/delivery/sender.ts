import { type Clock, codeOf, messageOf, sleep, timeoutSignal } from '../../std/index.ts';
import type { RecordsTables } from '../migrations.ts';
import type { Sink, SinkAnswer, SinkItem } from '../sink.ts';
import { type Delivery, type DeliveryDeps, spansBehind } from './cursors.ts';
import { ocsfEvent } from './ocsf-event.ts';
import type { Pending } from './read-batch.ts';

/** Sends to one sink, ever more seldom while it is away, whatever is sent. */
export interface Sender {
  /** Tries so many times; the last answer, or undefined when it was told to stop. After each that found it away it has waited. */
  send(pending: readonly Pending[], triesMax: number): Promise<SinkAnswer | undefined>;
}

/** Creates a {@link Sender}. */
export function createSender(
  deps: DeliveryDeps,
  of: Delivery & { readonly cursors: ReadonlyMap<number, number> },
): Sender {
  const { clock, random, log, store } = deps;
  const { sink, state, signal, plan, cursors } = of;
  let pauseMs = PAUSE_FIRST_MS;
  return {
    async send(pending, triesMax) {
      const items = pending.map((one) => itemOf(one, deps));
      for (let tries = 1; !signal.aborted; tries++) {
        const answer = await attempt(clock, sink, { items, signal });
        if (answer.kind !== 'away') {
          if (state.view().away !== undefined) log.info('records.sink.back', { sink: plan.name });
          state.reached();
          pauseMs = PAUSE_FIRST_MS;
          return answer;
        }
        if (signal.aborted) return undefined;
        if (state.view().away === undefined) log.warn('records.sink.away', { sink: plan.name, reason: answer.reason });
        state.away(answer.reason, pending[0]);
        const spans = await spansBehind(store.db<RecordsTables>(), cursors);
        state.behind(spans.reduce((sum, { from, end }) => sum + end - from, 0));
        const afterMs = Math.min(answer.retryAfterMs ?? 0, RETRY_AFTER_MS_MAX);
        await sleep(clock, Math.max(afterMs, pauseMs * (0.5 + random.fraction() / 2)), signal).catch(() => {});
        pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
        if (tries >= triesMax) return signal.aborted ? undefined : answer;
      }
      return undefined;
    },
  };
}

async function attempt(
  clock: Clock,
  sink: Sink,
  { items, signal }: { readonly items: readonly SinkItem[]; readonly signal: AbortSignal },
): Promise<SinkAnswer> {
  const limit = timeoutSignal(clock, SEND_MS_MAX, signal);
  try {
    return await sink.send(items, { signal: limit.signal });
  } catch (error) {
    if (limit.isOver) return { kind: 'away', reason: `it did not answer within ${SEND_MS_MAX / 1000} s` };
    return { kind: 'away', reason: `${messageOf(error)}${codeText(error)}` };
  } finally {
    limit.cancel();
  }
}

function itemOf({ log, position, origin, entry }: Pending, of: { trustDomain: string; version: string }): SinkItem {
  const id = `${of.trustDomain}/${log}/${position}`;
  const event = ocsfEvent(entry, { id, origin, position, version: of.version });
  return { id, event, json: JSON.stringify(event) };
}

function codeText(error: unknown): string {
  const code = codeOf(error);
  return code === undefined || messageOf(error).includes(code) ? '' : ` (${code})`;
}

const SEND_MS_MAX = 30_000;
const PAUSE_FIRST_MS = 1000;
const PAUSE_MS_MAX = 60_000;
/** Whoever says to come back in a day is asked sooner. */
const RETRY_AFTER_MS_MAX = 300_000;
