import { type PolicyNames, type PotentialMask, partsOfId } from '../../../../policy/index.ts';
import type { Log } from '../../../../std/index.ts';
import type { TargetPolicies, TargetWarning } from '../../../protocol.ts';
import { type Catalog, indexMasks, type MissingColumn, missingColumn, tableMasks } from '../sql/index.ts';
import { type AbsentName, absentNames, type HelpFor } from './absent-names.ts';

/** Holds what policies name at one target against what is there, whenever either changes. */
export interface NameWatch {
  /** The newest snapshot of one of the target's databases. */
  see(database: string, catalog: Catalog): void;
  /**
   * The databases in which the policies in force name something. Of those on everything, or on the whole target, it is the first that the target
   * serves: each that is looked into costs memory, and sessions look into the others.
   */
  named(): readonly string[];
  /** What is named in vain, by the policies in force and the newest snapshots. */
  warnings(): readonly TargetWarning[];
  /** Stops listening. */
  close(): void;
}

/**
 * Creates one. What of a set of policies is named in vain is logged once. Nothing is refused for a name: of a table that is not there nothing
 * can be seen, and one that comes has the policies that name it. A mask for a column that its table has not is another thing: the table is
 * refused to whomever the policy may be about.
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
  let maskless: readonly (MissingColumn & { readonly database: string })[] = [];
  const helps = new Map<string, string | undefined>();
  const helpFor: HelpFor = (wanted, find) => {
    if (helps.has(wanted)) return helps.get(wanted);
    const help = find();
    // Of as many names as are told; the rest is looked for again.
    if (helps.size < NAMES_TOLD_MAX) helps.set(wanted, help);
    return help;
  };
  const look = () => {
    const names = policies.names();
    absent =
      names === undefined
        ? []
        : absentNames(names, { name, databases, catalogs }, { namesMax: NAMES_TOLD_MAX, helpFor });
    const fresh = absent.map(({ policy, name }) => `${name} in policy ${policy}`).filter((one) => !logged.has(one));
    for (const one of fresh) logged.add(one);
    if (fresh.length > 0) log.warn('gateway.postgres.absent_names', { names: fresh });
    maskless =
      names === undefined
        ? []
        : Array.from(catalogs, ([database, catalog]) =>
            withoutColumns(names.masks, { target: name, database }, catalog),
          )
            .flat()
            .slice(0, NAMES_TOLD_MAX);
  };
  const tryToLook = () => {
    try {
      look();
    } catch (error) {
      // What only warns must not keep sessions or policies from going on, whatever is wrong with it.
      absent = [];
      maskless = [];
      log.error('gateway.postgres.names_failed', { error });
    }
  };
  const stop = policies.onChange(() => {
    logged.clear();
    helps.clear();
    tryToLook();
  });
  tryToLook();
  return {
    see(database, catalog) {
      catalogs.set(database, catalog);
      tryToLook();
    },
    named: () => namedDatabases(policies.names(), { name, databases }),
    warnings: () => [...maskless.map(refusedTable), ...absent.map(warningOf)],
    close: stop,
  };
}

function namedDatabases(
  names: PolicyNames | undefined,
  target: { readonly name: string; readonly databases: readonly string[] },
): readonly string[] {
  if (names === undefined) return [];
  const named = new Set<string | undefined>();
  const add = (id: string) => {
    // Most of ten thousand policies are about other targets: those ids are not taken apart for each target.
    if (!id.startsWith(target.name)) return;
    const [of, database = target.databases[0]] = partsOfId(id);
    if (of === target.name) named.add(database);
  };
  for (const { hides, type, id } of names.entities) if (hides && type.startsWith('Postgres::')) add(id);
  for (const { scope } of names.masks) {
    if (scope.op === 'equals' || scope.op === 'in') add(scope.id);
    else named.add(target.databases[0]);
  }
  return target.databases.filter((database) => named.has(database));
}

/** Tables that a mask names, and a column of theirs that they have not. Whom the policies are about is not asked: somebody it will be. */
function withoutColumns(
  masks: readonly PotentialMask[],
  place: { readonly target: string; readonly database: string },
  catalog: Catalog,
): (MissingColumn & { readonly database: string })[] {
  const masksNaming = indexMasks(tableMasks(masks), place);
  return Array.from(catalog.relations.values()).flatMap((relation) => {
    const columns = relation.columns.map((column) => column.name);
    const missing = missingColumn(relation, columns, masksNaming(relation));
    return missing === undefined ? [] : [{ ...missing, database: place.database }];
  });
}

function refusedTable({
  schema,
  table,
  column,
  policies,
  database,
}: MissingColumn & { database: string }): TargetWarning {
  const named = policies.map((policy) => JSON.stringify(policy)).join(', ');
  return {
    about: 'masks',
    what: `${policies.length === 1 ? 'policy' : 'policies'} ${named} masks column "${schema}.${table}.${column}" of database ${JSON.stringify(database)}, which is not there: the table is refused`,
    remedy: 'Mend the column in the mask and apply the policy; until then nobody under it can use the table.',
  };
}

function warningOf({ policy, name, help }: AbsentName): TargetWarning {
  const hint = help === undefined ? '' : ` (${help})`;
  return {
    about: 'names',
    what: `policy ${JSON.stringify(policy)} names ${name}, which is not there${hint}`,
    remedy: REMEDY,
  };
}

const REMEDY =
  'Correct the name in the policy; if a thing of another name was meant, it is neither forbidden nor masked now.';
/** A screenful; the rest shows once these are mended. */
const NAMES_TOLD_MAX = 20;
