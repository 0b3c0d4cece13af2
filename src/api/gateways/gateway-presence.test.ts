// Goal: agents hear that a gateway is away when it is, and never because its connection was renewed.
import { describe, expect, it } from 'vitest';
import { Code, RpcError } from '../../rpc/index.ts';
import { createManualClock, createSilentLog } from '../../std/index.ts';
import { createGatewayPresence } from './gateway-presence.ts';

const gateway = {
  spiffeId: 'spiffe://example.org/countersign/gateway/g1',
  address: 'gw:1',
  instance: 'a',
  state: 'serving',
} as const;

function create() {
  const reports: boolean[] = [];
  const clock = createManualClock(0);
  const presence = createGatewayPresence({
    ...{ clock, log: createSilentLog() },
    resources: { reportGateway: async ({ connected }) => void reports.push(connected) },
  });
  /** A stream of the gateway; ends with that reason of its connection, or because the gateway left. */
  const open = () => {
    const draining = new AbortController();
    const end = Promise.withResolvers<void>();
    const done = presence.during(gateway, draining.signal, () => end.promise);
    return async (reason?: RpcError) => {
      if (reason !== undefined) draining.abort(reason);
      end.resolve();
      await done;
    };
  };
  return { reports, clock, open };
}

const aged = new RpcError(Code.UNAVAILABLE, 'the connection has reached its age; connect again');
const stopping = new RpcError(Code.UNAVAILABLE, 'the server stops');

describe('a gateway', () => {
  it('is away as soon as it leaves', async () => {
    const { reports, open } = create();
    await open()();
    expect(reports).toEqual([true, false]);
  });

  it('stays when the server stops: the next one will know whether it is there', async () => {
    const { reports, clock, open } = create();
    await open()(stopping);
    await clock.advance(60_000);
    expect(reports).toEqual([true]);
  });

  it('stays when its connection has reached its age and it comes back in time', async () => {
    const { reports, clock, open } = create();
    await open()(aged);
    await clock.advance(9_999);
    const leave = open();
    expect(reports).toEqual([true, true]);
    await clock.advance(60_000);
    expect(reports).toEqual([true, true, false]);
    await leave();
    expect(reports).toEqual([true, true, false, false]);
  });

  it('is away when it does not come back', async () => {
    const { reports, clock, open } = create();
    await open()(aged);
    await clock.advance(9_999);
    expect(reports).toEqual([true]);
    await clock.advance(1);
    expect(reports).toEqual([true, false]);
  });
});
