import { beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, type ManualClock } from '../../std/index.ts';
import { createGatewayChoice, type GatewayPlace } from './choose-gateway.ts';

// Goal: load spreads, each node stays with its gateway, and one that is away is not asked again and again.

const place = (name: string): GatewayPlace => ({
  address: `${name}:7443`,
  spiffeId: 'spiffe://example.org/countersign/gateway',
});
const [a, b, c] = ['a', 'b', 'c'].map(place) as [GatewayPlace, GatewayPlace, GatewayPlace]; // Three are made.
const target = (gateways: readonly GatewayPlace[], name = 'orders') => ({ name, protocol: 'postgres', gateways });

let clock: ManualClock;
beforeEach(() => {
  clock = createManualClock(0);
});
const choiceOf = (node: string) => createGatewayChoice({ clock, node: () => node });

describe('the gateways of a target', () => {
  it('are tried in an order of the node’s own, whatever order they are told in', () => {
    const choice = choiceOf('n1');
    const order = choice.order(target([a, b, c])).places;
    expect(choice.order(target([c, a, b])).places).toEqual(order);
    expect(choiceOf('n1').order(target([b, c, a])).places).toEqual(order);
    expect(new Set(order)).toEqual(new Set([a, b, c]));
  });

  it('have about as many nodes each, and as many targets of one node', () => {
    for (const of of ['nodes', 'targets']) {
      const counts = new Map<string, number>();
      for (let n = 0; n < 900; n++) {
        const [node, name] = of === 'nodes' ? [`n${n}`, 'orders'] : ['n', `t${n}`];
        const [first] = choiceOf(node).order(target([a, b, c], name)).places;
        counts.set(first?.address ?? '', (counts.get(first?.address ?? '') ?? 0) + 1);
      }
      expect([...counts.values()].every((count) => count > 240 && count < 360)).toBe(true);
    }
  });

  it('keep their nodes when one goes or comes, but for those that it had or takes', () => {
    for (let n = 0; n < 100; n++) {
      const choice = choiceOf(`n${n}`);
      const all = choice.order(target([a, b, c])).places;
      expect(choice.order(target([a, c])).places).toEqual(all.filter((one) => one !== b));
    }
  });
});

describe('a gateway that was missed', () => {
  const first = () => choice.order(target([a, b])).places[0];
  let choice: ReturnType<typeof choiceOf>;
  let [one, other] = [a, b];
  beforeEach(() => {
    choice = choiceOf('n1');
    [one, other] = choice.order(target([a, b])).places as [GatewayPlace, GatewayPlace]; // Two in, two out.
  });

  it('comes last for five seconds, for every target', async () => {
    choice.missed(one);
    await clock.advance(4_999);
    expect(first()).toBe(other);
    expect(choice.order(target([a, b, c], 'more')).places.at(-1)).toBe(one);
    await clock.advance(1);
    expect(first()).toBe(one);
  });

  it('is tried by one session then, and by others once that was taken there', async () => {
    choice.missed(one);
    await clock.advance(5_000);
    expect([first(), first(), first()]).toEqual([one, other, other]);
    choice.took(one);
    expect(first()).toBe(one);
  });

  it('comes last again when it is missed again, or nobody says', async () => {
    choice.missed(one);
    await clock.advance(5_000);
    expect(first()).toBe(one);
    await clock.advance(4_999);
    expect(first()).toBe(other);
    await clock.advance(1);
    expect(first()).toBe(one);
  });

  it('is tried by the next session when the one that tried it went before it had an answer', async () => {
    choice.missed(one);
    await clock.advance(5_000);
    const tried = choice.order(target([a, b]));
    expect([tried.places[0], first()]).toEqual([one, other]);
    tried.giveBack();
    expect(first()).toBe(one);
  });

  it('is left alone for twenty times as long as that session waited, so that clients of little patience find the others', async () => {
    choice.missed(one);
    await clock.advance(5_000);
    const tried = choice.order(target([a, b]));
    await clock.advance(100);
    tried.giveBack();
    await clock.advance(1_999);
    expect(first()).toBe(other);
    await clock.advance(1);
    const again = choice.order(target([a, b]));
    expect(again.places[0]).toBe(one);
    await clock.advance(4_000);
    again.giveBack();
    await clock.advance(4_999);
    expect(first()).toBe(other);
    await clock.advance(1);
    expect(first()).toBe(one);
  });

  it('is what was found out of it, whoever goes then', async () => {
    choice.missed(one);
    await clock.advance(5_000);
    const tried = choice.order(target([a, b]));
    choice.missed(one);
    tried.giveBack();
    expect(first()).toBe(other);
    await clock.advance(10_000);
    const late = choice.order(target([a, b]));
    choice.took(one);
    late.giveBack();
    expect([first(), first()]).toEqual([one, one]);
    const without = choice.order(target([a, b]));
    choice.missed(one);
    without.giveBack();
    expect(first()).toBe(other);
  });

  it('is left alone for twice as long each time, a minute at most, until it takes somebody', async () => {
    for (const forMs of [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]) {
      // Of sessions that were on their way together each misses it.
      for (let n = 0; n < 3; n++) choice.missed(one);
      await clock.advance(forMs - 1);
      expect(first()).toBe(other);
      await clock.advance(1);
      expect(first()).toBe(one);
    }
    choice.took(one);
    choice.missed(one);
    await clock.advance(5_000);
    expect(first()).toBe(one);
  });

  it('is not waited for when it is tried again', async () => {
    expect(choice.order(target([a, b])).isMissed(one)).toBe(false);
    choice.missed(one);
    await clock.advance(5_000);
    const tried = choice.order(target([a, b]));
    expect([tried.isMissed(one), tried.isMissed(other)]).toEqual([true, false]);
  });

  it('is as good as any once it was gone and is told of again', () => {
    choice.missed(one);
    choice.missed(other);
    choice.listed([other]);
    expect(first()).toBe(one);
  });

  it('is as good as any when all were', () => {
    choice.missed(one);
    choice.missed(other);
    expect(choice.order(target([a, b])).places).toEqual([one, other]);
  });

  it('is remembered within bounds', () => {
    choice.missed(one);
    for (let n = 0; n < 1_000; n++) choice.missed(place(`g${n}`));
    expect(first()).toBe(one);
    choice.missed(one);
    expect(first()).toBe(other);
  });
});
