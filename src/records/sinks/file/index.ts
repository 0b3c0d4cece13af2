/**
 * The `file` sink: JSON Lines on the machine of the server.
 *
 * It promises that an event is on disk before it counts as taken, that a line is whole or not there, and that only the server's user can read the
 * file. It must not know what its lines say.
 */
import { resolve } from 'node:path';
import { Type } from 'typebox';
import type { SinkMember } from '../../sink.ts';
import { parseSinkConfig } from '../../sink-config.ts';

const config = Type.Object(
  {
    path: Type.String({
      minLength: 1,
      description:
        "The file, made (0600) when it is missing; a relative one lies in the server's data folder. Its folder must be there.",
      examples: ['events.jsonl'],
    }),
    bytesMax: Type.Integer({
      minimum: 1_048_576,
      maximum: 1_099_511_627_776,
      default: 104_857_600,
      description: 'At how many bytes it becomes `PATH.1`, the one that is there `PATH.2`, and so on.',
    }),
    keep: Type.Integer({
      minimum: 0,
      maximum: 1000,
      default: 10,
      description:
        'How many such files are kept; the one behind them is removed. 0 = it grows, and something else rotates it.',
    }),
  },
  { additionalProperties: false },
);

export const member: SinkMember = {
  kind: 'sink',
  id: 'file',
  summary: 'Appends events to a file as JSON Lines, synced and rotated by size.',
  config,
  async open(given, deps) {
    const { path, ...limits } = parseSinkConfig('file', config, given);
    const { createFileSink } = await import('./file-sink.ts');
    return createFileSink({ path: resolve(deps.dataDir, path), ...limits });
  },
};
