/** Tells processes apart by what the kernel and /proc say: user, groups, executable. */
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import type { Selector } from '../../../model/index.ts';
import { throwIfAborted } from '../../../std/index.ts';
import type { AttestorMember } from '../../attestor.ts';
import { AttestationError } from '../../errors.ts';
import type { PeerProcess } from '../../process/peer-process.ts';
import { groupName, userName } from '../../process/user-names.ts';
import { describeExecutable } from './executable.ts';
import { doubtOf } from './selector-doubts.ts';
import { isUnmapped } from './unmapped.ts';

const config = Type.Object(
  {
    discoverPath: Type.Boolean({ description: 'Also give `path` and `sha256` of the executable.', default: true }),
    executableBytesMax: Type.Integer({
      description: 'A larger executable gets no `sha256`.',
      default: 268_435_456,
      minimum: 0,
    }),
    fileSystems: Type.Array(Type.String(), {
      description:
        'Types of file systems, as in /proc/mounts, whose programs get `path` and `sha256` besides local ones. Those on the network or in user space can keep the agent waiting.',
      default: [],
    }),
  },
  { additionalProperties: false },
);

export const member = {
  kind: 'attestor',
  id: 'unix',
  type: 'unix',
  summary:
    'Selectors from the kernel: `uid`, `user`, `gid`, `group`, `supplementary_gid`, `supplementary_group`, `path`, `sha256`.',
  config,
  workload: {
    open(given) {
      const settings = Value.Default(config, structuredClone(given ?? {}));
      if (!Value.Check(config, settings))
        throw new AttestationError('ERR_ATTEST_CONFIG', 'the settings of the unix attestor do not fit its schema');
      return (process, signal) => attest(process, settings, signal);
    },
    doubt: doubtOf,
  },
} as const satisfies AttestorMember;

async function attest(
  process: PeerProcess,
  settings: Static<typeof config>,
  signal: AbortSignal,
): Promise<readonly Selector[]> {
  throwIfAborted(signal);
  if (isUnmapped('uid', process.uid))
    throw new AttestationError('ERR_ATTEST_WORKLOAD', 'the user of the caller has no number in this user namespace');
  // User and groups are those the kernel noted when the process connected: changing them later changes nothing here.
  const values = [`uid:${process.uid}`, ...named('user', userName(process.uid)), ...group('gid', 'group', process.gid)];
  for (const gid of process.groups) values.push(...group('supplementary_gid', 'supplementary_group', gid));
  if (settings.discoverPath) {
    const { path, sha256 } = await describeExecutable(process.pid, executableOptions(settings), signal);
    values.push(...named('path', path), ...named('sha256', sha256));
  }
  return values.map((value) => ({ type: 'unix', value }));
}

function executableOptions({ executableBytesMax, fileSystems }: Static<typeof config>) {
  return { bytesMax: executableBytesMax, trustedTypes: fileSystems };
}

function group(number: string, name: string, gid: number): string[] {
  return isUnmapped('gid', gid) ? [] : [`${number}:${gid}`, ...named(name, groupName(gid))];
}

function named(name: string, value: string | undefined): string[] {
  return value === undefined ? [] : [`${name}:${value}`];
}
