import { createSampledLog, messageOf } from '../../../std/index.ts';
import { encodeTerminate } from '../../../wire/postgres/index.ts';
import type { Target, TargetDeps } from '../../protocol.ts';
import { createCancelKeys } from './cancel.ts';
import { createCatalogSource } from './catalog-source.ts';
import { parseConfig } from './config.ts';
import { type Database, serveClient } from './open-session.ts';
import { refusalText } from './refusal.ts';
import { endClient } from './serve.ts';
import { createPlanner } from './sql/index.ts';
import { openUpstream } from './upstream.ts';

/** Opens a PostgreSQL target: connects when the first session comes. @throws GatewayError ERR_GATEWAY_TARGET_CONFIG */
export function openTarget(rawConfig: unknown, deps: TargetDeps): Target {
  const config = parseConfig(rawConfig);
  const keys = createCancelKeys(deps.random);
  const failures = createSampledLog(deps);
  const databases = new Map<string, Database>();
  const database = (name: string): Database => {
    const known = databases.get(name);
    if (known !== undefined) return known;
    const log = deps.log.child({ database: name });
    const made = {
      catalogs: createCatalogSource({ ...deps, config, log, database: name }),
      planner: createPlanner({
        target: deps.name,
        database: name,
        cacheEntriesMax: PLANS_MAX,
        customSettings: config.customSettings,
      }),
    };
    databases.set(name, made);
    return made;
  };
  return {
    listen: config.listen,
    serve: (session) => serveClient({ config, deps, keys, failures, database }, session),
    refuse: (client, refusal) => endClient(client, refusalText(refusal)),
    async check(signal) {
      try {
        const upstream = await openUpstream(
          { ...deps, config },
          { parameters: [['database', config.database]], minor: 0, signal },
        );
        upstream.socket.end(encodeTerminate());
        return undefined;
      } catch (error) {
        return messageOf(error);
      }
    },
    async close() {
      for (const { catalogs } of databases.values()) catalogs.close();
      failures.stop();
    },
  };
}

/** Verdicts kept for one database. */
const PLANS_MAX = 5_000;
