import type { Decision, FieldMask } from '../../../../model/index.ts';
import { approvalText, type MaskKind, stricterMask } from '../../../../policy/index.ts';
import type { Analysis } from './analysis.ts';
import type { Relation } from './catalog.ts';
import { maskWithoutColumn, missingColumn } from './masks-without-column.ts';
import { databaseResource, tableResource } from './names.ts';
import type { Decider, Touch } from './plan.ts';
import { RefusedText } from './refusal.ts';
import { maskedUse } from './scope.ts';
import { kindsByColumn } from './table-masks.ts';
import type { RelationUse } from './uses.ts';

/** What policy says to one statement. */
export interface Judgement {
  readonly touches: readonly Touch[];
  readonly policies: readonly string[];
  readonly rowsMax: number | undefined;
  readonly record: 'digest' | 'full';
  /** Masks that the answers to these very questions demand, by attribute. */
  readonly masks: ReadonlyMap<`${number}:${number}`, MaskKind>;
}

/** The questions that a walked statement raises, before they are asked. */
export function touchesOf(analysis: Analysis): readonly Touch[] {
  const touches = new Map<string, Touch>();
  const add = (action: string, resource: string) => touches.set(`${action} ${resource}`, { action, resource });
  for (const { action, schema, name } of analysis.uses.list())
    add(`postgres:${action}`, tableResource(analysis.place, schema, name).id);
  for (const { action, resource } of analysis.questions) add(action, resource.id);
  return Array.from(touches.values());
}

/** Asks policy everything that a walked statement raises. Throws the refusal `policy-denied` at the first no. */
export function judge(analysis: Analysis, decider: Decider): Judgement {
  const policies = new Set<string>();
  const masks = new Map<`${number}:${number}`, MaskKind>();
  let rowsMax: number | undefined;
  let asked = 0;
  let full = 0;
  const take = (decision: Decision, what: string, otherwise: RefusedText | undefined) => {
    if (!decision.allow) throw otherwise ?? denied(decision, what);
    for (const policy of decision.policies) policies.add(policy);
    const { obligations } = decision;
    const { items } = obligations.limits;
    if (items !== undefined) rowsMax = Math.min(items, rowsMax ?? items);
    asked += 1;
    if (obligations.record === 'full') full += 1;
  };
  for (const use of analysis.uses.list()) {
    const decision = askUse(analysis, decider, use);
    const where = tableResource(analysis.place, use.schema, use.name).id;
    take(decision, `postgres:${use.action} on ${where}`, use.otherwise);
    if (decision.allow && use.action === 'select') {
      refuseMissing(analysis, use, decision);
      addMasks(analysis, { use, demanded: decision.obligations.masks, masks });
    }
    refuseForbidden(analysis, decider, use);
  }
  for (const { action, resource, context, otherwise } of analysis.questions)
    take(decider.decide(action, resource, context ?? {}), `${action} on ${resource.id}`, otherwise);
  const record = asked === 0 ? recordOfSession(analysis, decider) : full === asked ? 'full' : 'digest';
  return { touches: touchesOf(analysis), policies: Array.from(policies).sort(), rowsMax, record, masks };
}

/** Of what asks nothing (settings, transactions, `select 1`) as policy says where it lets the identity in. */
function recordOfSession({ place }: Analysis, decider: Decider): 'digest' | 'full' {
  const decision = decider.decide('postgres:connect', databaseResource(place), {});
  return decision.allow ? decision.obligations.record : 'digest';
}

function askUse(analysis: Analysis, decider: Decider, use: RelationUse): Decision {
  const resource = tableResource(analysis.place, use.schema, use.name);
  return decider.decide(`postgres:${use.action}`, resource, {
    columns: Array.from(use.columns).sort(),
    hasWhere: use.hasWhere,
  });
}

/** A mask that policy brings for this question alone, or for a table of this session, can be for a column that isn't there as well. */
function refuseMissing(
  { taint }: Analysis,
  use: RelationUse,
  { policies, obligations }: Extract<Decision, { allow: true }>,
): void {
  const { columnNames } = use;
  if (obligations.masks.length === 0 || columnNames === undefined) return;
  const masks = taint.masksNaming(use).filter(({ policy }) => policies.includes(policy));
  const missing = missingColumn(use, columnNames, masks);
  if (missing !== undefined) throw maskWithoutColumn(missing, use);
}

