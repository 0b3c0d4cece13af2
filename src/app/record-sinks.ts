import type { TrustDomain } from '@countersign/sdk/identity';
import type { Static } from 'typebox';
import type { WriteAudit } from '../api/index.ts';
import type { ServerConfig } from '../config/index.ts';
import { readGivenSecretNow, readTrustedFile } from '../private-files/index.ts';
import { createSinks, filterOf, type recordFilterSchema, type SinkMember, type Sinks } from '../records/index.ts';
import { recordSinks } from '../records/sinks/registry.generated.ts';
import { memberById } from '../std/index.ts';
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

/** A key, or certificates of some authorities. */
const FILE_BYTES_MAX = 262_144;
