import { describe, expect, it } from 'vitest';
import { doubtOf } from './selector-doubts.ts';

const names = { isUser: (name: string) => name === 'web', isGroup: (name: string) => name === 'staff' };

describe('a selector of the attestor unix', () => {
  it.each([
    'uid:0',
    'uid:1000',
    'user:web',
    'gid:50',
    'group:staff',
    'supplementary_gid:7',
    'supplementary_group:staff',
    'path:/usr/bin/psql',
    `sha256:${'a'.repeat(64)}`,
  ])('%s may hold', (value) => {
    expect(doubtOf(value, names)).toBeUndefined();
  });

  it.each([
    ['usr:web', 'there is no unix:usr, only uid, user, gid, group'],
    ['uid', 'takes a number'],
    ['uid:web', 'unix:uid takes a number; a user by its name is unix:user:NAME'],
    ['supplementary_gid:staff', 'a group by its name is unix:supplementary_group:NAME'],
    ['path:bin/psql', 'from / on'],
    ['sha256:ABC', '64 hex digits'],
  ])('%s holds for no process anywhere', (value, why) => {
    expect(doubtOf(value, names)).toEqual({ why: expect.stringContaining(why), isOfMachine: false });
  });

  it.each([
    'user:nobody-here',
    'group:nobody-here',
    'supplementary_group:nobody-here',
  ])('%s holds for no process of this machine', (value) => {
    expect(doubtOf(value, names)).toEqual({ why: expect.stringContaining('nobody-here'), isOfMachine: true });
  });

  it('may hold where the names of this machine can not be told', () => {
    expect(doubtOf('user:web', { isUser: () => undefined, isGroup: () => undefined })).toBeUndefined();
  });
});
