import { create } from '@bufbuild/protobuf';
import {
  type ListGatewaysResponse,
  ListGatewaysResponseSchema,
} from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import { beforeEach, describe, expect, it } from 'vitest';
import type { RpcClient } from '../../rpc/index.ts';
import { createManualClock, type ManualClock } from '../../std/index.ts';
import { askGateways, type GatewayAnswer, warningsOf } from './gateway-answers.ts';

// Goal: whoever applies something is told what the gateways find wrong with it, and never waits for long.

let clock: ManualClock;
let list: () => ListGatewaysResponse['gateways'];
let asked: number;

beforeEach(() => {
  clock = createManualClock(0);
  asked = 0;
});

const FINDING = {
  ...{ condition: 'masks', severity: 'degraded', what: 'target shop' },
  ...{ found: 'policy "typo" masks "customers.snn", which is not there', remedy: 'Mend it.' },
};
const gateway = (n: number, more: object = {}) => ({
  ...{ spiffeId: 'spiffe://example.org/countersign/gateway', address: `gw${n}:1`, connected: true },
  ...more,
});
const listing = (...gateways: object[]) => create(ListGatewaysResponseSchema, { gateways }).gateways;

async function ask(): Promise<readonly GatewayAnswer[] | undefined> {
  const unary = async () => {
    asked++;
    return { gateways: list() };
  };
  const client = { unary } as unknown as RpcClient; // Only this is called.
  const { signal } = new AbortController();
  let answers: readonly GatewayAnswer[] | undefined;
  const asking = askGateways(client, { revision: 7n, clock, signal, timeoutMs: 1000 }).then((all) => {
    answers = all;
  });
  await clock.advance(0);
  if (answers === undefined) await clock.advance(5_000);
  if (answers !== undefined) await asking;
  return answers;
}

describe('asking the gateways', () => {
  it('waits for nobody when none is connected, or all have taken it', async () => {
    list = () => listing(gateway(1, { connected: false }));
    expect(await ask()).toEqual([]);
    list = () => listing(gateway(1, { revision: 7n }), gateway(2, { revision: 8n }));
    expect(await ask()).toMatchObject([{ taken: true }, { taken: true }]);
    expect([asked, clock.monotonicMs()]).toEqual([2, 0]);
  });

  it('waits until the last of them has taken it', async () => {
    list = () => listing(gateway(1, { revision: 7n }), gateway(2, { revision: clock.monotonicMs() < 1_000 ? 6n : 7n }));
    expect(await ask()).toMatchObject([{ taken: true }, { taken: true }]);
    expect(asked).toBeLessThan(10);
  });

  it('waits for five seconds at most, and tells who has not', async () => {
    list = () => listing(gateway(1, { revision: 7n }), gateway(2, { revision: 6n, findings: [FINDING] }));
    const answers = (await ask()) ?? [];
    expect(answers).toMatchObject([{ taken: true }, { taken: false }]);
    expect(warningsOf(answers)).toEqual([
      'gateway gw2:1: warning: has not taken it yet; see `countersign doctor` on its machine',
    ]);
    expect(asked).toBeLessThan(20);
  });
});

describe('what they say', () => {
  const warnings = async (...gateways: object[]) => {
    list = () => listing(...gateways);
    return warningsOf((await ask()) ?? []);
  };
  const taken = { revision: 7n, findings: [FINDING] };

  it('is one line each, with what to do', async () => {
    expect(await warnings(gateway(1, taken), gateway(2, { revision: 7n }))).toEqual([
      'gateway gw1:1: warning: target shop: policy "typo" masks "customers.snn", which is not there (Mend it)',
    ]);
  });

  it('is said once, however many say the same', async () => {
    const [line, ...others] = await warnings(...Array.from({ length: 9 }, (_, n) => gateway(n, taken)));
    expect(line).toMatch(/^gateways gw0:1, gw1:1, gw2:1, gw3:1, gw4:1 and 4 more: warning: target shop: policy/);
    expect(others).toEqual([]);
  });

  it('is told to be more where the server leaves it out', async () => {
    expect(await warnings(gateway(1, { revision: 7n, findingsLeftOut: true }))).toEqual([
      'gateway gw1:1: warning: more is wrong there; see `countersign doctor` on its machine',
    ]);
  });

  it('can not forge a line, nor move the cursor', async () => {
    const hostile = { ...FINDING, found: 'fine\napplied 9 change(s)\u001b[2J' };
    const [line, ...others] = await warnings(gateway(1, { revision: 7n, findings: [hostile] }));
    expect(line).toContain('fine applied 9 change(s)\\u{1b}[2J');
    expect(others).toEqual([]);
  });
});
