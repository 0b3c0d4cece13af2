import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createManualClock, createSeededRandom } from '../../../../std/index.ts';
import { GatewayError } from '../../../errors.ts';
import { placesOf } from './place.ts';
import { createUpstreams } from './upstreams.ts';

const create = (url: string[] = ['http://a:1', 'http://b:1', 'http://c:1']) => {
  const clock = createManualClock(0);
  const down = new Set<string>();
  const tried: string[] = [];
  const upstreams = createUpstreams({ places: placesOf({ url }), clock, random: createSeededRandom('x') });
  const connect = async () => {
    tried.length = 0;
    const { place, socket } = await upstreams.connect(async ({ host }) => {
      tried.push(host);
      if (down.has(host)) throw new GatewayError('ERR_GATEWAY_TARGET_AWAY', `${host} is away`);
      return new Socket();
    }, new AbortController().signal);
    return { host: place.host, place, socket };
  };
  return { clock, down, tried, upstreams, connect };
};

describe('several upstreams', () => {
  it('get connections in equal parts', async () => {
    const { connect } = create();
    const hosts = [await connect(), await connect(), await connect()].map(({ host }) => host);
    expect(hosts.toSorted()).toEqual(['a', 'b', 'c']);
  });

  it('are each tried once, and all of them when all are set aside', async () => {
    const { connect, down, tried, upstreams } = create();
    for (const host of ['a', 'b', 'c']) down.add(host);
    for (let round = 0; round < 3; round++) {
      await expect(connect()).rejects.toThrow('is away');
      expect(tried.toSorted()).toEqual(['a', 'b', 'c']);
    }
    expect(upstreams.isServing).toBe(false);
    down.delete('b');
    expect((await connect()).host).toBe('b');
  });

  it('leave out one that failed until its time is over', async () => {
    const { connect, clock, upstreams, tried } = create(['http://a:1', 'http://b:1']);
    const [a] = upstreams.places;
    if (a === undefined) throw new Error('no place');
    upstreams.failed(a);
    expect(upstreams.isServing).toBe(true);
    await connect();
    await connect();
    expect(tried).toEqual(['b']);
    await clock.advance(1_001);
    expect((await connect()).host).toBe('a');
  });

  it('are set aside for longer each time, for a minute at most, and are as before once they answer', async () => {
    const { connect, clock, upstreams } = create(['http://a:1', 'http://b:1']);
    const [a] = upstreams.places;
    if (a === undefined) throw new Error('no place');
    for (let times = 0; times < 20; times++) upstreams.failed(a);
    await clock.advance(29_000);
    expect((await connect()).host).toBe('b');
    await clock.advance(31_001);
    expect((await connect()).host).toBe('a');
    upstreams.failed(a);
    upstreams.worked(a);
    expect((await connect()).host).toMatch(/[ab]/);
  });

  it('are not tried one after the other for a secret that is not there', async () => {
    const { upstreams } = create();
    let tries = 0;
    const connecting = upstreams.connect(async () => {
      tries++;
      throw new GatewayError('ERR_GATEWAY_SECRET', 'none');
    }, new AbortController().signal);
    await expect(connecting).rejects.toThrow('none');
    expect([tries, upstreams.isServing]).toEqual([1, true]);
  });
});
