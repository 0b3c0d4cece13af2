// Goal: the comparison that the drivers are judged by sees every byte, but for what belongs to a connection.
import { describe, expect, it } from 'vitest';
import { message } from '../../support/raw-session.ts';
import { firstDifference, messageCount } from './tap.ts';

const status = message('S', 'TimeZone', 'UTC');
const key = (id: number) => message('K', Buffer.from([0, 0, 0, id, 1, 2, 3, 4]));
const heard = (id: number, payload: string) => message('A', Buffer.from([0, 0, 0, id]), 'news', payload);
const row = (text: string) => message('D', 1, Buffer.from([0, 0, 0, text.length]), Buffer.from(text));
const session = (id: number, text = 'x', payload = 'fresh') => [
  ...[message('R', Buffer.from([0, 0, 0, 0])), status, key(id), message('Z', Buffer.from('I'))],
  ...[row(text), heard(id, payload)],
];

describe('two recordings', () => {
  it('are the same when only login, keys and process ids differ, however the bytes came', () => {
    const direct = [[Buffer.concat(session(1).slice(1))]];
    expect(firstDifference(direct, [session(2)])).toBeUndefined();
    expect(messageCount(direct)).toBe(4);
  });

  it.each([
    ['a row', [session(1, 'y')]],
    ['a payload', [session(1, 'x', 'stale')]],
    ['a message less', [session(1).slice(0, -1)]],
    ['a message more', [[...session(1), row('z')]]],
    ['a setting less', [session(1).filter((one) => one !== status)]],
    ['a connection more', [session(1), []]],
    ['a connection less', []],
  ])('differ by %s', (_, through) => {
    expect(firstDifference([session(1)], through)).toEqual(expect.any(String));
  });
});
