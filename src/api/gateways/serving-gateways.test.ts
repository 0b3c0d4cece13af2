import { beforeEach, describe, expect, it } from 'vitest';
import type { GatewayView, Resources } from '../../resources/index.ts';
import { createManualClock, type ManualClock } from '../../std/index.ts';
import { createServingGateways, type ServingGateways } from './serving-gateways.ts';

// Goal: agents hear who serves, soon and not more often than they need to. Stands for the store: what `say` was given last.

let clock: ManualClock;
let serving: ServingGateways;
let all: readonly GatewayView[];
let subscribers: Set<(gateways: readonly GatewayView[]) => void>;
let told: string[][];

const addresses = () => serving.now().map(({ address }) => address);
const say = (...names: string[]) => {
  all = ['a', 'b', 'c'].map((name) => ({
    ...{ spiffeId: 'spiffe://example.org/countersign/gateway', address: `${name}:1`, connected: true, sinceMs: 0 },
    state: names.includes(name) ? 'serving' : 'leaving',
  }));
  for (const call of subscribers) call(all);
};

beforeEach(() => {
  clock = createManualClock(0);
  [all, subscribers, told] = [[], new Set(), []];
  const onGateways: Resources['onGateways'] = (call) => {
    subscribers.add(call);
    return () => void subscribers.delete(call);
  };
  serving = createServingGateways({ clock, resources: { gateways: () => all, onGateways } });
});

describe('a change of who serves', () => {
  it('is told once with all that came within a quarter of a second, as it is by then', async () => {
    serving.onChange(() => told.push(addresses()));
    say('a');
    await clock.advance(249);
    say('a', 'b');
    say('b', 'c');
    expect(told).toEqual([]);
    await clock.advance(1);
    expect(told).toEqual([['b:1', 'c:1']]);
    await clock.advance(10_000);
    expect(told).toHaveLength(1);
  });

  it('that is undone by then is none, and neither is another state of who does not serve', async () => {
    serving.onChange(() => told.push(addresses()));
    say();
    say('a');
    say();
    await clock.advance(250);
    expect(told).toEqual([]);
    expect(clock.pending()).toBe(0);
  });

  it('is told at the last of many in any case', async () => {
    serving.onChange(() => told.push(addresses()));
    for (let n = 0; n < 50; n++) {
      say(...(n % 2 === 0 ? ['a'] : []));
      await clock.advance(100);
    }
    say('a', 'c');
    await clock.advance(250);
    expect(told.at(-1)).toEqual(['a:1', 'c:1']);
    expect(told.length).toBeLessThan(20);
  });

  it('is told to each who listens then, and nothing is left of those who do no more', async () => {
    const stop = serving.onChange(() => told.push(['first']));
    const stopOther = serving.onChange(() => told.push(['other']));
    say('a');
    stop();
    await clock.advance(250);
    expect(told).toEqual([['other']]);
    say('b');
    stopOther();
    expect([subscribers.size, clock.pending()]).toEqual([0, 0]);
    serving.onChange(() => told.push(addresses()));
    say('b', 'c');
    await clock.advance(250);
    expect(told.at(-1)).toEqual(['b:1', 'c:1']);
  });
});

describe('when nobody serves any more', () => {
  const states = (...given: [name: string, what: 'serving' | 'starting' | 'leaving' | 'gone'][]) => {
    all = given.map(([name, what]) => ({
      ...{ spiffeId: 'spiffe://example.org/countersign/gateway', address: `${name}:1`, connected: what !== 'gone' },
      ...{ sinceMs: 0, state: what === 'gone' ? 'serving' : what },
    }));
    for (const call of subscribers) call(all);
  };
  beforeEach(() => {
    serving.onChange(() => told.push(addresses()));
    states(['a', 'serving'], ['b', 'serving']);
  });

  it('those are told of that went without a word, until somebody serves', async () => {
    await clock.advance(250);
    states(['a', 'gone'], ['b', 'serving']);
    await clock.advance(250);
    states(['a', 'gone'], ['b', 'gone'], ['c', 'starting']);
    await clock.advance(250);
    expect(addresses()).toEqual(['b:1']);
    states(['a', 'gone'], ['b', 'gone'], ['c', 'serving']);
    await clock.advance(250);
    expect(told).toEqual([['a:1', 'b:1'], ['b:1'], ['c:1']]);
  });

  it('those are not that said that they leave, nor those that were forgotten', () => {
    expect(addresses()).toEqual(['a:1', 'b:1']);
    states(['a', 'leaving'], ['b', 'gone']);
    expect(addresses()).toEqual(['b:1']);
    states(['a', 'gone'], ['b', 'gone']);
    expect(addresses()).toEqual(['b:1']);
    states(['a', 'gone']);
    expect(addresses()).toEqual([]);
  });
});
