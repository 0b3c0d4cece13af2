import type { Log } from '../../../std/index.ts';
import type { TargetPolicies, TargetWarning } from '../../protocol.ts';
import { type AbsentName, absentNames } from './absent-names.ts';
import type { Catalog } from './sql/index.ts';

/** Holds what policies name at one target against what is there, whenever either changes. */
export interface NameWatch {
  /** The newest snapshot of one of the target's databases. */
  see(database: string, catalog: Catalog): void;
  /** What is named in vain, by the policies in force and the newest snapshots. */
  warnings(): readonly TargetWarning[];
  /** Stops listening. */
  close(): void;
}

/**
 * Creates one. What of a set of policies is named in vain is logged once. Nothing is refused for it: of a table that is not there nothing can be
 * seen, and one that comes has the policies that name it.
 */
export function createNameWatch(deps: {
  readonly name: string;
  readonly databases: readonly string[];
  readonly policies: TargetPolicies;
  readonly log: Log;
}): NameWatch {
  const { name, databases, policies, log } = deps;
  const catalogs = new Map<string, Catalog>();
  const logged = new Set<string>();
  let absent: readonly AbsentName[] = [];
  const look = () => {
    const names = policies.names();
    absent = names === undefined ? [] : absentNames(names, { name, databases, catalogs }, NAMES_TOLD_MAX);
    const fresh = absent.map(({ policy, name }) => `${name} in policy ${policy}`).filter((one) => !logged.has(one));
    for (const one of fresh) logged.add(one);
    if (fresh.length > 0) log.warn('gateway.postgres.absent_names', { names: fresh });
  };
  const tryToLook = () => {
    try {
      look();
    } catch (error) {
      // What only warns must not keep sessions or policies from going on, whatever is wrong with it.
      absent = [];
      log.error('gateway.postgres.names_failed', { error });
    }
  };
  const stop = policies.onChange(() => {
    logged.clear();
    tryToLook();
  });
  tryToLook();
  return {
    see(database, catalog) {
      catalogs.set(database, catalog);
      tryToLook();
    },
    warnings: () => absent.map(warningOf),
    close: stop,
  };
}

function warningOf({ policy, name, help }: AbsentName): TargetWarning {
  const hint = help === undefined ? '' : ` (${help})`;
  return { what: `policy ${JSON.stringify(policy)} names ${name}, which is not there${hint}`, remedy: REMEDY };
}

const REMEDY =
  'Correct the name in the policy; if a thing of another name was meant, it is neither forbidden nor masked now.';
/** A screenful; the rest shows once these are mended. */
const NAMES_TOLD_MAX = 20;
