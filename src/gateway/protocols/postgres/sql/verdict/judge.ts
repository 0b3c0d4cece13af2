import {
  type Asked,
  barredText,
  type Decision,
  type FieldMask,
  isBarred,
  type Judged,
  judgedBy,
  passes,
} from '../../../../../model/index.ts';
import { approvalText, type MaskKind, stricterMask } from '../../../../../policy/index.ts';
import type { Relation } from '../catalog/catalog.ts';
import { kindsByColumn } from '../masks/table-masks.ts';
import { maskWithoutColumn, missingColumn } from '../masks/without-column.ts';
import type { Decider, Touch } from '../plan.ts';
import { maskedUse, RefusedText } from '../refusal.ts';
import { databaseResource, tableResource } from '../resources.ts';
import type { Analysis } from '../walk/analysis.ts';
import type { RelationUse } from './uses.ts';

/** What policy says to one statement. */
export interface Judgement {
  readonly touches: readonly Touch[];
  readonly judged: Judged;
  readonly policies: readonly string[];
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

/** What nothing was asked of yet. */
export const unasked: Judged = judgedBy(undefined, []);

/**
 * Asks policy everything that a walked statement raises, and tells `note` of it; then throws the refusal `policy-denied` at the first no. All of
 * it is asked whatever the answers are: what the ledger has of a refusal can be judged again under policies that allow more.
 */
export function judge(analysis: Analysis, decider: Decider, note: (judged: Judged) => void): Judgement {
  const answers = ask(analysis, decider);
  const judged = judgedOf(decider, answers);
  note(judged);
  const policies = new Set<string>();
  const masks = new Map<`${number}:${number}`, MaskKind>();
  let asked = 0;
  let full = 0;
  const take = (decision: Decision, what: string, otherwise: RefusedText | undefined) => {
    if (!decision.allow) throw otherwise ?? denied(decision, what);
    for (const policy of decision.policies) policies.add(policy);
    const { obligations } = decision;
    asked += 1;
    if (obligations.record === 'full') full += 1;
  };
  for (const { question, decision, use, forbidsOnly, otherwise } of answers) {
    const what = `${question.action} on ${question.resource.id}`;
    if (forbidsOnly) {
      if (!decision.allow && !passes({ decision, forbidsOnly }))
        throw denied(decision, `${what}, which ${use?.schema}.${use?.name} leads to`);
      continue;
    }
    take(decision, what, otherwise);
    if (use === undefined || !decision.allow || use.action !== 'select') continue;
    refuseMissing(analysis, use, decision);
    addMasks(analysis, { use, demanded: decision.obligations.masks, masks });
  }
  const record = asked === 0 ? recordOfSession(analysis, decider) : full === asked ? 'full' : 'digest';
  return { touches: touchesOf(analysis), judged, policies: Array.from(policies).sort(), record, masks };
}

/** A question of a statement, with its answer. */
interface Answer extends Asked {
  /** Undefined of what is not about a table's rows. */
  readonly use: RelationUse | undefined;
  /** See `RelationUse.otherwise`. */
  readonly otherwise: RefusedText | undefined;
}

/** In the order in which the answers count. */
function ask(analysis: Analysis, decider: Decider): readonly Answer[] {
  const answers: Answer[] = [];
  for (const use of analysis.uses.list()) {
    answers.push(
      { ...askUse(analysis, decider, use), use, otherwise: use.otherwise },
      ...askRelated(analysis, decider, use),
    );
  }
  for (const { action, resource, context = {}, otherwise } of analysis.questions) {
    const decision = decider.decide(action, resource, context);
    answers.push({ question: { action, resource, context }, decision, use: undefined, otherwise });
  }
  return answers;
}

/** What was asked for its own sake comes first: of the rest, which a table with many partitions has much of, some is left out. */
function judgedOf({ policySet }: Decider, answers: readonly Answer[]): Judged {
  const first = answers.filter(({ forbidsOnly }) => !forbidsOnly);
  const all = [...first, ...answers.filter(({ forbidsOnly }) => forbidsOnly)].map((answer): Asked => {
    const { question, decision, forbidsOnly = false } = answer;
    return forbidsOnly ? { question, decision, forbidsOnly } : { question, decision };
  });
  return judgedBy(policySet, all);
}

/** Of what asks nothing (settings, transactions, `select 1`) as policy says where it lets the identity in. */
function recordOfSession({ place }: Analysis, decider: Decider): 'digest' | 'full' {
  const decision = decider.decide('postgres:connect', databaseResource(place), {});
  return decision.allow ? decision.obligations.record : 'digest';
}

function askUse({ place }: Analysis, decider: Decider, use: RelationUse): Asked {
  return askTable(decider, {
    action: `postgres:${use.action}`,
    resource: tableResource(place, use.schema, use.name),
    context: { columns: Array.from(use.columns).sort(), hasWhere: use.hasWhere },
  });
}

function askTable(decider: Decider, question: Asked['question']): Asked {
  return { question, decision: decider.decide(question.action, question.resource, question.context) };
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
function askRelated(analysis: Analysis, decider: Decider, use: RelationUse): readonly Answer[] {
  const answers: Answer[] = [];
  if (use.relation === undefined) return answers;
  for (const { relation, columns, isByRule } of related(analysis, use.relation, use)) {
    const actions = isByRule ? (['select', 'insert', 'update', 'delete'] as const) : [use.action];
    for (const action of actions) {
      const asked = askTable(decider, {
        action: `postgres:${action}`,
        resource: tableResource(analysis.place, relation.schema, relation.name),
        context: { columns: Array.from(columns).sort(), hasWhere: use.hasWhere },
      });
      answers.push({ ...asked, forbidsOnly: true, use, otherwise: undefined });
    }
  }
  return answers;
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
  if (isBarred(decision)) {
    const { what: why, hint } = barredText(decision);
    return new RefusedText(decision.reason, `${what} is refused: ${why}`, { hint });
  }
  const why = {
    'no-permit': 'no policy permits',
    forbidden: 'a policy forbids',
    'policy-error': 'a policy could not be evaluated for',
  }[decision.reason];
  return new RefusedText('policy-denied', `${why} ${what}`, { policies: decision.policies });
}
