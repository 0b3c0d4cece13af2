import type { FollowName, Operations } from '@countersign/sdk/client';
import { messageOf, sleep } from '../../std/index.ts';
import type { CliContext, CliInput } from '../command.ts';
import { watchReader } from '../terminal/watch-reader.ts';
import { isPassing } from './patiently.ts';
import { withRest } from './with-rest.ts';

/**
 * Shows what a server tells of, until a signal comes or nobody reads any more. A server that goes away, or another in its place, is waited for: what
 * came meanwhile is shown then, and nothing twice. Only where none was there at first is that a failure.
 * @throws ApiProblem for what is asked wrongly, also later on: that the caller may no more; system errors of the first connection; UsageError
 */
export async function followEvents<Name extends FollowName>(
  context: CliContext,
  input: CliInput,
  of: {
    readonly name: Name;
    readonly asked: Operations[Name]['input'];
    readonly show: (event: Operations[Name]['event']) => void;
  },
): Promise<void> {
  const watch = watchReader(context.clock, context.signal);
  const { signal } = watch;
  let [lastEventId, wasThere, isAway, waitMs]: [string | undefined, boolean, boolean, number] = [
    undefined,
    false,
    false,
    0,
  ];
  const lost = async (why: string) => {
    if (!isAway) context.warn(`the server is away: ${why}; it is tried again`);
    isAway = true;
    waitMs = Math.min(WAIT_MS_MAX, waitMs === 0 ? WAIT_MS_FIRST : 2 * waitMs);
    // Not all at one moment: many may have been following.
    await sleep(context.clock, waitMs * (0.5 + context.random.fraction() / 2), signal);
  };
  const onStanding = (id: string) => {
    lastEventId = id;
  };
  const onOpen = () => {
    if (isAway) context.warn('the server is back');
    [wasThere, isAway] = [true, false];
  };
  try {
    for (;;) {
      try {
        await withRest(context, input, async (client) => {
          const options = { signal, lastEventId, onOpen, onStanding };
          for await (const { id, event } of client.follow(of.name, of.asked, options)) {
            of.show(event);
            lastEventId = id;
            waitMs = 0;
          }
        });
        await lost('it has ended the stream');
      } catch (error) {
        if (signal.aborted) return;
        if (!wasThere || !isPassing(error)) throw error;
        await lost(messageOf(error));
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    watch.release();
  }
}

const WAIT_MS_FIRST = 500;
const WAIT_MS_MAX = 10_000;
