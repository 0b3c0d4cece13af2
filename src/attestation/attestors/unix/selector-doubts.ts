import type { SelectorDoubt } from '../../attestor.ts';
import { isGroupName, isUserName } from '../../process/user-names.ts';

/** Why no process may ever show the selector `unix:VALUE`: there is no such fact, it has not that form, or nobody has that name here. */
export function doubtOf(
  value: string,
  names: {
    readonly isUser: (name: string) => boolean | undefined;
    readonly isGroup: (name: string) => boolean | undefined;
  } = {
    isUser: isUserName,
    isGroup: isGroupName,
  },
): SelectorDoubt | undefined {
  const colon = value.indexOf(':');
  const [fact, of] = colon < 0 ? [value, ''] : [value.slice(0, colon), value.slice(colon + 1)];
  const never = (why: string): SelectorDoubt => ({ why, isOfMachine: false });
  const kind = FACTS.get(fact);
  switch (kind) {
    case undefined:
      return never(`there is no unix:${fact}, only ${[...FACTS.keys()].join(', ')}`);
    case 'user number':
    case 'group number': {
      const noun = kind === 'user number' ? 'user' : 'group';
      const byName = fact.replace('uid', 'user').replace('gid', 'group');
      return NUMBER.test(of)
        ? undefined
        : never(`unix:${fact} takes a number; a ${noun} by its name is unix:${byName}:NAME`);
    }
    case 'user':
      return names.isUser(of) === false
        ? { why: `no user of this machine is called ${of}`, isOfMachine: true }
        : undefined;
    case 'group':
      return names.isGroup(of) === false
        ? { why: `no group of this machine is called ${of}`, isOfMachine: true }
        : undefined;
    case 'path':
      return of.startsWith('/') ? undefined : never('unix:path takes the whole path of a program, from / on');
    case 'sha256':
      return SHA256.test(of) ? undefined : never('unix:sha256 takes 64 hex digits in small letters');
    default:
      return kind satisfies never;
  }
}

const FACTS: ReadonlyMap<string, 'user number' | 'user' | 'group number' | 'group' | 'path' | 'sha256'> = new Map([
  ['uid', 'user number'],
  ['user', 'user'],
  ['gid', 'group number'],
  ['group', 'group'],
  ['supplementary_gid', 'group number'],
  ['supplementary_group', 'group'],
  ['path', 'path'],
  ['sha256', 'sha256'],
]);
const NUMBER = /^(0|[1-9]\d{0,9})$/;
const SHA256 = /^[0-9a-f]{64}$/;
