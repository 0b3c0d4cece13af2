import { createManualClock, type Log, type ManualClock } from '../../../../std/index.ts';
import { type FakeTarget, startFakeTarget } from './fake-target.ts';
import { startTarget } from './harness.ts';

/** A target of the gateway whose server is a fake, by a clock that the test moves. */
export interface FakeGate {
  readonly clock: ManualClock;
  readonly fake: FakeTarget;
  readonly gate: Awaited<ReturnType<typeof startTarget>>;
  close(): Promise<void>;
}

export async function startFakeGate(
  options: Parameters<typeof startFakeTarget>[0] & { readonly log?: Log } = {},
): Promise<FakeGate> {
  const clock = createManualClock(Date.UTC(2026, 10, 22));
  const { log, ...fakeOptions } = options;
  const fake = await startFakeTarget(fakeOptions);
  const gate = await startTarget({
    config: { host: '127.0.0.1', port: fake.port, database: 'app', user: 'gate' },
    clock,
    ...(log === undefined ? {} : { log }),
  });
  return {
    ...{ clock, fake, gate },
    async close() {
      await gate.close();
      await fake.close();
    },
  };
}
