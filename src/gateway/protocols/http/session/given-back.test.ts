import { Duplex } from 'node:stream';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import { type HttpBed, openHttp } from '../testing/harness.ts';

// Goal: what a session has said is counted as long as its client has not taken it, also where the connection is the door's again behind it.

/** A client that takes nothing before it is let. */
class Slow extends Duplex {
  taken = '';
  #isLet = false;
  #waiting: (() => void) | undefined;

  letTake(): void {
    this.#isLet = true;
    this.#waiting?.();
  }

  override _read(): void {}

  override _write(chunk: Buffer, _: unknown, done: () => void): void {
    this.taken += chunk.toString('latin1');
    if (this.#isLet) done();
    else this.#waiting = done;
  }
}

const request = (what: string, token: string) =>
  `${what} HTTP/1.1\r\nhost: api\r\nauthorization: Bearer ${token}\r\n\r\n`;
const OTHER = request('GET /b', 'other');

let client: Slow;
let bed: HttpBed;
let isGivenBack: boolean;

beforeEach(async () => {
  client = new Slow();
  isGivenBack = false;
  const gaveBack = () => {
    isGivenBack = true;
  };
  bed = await openHttp({ client, proofs: { isOwn: (token) => token === 'mine', gaveBack } });
});
afterEach(() => bed.close());

/** As many requests as have answers of so many bytes, and one of another behind them. */
async function ask(bytes: number): Promise<void> {
  const one = request('OPTIONS *', 'mine');
  client.push(one);
  await eventually('there is an answer', () => client.writableLength > 0, { everyMs: 1, withinMs: 5_000 });
  client.push(one.repeat(Math.ceil(bytes / client.writableLength)) + OTHER);
  await eventually('there are all', () => client.writableLength >= bytes || isGivenBack, {
    everyMs: 1,
    withinMs: 5_000,
  });
}

it('a connection is the door’s again when little is untaken of what came before', async () => {
  await ask(16 * 1024);
  await bed.served;
  expect(isGivenBack).toBe(true);
  expect(String(client.read())).toBe(OTHER);
});

it('a connection is this session’s until what came before is taken', async () => {
  await ask(80 * 1024);
  expect(isGivenBack).toBe(false);
  client.letTake();
  await bed.served;
  expect(isGivenBack).toBe(true);
  expect(String(client.read())).toBe(OTHER);
});

it('a connection that takes nothing for a minute ends', async () => {
  await ask(80 * 1024);
  await bed.clock.advance(59_000);
  expect(client.writableEnded).toBe(false);
  await bed.clock.advance(1_001);
  await bed.served;
  expect([isGivenBack, client.writableEnded]).toEqual([false, true]);
});
