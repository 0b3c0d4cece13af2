import type { TrustDomain } from '@countersign/sdk/identity';
import type { Static } from 'typebox';
import type { WriteAudit } from '../api/index.ts';
import type { ServerConfig } from '../config/index.ts';
import { readGivenSecretNow, readTrustedFile } from '../private-files/index.ts';
import {
  createRetention,
  createSinks,
  filterOf,
  type Retention,
  type recordFilterSchema,
  type SealRule,
  type SinkMember,
  type Sinks,
} from '../records/index.ts';
import { recordSinks } from '../records/sinks/registry.generated.ts';
import { memberById, parseDurationMs } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import { AppError } from './errors.ts';
import { chosen, type RoleDeps } from './role.ts';
import { VERSION } from './version.ts';

/** The sinks that the configuration names. */
export function createServerSinks(
  { config, clock, random, log, env }: RoleDeps<ServerConfig>,
  {
    store,
    trustDomain,
    write,
  }: { readonly store: Store; readonly trustDomain: TrustDomain; readonly write: WriteAudit },
): Sinks {
  const wanted = Object.entries(config.sinks ?? {}).map(([name, { to, filter, from, skip }]) => {
    const { id, config: settings } = chosen(to);
    const member = memberById<SinkMember>(recordSinks, id);
    if (!member) throw new AppError('ERR_APP_CONFIG', `there is no sink ${id}`);
    // The configuration was checked against the words of a search.
    const words = filter as Static<typeof recordFilterSchema>;
    return { name, member, config: settings, filter: filterOf(words, trustDomain), from, skip: new Set(skip) };
  });
  return createSinks(
    {
      ...{ store, clock, random, log, trustDomain, version: VERSION, dataDir: config.dataDir },
      holder: `${config.serverId}/${random.bytes(8).toString('hex')}`,
      write: async (event) => write(event),
      readSecret: (reference) => readGivenSecretNow(reference, { env, bytesMax: FILE_BYTES_MAX }),
      readTrustedFile: (path) => readTrustedFile(path, { bytesMax: FILE_BYTES_MAX }),
    },
    wanted,
  );
}

/** What lets content leave the record, as the configuration says. */
export function createServerRetention(
  { config, clock, random, log }: RoleDeps<ServerConfig>,
  { store, trustDomain }: { readonly store: Store; readonly trustDomain: TrustDomain },
): Retention {
  const { retention, retentionWait } = config.record;
  const rules = retention.map(({ name, filter, keep }) => ({
    ...{ name, keepMs: keep === undefined ? undefined : parseDurationMs(keep) },
    filter: filterOf(filter as Static<typeof recordFilterSchema>, trustDomain), // As above.
  }));
  return createRetention(
    { store, clock, log, holder: `${config.serverId}/${random.bytes(8).toString('hex')}` },
    { rules, sinks: Object.keys(config.sinks ?? {}), waitMs: parseDurationMs(retentionWait) ?? 0 },
  );
}

/** Which entries lie sealed in the store, as the configuration says. */
export function sealRules({ record }: ServerConfig, trustDomain: TrustDomain): readonly SealRule[] {
  return record.seal.map(({ name, filter, by }) => {
    return { name, by, filter: filterOf(filter as Static<typeof recordFilterSchema>, trustDomain) }; // As above.
  });
}

/** A key, or certificates of some authorities. */
const FILE_BYTES_MAX = 262_144;
