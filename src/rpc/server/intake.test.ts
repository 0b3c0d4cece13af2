import { describe, expect, it } from 'vitest';
import { createIntake } from './intake.ts';

describe('the bytes that requests hold', () => {
  it('of one connection are limited over all its calls, and given back with each call', () => {
    const connection = createIntake({ connectionBytesMax: 100, bytesMax: 1000 }).open(() => {});
    const [a, b] = [connection.open(), connection.open()];
    expect(a.hold(60)).toBe(true);
    expect(b.hold(40)).toBe(true);
    expect(b.hold(41)).toBe(false);
    expect(a.hold(59)).toBe(true);
    expect(b.hold(41)).toBe(true);
    a.close();
    a.close();
    expect(b.hold(100)).toBe(true);
    expect(a.hold(0)).toBe(false);
  });

  it('of all connections are limited too: the one that holds most is cut, not the one that came last', () => {
    const intake = createIntake({ connectionBytesMax: 100, bytesMax: 150 });
    const cut: string[] = [];
    const [large, small, last] = ['large', 'small', 'last'].map((name) => intake.open(() => cut.push(name)).open());
    expect(large?.hold(100)).toBe(true);
    expect(small?.hold(10)).toBe(true);
    expect(last?.hold(40)).toBe(true);
    expect(cut).toEqual([]);
    expect(last?.hold(41)).toBe(true);
    expect(cut).toEqual(['large']);
    expect(large?.hold(1)).toBe(false);
    expect(small?.hold(90)).toBe(true);
    expect(cut).toEqual(['large']);
  });

  it('of a connection that is closed count no more', () => {
    const intake = createIntake({ connectionBytesMax: 100, bytesMax: 100 });
    const cut: string[] = [];
    const first = intake.open(() => cut.push('first'));
    const call = first.open();
    call.hold(100);
    first.close();
    call.close();
    expect(
      intake
        .open(() => cut.push('second'))
        .open()
        .hold(100),
    ).toBe(true);
    expect(cut).toEqual([]);
  });
});
