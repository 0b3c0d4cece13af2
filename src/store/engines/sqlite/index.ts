/**
 * The embedded store: one SQLite file, one process, no service to run.
 *
 * It promises durable commits (one fsync, shared by transactions that wait together) and that a second process on the same
 * file is refused. It must not know what is kept in it.
 */
import { resolve } from 'node:path';
import { Type } from 'typebox';
import { parseEngineConfig } from '../../engine-config.ts';
import type { StoreEngineMember } from '../../store.ts';

const config = Type.Object(
  {
    file: Type.String({
      minLength: 1,
      default: 'countersign.sqlite',
      description:
        "Path of the database file, made (0600) when missing; a relative one lies in the server's data folder.",
    }),
    lockWaitMs: Type.Integer({
      minimum: 0,
      maximum: 10_000,
      default: 500,
      description: 'How long the start waits for a process that is just closing the file, in milliseconds.',
    }),
  },
  { additionalProperties: false },
);

export const member = {
  kind: 'store-engine',
  id: 'sqlite',
  summary: 'Keeps everything in one SQLite file; for one server process.',
  config,
  async open(input, { clock, log, dataDir = '.' }) {
    const { file, lockWaitMs } = parseEngineConfig('sqlite', config, input);
    const { createSqliteStore } = await import('./sqlite-store.ts');
    return createSqliteStore({ clock, log, file: resolve(dataDir, file), lockWaitMs });
  },
} as const satisfies StoreEngineMember;
