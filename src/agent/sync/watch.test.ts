import { getEventListeners } from 'node:events';
import { create } from '@bufbuild/protobuf';
import { NodeUpdateSchema } from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import { describe, expect, it } from 'vitest';
import { createManualClock, createSilentLog } from '../../std/index.ts';
import { createWatch } from './watch.ts';

/** A watch whose server answers once and then ends the stream, as one does whose connections live three minutes. */
function createEndingWatch(onLost: () => void) {
  return createWatch({
    clock: createManualClock(0),
    log: createSilentLog(),
    link: {
      async *watchNode() {
        yield create(NodeUpdateSchema, { entriesRevision: 1n });
      },
    },
    onChange() {},
    onTargets() {},
    onLost,
  });
}

describe('a watch whose stream is ended again and again', () => {
  it('leaves nothing behind on the signal of the agent, which lives as long as the process', async () => {
    const stop = new AbortController();
    for (let streams = 0; streams < 20; streams++) {
      await new Promise<void>((lost) => createEndingWatch(lost).ensure(stop.signal));
    }
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0);
  });

  it('leaves nothing behind when it is closed for a newer identity either', () => {
    const stop = new AbortController();
    const watch = createEndingWatch(() => {});
    for (let streams = 0; streams < 20; streams++) {
      watch.ensure(stop.signal);
      watch.restart();
    }
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0);
  });
});
