import { beforeEach, expect, it } from 'vitest';
import type { SharedDoor } from '../../gateway/index.ts';
import { createSharedDoors, type SharedDoors } from './shared-doors.ts';

// Goal: each door is one target's, for as long as any worker has it, and is looked for at the system once.

let doors: SharedDoors;
let claims: string[];
/** Who else has a port. */
let others: Set<number>;

beforeEach(() => {
  claims = [];
  others = new Set();
  doors = createSharedDoors(({ address, port }) => {
    if (others.has(port)) throw new Error('address already in use');
    claims.push(`+${address} ${port}`);
    return () => void claims.push(`-${address} ${port}`);
  });
});

let workers = 0;
/** By a worker that has none yet. */
function take(over: Partial<SharedDoor> = {}, worker = ++workers) {
  const place = doors.take({ target: 'shop', address: '0.0.0.0', port: 5433, ...over }, worker);
  if ('shut' in place) throw new Error(place.shut);
  return place;
}

it('a door is claimed for the first worker and given back with the last, however often each leaves', () => {
  const [one, two] = [take(), take()];
  expect(claims).toEqual(['+0.0.0.0 5433']);
  for (let n = 0; n < 3; n++) one.leave();
  expect(claims).toHaveLength(1);
  two.leave();
  expect(claims).toEqual(['+0.0.0.0 5433', '-0.0.0.0 5433']);
  take();
  expect(claims).toHaveLength(3);
});

it('a door of one target is none of another until the last worker has left it', () => {
  const [one, two] = [take(), take()];
  expect(() => take({ target: 'books' })).toThrow('it is the door of target shop');
  one.leave();
  expect(() => take({ target: 'books' })).toThrow('it is the door of target shop');
  two.leave();
  take({ target: 'books' });
  expect(() => take()).toThrow('it is the door of target books');
});

it('a worker has a door once, and again when it has left it', () => {
  const one = take({}, 1);
  expect(() => take({}, 1)).toThrow('listen.host is written alike');
  const two = take({}, 2);
  one.leave();
  take({}, 1);
  two.leave();
  expect(() => take({}, 1)).toThrow('listen.host');
  expect(claims).toEqual(['+0.0.0.0 5433']);
});

it('a port that somebody else has is told of, and tried again the next time', () => {
  others.add(5433);
  expect(() => take()).toThrow(/^address already in use; .*another process/);
  expect(() => take({ target: 'books' })).toThrow(/another process/);
  others.clear();
  take().leave();
  expect(claims).toEqual(['+0.0.0.0 5433', '-0.0.0.0 5433']);
});

it('doors at other addresses and ports are others', () => {
  take();
  take({ target: 'books', port: 5434 });
  take({ target: 'books', address: '127.0.0.1' });
  expect(claims).toHaveLength(3);
});
