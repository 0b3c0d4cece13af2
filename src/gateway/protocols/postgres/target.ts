import { createSampledLog, messageOf } from '../../../std/index.ts';
import { encodeTerminate } from '../../../wire/postgres/index.ts';
import type { Target, TargetDeps } from '../../protocol.ts';
import { createNameWatch } from './catalog/name-watch.ts';
import { createCatalogSource, type SharedCatalogs } from './catalog/source.ts';
import { parseConfig } from './config.ts';
import { endClient, endTarget } from './end-connections.ts';
import { createCancelKeys, hearWord } from './login/cancel.ts';
import { openUpstream, REQUIRED_PARAMETERS } from './login/upstream.ts';
import { refusalText } from './refusal.ts';
import { type OpenTarget, serveClient } from './session/open-session.ts';
import { createPlanner, type Planner } from './sql/index.ts';

/** Opens a PostgreSQL target: connects when the first session comes. @throws GatewayError ERR_GATEWAY_TARGET_CONFIG */
export function openTarget(rawConfig: unknown, deps: TargetDeps): Target {
  const config = parseConfig(rawConfig);
  const keys = createCancelKeys(deps.random);
  const clientCheck = { isRefused: false };
  const failures = createSampledLog(deps);
  const names = createNameWatch({
    ...{ name: deps.name, policies: deps.policies, log: failures },
    databases: [config.database, ...config.databases],
  });
  let isClosed = false;
  const databases = new Map<string, { readonly catalogs: SharedCatalogs; readonly planner: Planner }>();
  /** Sources whose sessions go on under a search path that new ones no longer get. */
  const outdated = new Set<SharedCatalogs>();
  const database: OpenTarget['database'] = (name, { hasOwnPath }) => {
    const { catalogs, planner } = shared(name);
    return { catalogs: catalogs.forSession({ hasOwnPath }), planner };
  };
  const shared = (name: string) => {
    const known = databases.get(name);
    if (known !== undefined && !known.catalogs.outdated) return known;
    if (known !== undefined) outdated.add(known.catalogs);
    for (const catalogs of outdated) {
      // A login may change its own path time and again: sessions of the oldest paths get no answer then.
      if (!catalogs.idle && outdated.size <= OUTDATED_MAX) continue;
      outdated.delete(catalogs);
      catalogs.close();
    }
    const log = deps.log.child({ database: name });
    const made = {
      catalogs: createCatalogSource({
        ...{ ...deps, config, log, database: name },
        taken: (catalog) => names.see(name, catalog),
      }),
      planner: createPlanner({
        target: deps.name,
        database: name,
        caches: deps.caches,
        customSettings: config.customSettings,
        limits: config.limits,
      }),
    };
    databases.set(name, made);
    return made;
  };
  return {
    listen: config.listen,
    serve: (session) => serveClient({ config, deps, keys, clientCheck, failures, database }, session),
    hear: (identity, word) => void hearWord(keys, identity, word),
    refuse: (client, refusal) => endClient(client, refusalText(refusal)),
    async check(signal, place = config.database) {
      try {
        const parameters = [
          ['database', place],
          ['application_name', 'countersign check'],
          ...REQUIRED_PARAMETERS, // As sessions ask for them: a database of another encoding has other defaults.
        ] as const;
        const { socket } = await openUpstream({ ...deps, config }, { parameters, minor: 0, signal });
        endTarget(socket, deps.clock, encodeTerminate());
        return undefined;
      } catch (error) {
        return messageOf(error);
      }
    },
    async look(signal) {
      for (const name of names.named()) {
        if (isClosed) return;
        try {
          const letGo = await shared(name).catalogs.forSession().hold(signal);
          letGo();
        } catch (error) {
          if (signal.aborted) throw error; // Another database may still be read.
        }
      }
    },
    warnings: () => names.warnings(),
    catalogBytes() {
      const shown = Array.from(databases.values(), ({ catalogs }) => catalogs);
      return [...outdated, ...shown].reduce((sum, { bytes }) => sum + bytes, 0);
    },
    async close() {
      isClosed = true;
      names.close();
      for (const { catalogs } of databases.values()) catalogs.close();
      for (const catalogs of outdated) catalogs.close();
      failures.stop();
    },
  };
}

/** Each holds a catalog of its own. */
const OUTDATED_MAX = 4;