/** Holds the masks of this answer against those that the walk reckoned with. */
function addMasks(
  { taint }: Analysis,
  facts: { use: RelationUse; demanded: readonly FieldMask[]; masks: Map<`${number}:${number}`, MaskKind> },
): void {
  const { use, masks } = facts;
  if (facts.demanded.length === 0) return;
  const demanded = kindsByColumn(facts.demanded);
  const { relation } = use;
  if (relation === undefined) {
    // Its columns have no known origin yet, so none that may have this name can be masked.
    const hit = Array.from(demanded.keys()).find((name) => use.columnNames?.includes(name) !== false);
    if (hit !== undefined) throw maskedUse(hit);
    return;
  }
  const reckoned = taint.masksOf(relation);
  for (const [index, column] of relation.columns.entries()) {
    const kind = demanded.get(column.name);
    if (kind === undefined) continue;
    const known = reckoned === 'opaque' ? undefined : reckoned[index];
    // Policy masks it for this question alone, so the walk let it pass everywhere.
    if (known === undefined) throw maskedUse(column.name);
    masks.set(known.attribute, stricterMask(known.kind, kind));
  }
}

/**
 * An explicit forbid on a table also holds when its rows are reached by another name: a view or rule on it, a partition, a parent. That
 * no policy permits the other name's table is no matter: the view is what was permitted.
 */
function refuseForbidden(analysis: Analysis, decider: Decider, use: RelationUse): void {
  if (use.relation === undefined) return;
  for (const { relation, columns, isByRule } of related(analysis, use.relation, use)) {
    const actions = isByRule ? (['select', 'insert', 'update', 'delete'] as const) : [use.action];
    for (const action of actions) {
      const resource = tableResource(analysis.place, relation.schema, relation.name);
      const decision = decider.decide(`postgres:${action}`, resource, {
        columns: Array.from(columns).sort(),
        hasWhere: use.hasWhere,
      });
      if (!decision.allow && decision.reason !== 'no-permit')
        throw denied(decision, `postgres:${action} on ${resource.id}, which ${use.schema}.${use.name} leads to`);
    }
  }
}

interface Related {
  readonly relation: Relation;
  readonly columns: ReadonlySet<string>;
  readonly isByRule: boolean;
}

/** Everything whose rows a use of `start` can reach, without itself. */
function related({ catalog }: Analysis, start: Relation, use: RelationUse): readonly Related[] {
  const found = new Map<number, { relation: Relation; columns: Set<string>; isByRule: boolean }>();
  const queue: Related[] = [{ relation: start, columns: use.columns, isByRule: false }];
  const visit = (relation: Relation, columns: readonly string[], isByRule: boolean) => {
    if (relation.oid === start.oid) return;
    const entry = found.get(relation.oid);
    if (entry === undefined) {
      const made = { relation, columns: new Set(columns), isByRule };
      found.set(relation.oid, made);
      queue.push(made);
      return;
    }
    for (const column of columns) entry.columns.add(column);
    entry.isByRule ||= isByRule;
  };
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const { relation, columns, isByRule } = next;
    for (const { relation: base, columns: named } of catalog.dependencies(relation.oid)) {
      // A dependency on no column in particular may be one on the whole row.
      const read = named.length > 0 ? named : base.columns.map(({ name }) => name);
      visit(base, read, isByRule || relation.hasRules);
    }
    const isStartOnly = relation.oid === start.oid && use.isOnly;
    const relatives = [...catalog.parents(relation.oid), ...(isStartOnly ? [] : catalog.children(relation.oid))];
    for (const relative of relatives) {
      const theirs = relative.columns.map(({ name }) => name).filter((name) => columns.has(name));
      visit(relative, theirs, isByRule);
    }
  }
  return Array.from(found.values());
}

function denied(decision: Exclude<Decision, { allow: true }>, what: string): RefusedText {
  if (decision.reason === 'approval-needed')
    return new RefusedText('policy-denied', `${what} ${approvalText(decision.rules)}`, { policies: decision.policies });
  const why = {
    'no-permit': 'no policy permits',
    forbidden: 'a policy forbids',
    'policy-error': 'a policy could not be evaluated for',
  }[decision.reason];
  return new RefusedText('policy-denied', `${why} ${what}`, { policies: decision.policies });
}
