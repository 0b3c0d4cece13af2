import { EventEmitter } from 'node:events';
import { Value } from 'typebox/value';
import { describe, expect, it } from 'vitest';
import { configSchema, type GatewayConfig } from '../../config/index.ts';
import { createManualClock, createSystemRandom } from '../../std/index.ts';
import type { ToWorker, WorkerPart } from './messages.ts';
import { createGatewayWorker, openParent, type ParentChannel } from './worker.ts';

// Goal: a process is a worker of the one that has started it, or nothing: never a gateway of its own, nor one that its parent doesn't understand.

class FakeProcess extends EventEmitter {
  connected = true;
  readonly exits: (number | undefined)[] = [];
  readonly send = () => true;
  disconnect() {
    this.connected = false;
    this.emit('disconnect');
  }
  exit(code?: number): never {
    this.exits.push(code);
    return undefined as never; // A process would be gone here.
  }
}

/** What a worker needs of its process, of which this has all. */
const open = (env: Record<string, string>, own: FakeProcess) => openParent(env, own as unknown as NodeJS.Process);

describe('a process', () => {
  it('that nobody has started as a worker is none, with a channel to somebody or without', () => {
    for (const connected of [true, false])
      expect(open({}, Object.assign(new FakeProcess(), { connected }))).toBeUndefined();
  });

  it('whose parent is gone before it looks, or never was, does not become a gateway', () => {
    const own = Object.assign(new FakeProcess(), { connected: false });
    expect(() => open({ COUNTERSIGN_WORKER: '1/2' }, own)).toThrow(
      expect.objectContaining({
        code: 'ERR_APP_WORKER',
        message: expect.stringMatching(/COUNTERSIGN_WORKER.*unset it/),
      }),
    );
  });

  it('ends with its parent, until it has let go of it', () => {
    const [bound, free] = [new FakeProcess(), new FakeProcess()];
    open({ COUNTERSIGN_WORKER: '1/2' }, bound);
    bound.disconnect();
    expect(bound.exits).toEqual([70]);
    open({ COUNTERSIGN_WORKER: '1/2' }, free)?.close();
    expect([free.connected, free.exits]).toEqual([false, []]);
  });
});

it('a worker of another release than its parent does not begin, and says what to do', async () => {
  const filled: unknown = Value.Default(configSchema({}), { trustDomain: 'example.org', gateway: { workers: 2 } });
  const { gateway: config } = filled as { gateway: GatewayConfig }; // The schema's own shape.
  const part: WorkerPart = {
    ...{ number: 1, of: 2, release: '0.0.1-other', parent: process.ppid, trustDomain: 'example.org', config },
    ...{ logLevel: 'info', digestKeyIsNew: false },
  };
  const parent: ParentChannel = {
    send() {},
    hear: (listener: (message: ToWorker) => void) => listener({ kind: 'begin', part }),
    close() {},
  };
  const deps = { env: {}, clock: createManualClock(0), random: createSystemRandom(), stop() {} };
  await expect(createGatewayWorker(parent, deps)).rejects.toMatchObject({
    code: 'ERR_APP_WORKER',
    message: expect.stringMatching(/0\.0\.1-other: restart the gateway$/),
  });
});
