import type { Clock, Log } from '../std/index.ts';
import { messageOf, timeoutSignal } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import type { QuestionsTables } from './migrations.ts';
import { keyOf, readPage, readWhole, TOPIC_ANSWERED, type WholeAnswer } from './rows.ts';
import type { AnsweringGateway, GatewayAddress, Gathered, UnansweredGateway } from './types.ts';

/** Who has answered, and what is still waited for. */
export interface GatherDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** All that are there, on any server. */
  readonly present: () => Promise<readonly AnsweringGateway[]>;
}

export interface GatherOptions {
  readonly id: string;
  readonly waitMs: number;
  /** Those that are asked by name, whether they are there or not; undefined: all that are there. */
  readonly named: readonly GatewayAddress[] | undefined;
  take(gateway: GatewayAddress, page: Uint8Array): void;
  readonly signal: AbortSignal;
}

/** Hands on whole answers as they come, until all that are present have answered or the time is over. @throws the abort error; StoreError */
export async function gather(deps: GatherDeps, options: GatherOptions): Promise<Gathered> {
  const { store, clock, present } = deps;
  const { id, signal } = options;
  const db = store.db<QuestionsTables>();
  const expected = new Map<string, AnsweringGateway>();
  const problems = new Map<string, string>();
  const done = new Set<string>();
  const named = options.named === undefined ? undefined : new Map(options.named.map((one) => [keyOf(one), one]));
  const expect = async () => {
    for (const gateway of await present())
      if (named?.has(keyOf(gateway)) !== false) expected.set(instanceKey(gateway), gateway);
  };
  let wake = () => {};
  let isNew = true;
  const unsubscribe = store.subscribe(TOPIC_ANSWERED, (payload) => {
    if (payload !== '' && payload !== id) return;
    isNew = true;
    wake();
  });
  const time = timeoutSignal(clock, options.waitMs, signal);
  const onEnd = () => wake();
  time.signal.addEventListener('abort', onEnd, { once: true });
  const absent = () => {
    const there = new Set(Array.from(expected.values(), keyOf));
    return Array.from(named?.values() ?? []).filter((gateway) => !there.has(keyOf(gateway)));
  };
  const isAll = () => Array.from(expected.keys()).every((key) => done.has(key)) && absent().length === 0;
  try {
    await expect();
    for (;;) {
      if (isNew) {
        isNew = false;
        for (const whole of await readWhole(db, id)) {
          const key = instanceKey(whole.gateway);
          if (done.has(key)) continue;
          const problem = await takeWhole(deps, options, whole);
          expected.set(key, whole.gateway);
          done.add(key);
          if (problem !== undefined) problems.set(key, problem);
        }
      }
      // One may have come meanwhile, and have what another one had.
      if (isAll()) await expect();
      if (isAll() || time.isOver) break;
      signal.throwIfAborted();
      if (isNew) continue;
      await new Promise<void>((resolve) => {
        const timer = clock.after(LOOK_MS, () => {
          isNew = true; // A notification may have been lost.
          resolve();
        });
        wake = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    const silent = Array.from(expected.keys()).some((key) => !done.has(key));
    const there = new Set(silent ? (await present()).map(instanceKey) : []);
    for (const key of expected.keys())
      if (!done.has(key)) problems.set(key, there.has(key) ? silentFor(options.waitMs) : GONE);
    for (const gateway of absent()) {
      const instance = { ...gateway, instance: '' };
      expected.set(instanceKey(instance), instance);
      problems.set(instanceKey(instance), ABSENT);
    }
    return outcomeOf(expected, problems);
  } finally {
    unsubscribe();
    time.signal.removeEventListener('abort', onEnd);
    time.cancel();
  }
}

/** Hands on its pages; what is wrong with it otherwise. */
async function takeWhole(
  { store, log }: GatherDeps,
  { id, take }: GatherOptions,
  { gateway, pages, isProblem }: WholeAnswer,
): Promise<string | undefined> {
  const db = store.db<QuestionsTables>();
  if (isProblem) return Buffer.from(await readPage(db, id, { gateway, page: 0 })).toString();
  const { spiffeId, address } = gateway;
  for (let page = 0; page < pages; page++) {
    const body = await readPage(db, id, { gateway, page });
    try {
      take({ spiffeId, address }, body);
    } catch (error) {
      log.warn('questions.answer.unusable', { spiffeId, address, problem: messageOf(error) });
      return UNUSABLE;
    }
  }
  return undefined;
}

/** Processes of one gateway are one: it has answered when all of them have. */
function outcomeOf(expected: ReadonlyMap<string, AnsweringGateway>, problems: ReadonlyMap<string, string>): Gathered {
  const unanswered = new Map<string, UnansweredGateway>();
  const answered = new Map<string, GatewayAddress>();
  for (const [key, { spiffeId, address }] of expected) {
    const why = problems.get(key);
    if (why === undefined) answered.set(keyOf({ spiffeId, address }), { spiffeId, address });
    else unanswered.set(keyOf({ spiffeId, address }), { spiffeId, address, why });
  }
  for (const key of unanswered.keys()) answered.delete(key);
  return { answered: inOrder(answered), unanswered: inOrder(unanswered) };
}

function inOrder<Of extends GatewayAddress>(gateways: ReadonlyMap<string, Of>): readonly Of[] {
  const keys = Array.from(gateways.keys()).toSorted();
  return keys.flatMap((key) => gateways.get(key) ?? []);
}

function instanceKey(gateway: AnsweringGateway): string {
  return `${keyOf(gateway)} ${gateway.instance}`;
}

function silentFor(waitMs: number): string {
  return `it has not answered within ${waitMs / 1000} seconds`;
}

const GONE = 'it was connected, and is not any more';
const ABSENT = 'it is not connected to any server';
const UNUSABLE = 'its answer can not be used: see the log of the server';
const LOOK_MS = 1_000;
