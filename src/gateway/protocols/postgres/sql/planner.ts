import { judgedTogether } from '../../../../model/index.ts';
import type { Catalog } from './catalog/catalog.ts';
import { defaultLimits } from './default-limits.ts';
import type { DerivedReads } from './masks/derived.ts';
import { maskPlan } from './masks/mask-plan.ts';
import { rewriteReads } from './masks/rewrite.ts';
import { withholdingOf } from './masks/withholding.ts';
import type {
  Forward,
  Plan,
  Planner,
  PlannerOptions,
  PlanRequest,
  Refusal,
  SessionEffect,
  SessionFacts,
  StatementFacts,
  StatementPlan,
} from './plan.ts';
import { planLong } from './plan-long.ts';
import { maskedUse, RefusedText, sqlstates } from './refusal.ts';
import { databaseResource, tableResource } from './resources.ts';
import { applySessionEffects } from './session/facts.ts';
import { lookupOf, pathOf, roleOf } from './session/search-path.ts';
import { refuseTuned } from './session/settings.ts';
import { kindName, statementClasses } from './statements/classes.ts';
import { walkStatement } from './statements/statements.ts';
import { createTaintCache } from './taint/cache.ts';
import { fingerprintOf } from './text/fingerprint.ts';
import { refuseForeignNames, refuseForeignPath } from './text/foreign-names.ts';
import { parseText, textBefore } from './text/parse.ts';
import { isOpenShape, type Shape, shapeOf } from './text/shape.ts';
import { childOf, type Node } from './text/tree.ts';
import { createVerdictCache } from './verdict/cache.ts';
import { judge, touchesOf, unasked } from './verdict/judge.ts';
import { recordedAlike } from './verdict/recorded-alike.ts';
import { type AnalysisFacts, createAnalysis } from './walk/analyze.ts';
import { boundParameters } from './walk/bound-parameters.ts';
import { refuseOwnCode } from './walk/code.ts';
import { mayRunOwnCode } from './walk/own-tables.ts';

/** A planner for one target database; its verdict cache is shared by all sessions. */
export function createPlanner(options: PlannerOptions): Planner {
  const { target, database } = options;
  const place = { target, database };
  const customSettings = new Set(options.customSettings?.map((name) => name.toLowerCase()));
  const verdicts = createVerdictCache(options.caches.open('verdicts'));
  const taints = createTaintCache(place, options.caches.open('taints'));
  let newest = { policy: Number.NaN, catalog: Number.NaN };
  const letGoOfOld = ({ catalog, decider }: PlanRequest) => {
    if (newest.policy === decider.version && newest.catalog === catalog.version) return;
    newest = { policy: decider.version, catalog: catalog.version };
    verdicts.clear();
  };
  const factsOf = ({ catalog, decider }: PlanRequest) => ({
    ...{ place, catalog, customSettings, reads: undefined },
    taint: taints.taintOf({ catalog, decider }),
  });
  const planFresh = (request: PlanRequest) => {
    const facts = { ...factsOf(request), reads: new Map() };
    const planned = planText(request, facts, () => parseText(request.sql));
    return planned.plan.verdict === 'forward' && facts.reads.size > 0
      ? { ...planned, plan: planRewritten(request, facts, { ...planned, plan: planned.plan }) }
      : planned;
  };
  const planner: Planner = {
    planLong: (request) =>
      planLong(request, {
        limits: options.limits ?? defaultLimits,
        plan: planner.plan,
        planParsed: (piece, parse) => planText(piece, factsOf(piece), parse).plan,
        refusalOf: (error) => refusalOf(error, []),
      }),
    plan(request) {
      const { sql, session } = request;
      letGoOfOld(request);
      // The session's own names could matter.
      if (request.parameters !== undefined) return planFresh(request).plan;
      if (session.created.size > 0 || session.createdNames.size > 0 || session.moved) return planFresh(request).plan;
      const basis = basisOf(request);
      const shape = shapeOf(sql);
      const hasLiterals = shape !== undefined && shape.literals.length > 0;
      const known = hasLiterals ? verdicts.take(keyOfShape(basis, shape)) : undefined;
      if (known !== undefined) return known;
      const knownText = verdicts.take(keyOfText(basis, sql));
      if (knownText !== undefined) return knownText;
      const { plan, nodes } = planFresh(request);
      if (!isKeepable(plan)) return plan;
      const [only] = nodes;
      const isOpen =
        hasLiterals &&
        plan.verdict === 'forward' &&
        plan.rewritten === undefined &&
        nodes.length === 1 &&
        only &&
        isOpenShape(only, sql, shape.literals);
      verdicts.keep(isOpen ? keyOfShape(basis, shape) : keyOfText(basis, sql), plan);
      return plan;
    },
  };
  return planner;
}

/** A text that nobody can parse may hold the marks of a shape: it must not find the verdict of one, nor leave its own there. */
function keyOfShape(basis: string, { text }: Shape): string {
  return `shape ${basis}${text}`;
}

function keyOfText(basis: string, sql: string): string {
  return `text ${basis}${sql}`;
}

/** Everything but the text that a verdict depends on. No identity holds a line break. */
function basisOf({ mode, catalog, decider, session }: PlanRequest): string {
  const path = [pathOf(session) ?? null, session.searchPath === undefined];
  const names = JSON.stringify([path, roleOf(catalog, session.role) ?? null, session.tuned]);
  return `${mode} ${decider.version} ${catalog.version} ${names} ${decider.principalKey}\n`;
}

/** A verdict that another session would get as well, and that a newer snapshot would not change. */
function isKeepable(plan: Plan): boolean {
  if (plan.verdict === 'refuse') return !bySession.has(plan.reason);
  return plan.statements.every(({ kind, unknown }) => unknown.length === 0 && !sessionKinds.test(kind));
}

const bySession: ReadonlySet<string> = new Set([
  ...['unknown-relation', 'unknown-column', 'unknown-function', 'unknown-prepared', 'unknown-cursor', 'name-taken'],
  ...['session-limit', 'ambiguous-relation'],
]);
const sessionKinds = /^(execute|explain|prepare|declare|fetch|move)|create table as/;

type Facts = Pick<AnalysisFacts, 'place' | 'catalog' | 'customSettings' | 'taint' | 'reads'>;

function planText(
  request: PlanRequest,
  facts: Facts,
  parse: () => readonly Node[],
): { plan: Plan; nodes: readonly Node[] } {
  const done: StatementPlan[] = [];
  let current: StatementFacts | undefined;
  let nodes: readonly Node[] = [];
  try {
    nodes = parse();
    refuseForeignNames(request.sql, facts.catalog);
    refuseForeignPath(request.session, facts.catalog);
    if (request.mode === 'parse' && nodes.length > 1)
      throw new RefusedText('several-statements', 'cannot insert multiple commands into a prepared statement');
    let session = request.session;
    for (const [index, node] of nodes.entries()) {
      const started = { kind: kindName(node.kind), fingerprint: fingerprintOf(node), touches: [], judged: unasked };
      current = started;
      const note = (facts: Pick<StatementFacts, 'touches' | 'judged'>) => {
        current = { ...started, ...facts };
      };
      const plan = planStatement(request, { facts, node, index, session, note });
      done.push(plan);
      session = applySessionEffects(session, plan.effects);
      current = undefined;
    }
    const [only, ...more] = nodes;
    const prepared =
      only !== undefined && more.length === 0
        ? { kind: only.kind, text: request.sql, index: 0, isQuery: false }
        : undefined;
    return { plan: { verdict: 'forward', statements: recordedAlike(done), prepared }, nodes };
  } catch (error) {
    const node = nodes[done.length];
    const text = node !== undefined && ownText.has(node.kind) ? undefined : request.sql;
    const refusal = refusalOf(error, current === undefined ? done : [...done, current], text);
    const isCommitted = done.some(({ effects }) => effects.some(endsTransaction));
    return { plan: isCommitted ? { ...refusal, before: textBefore(request.sql, done.length) } : refusal, nodes };
  }
}

/**
 * The plan of a text in which masked columns read as NULL: the text with NULL in it is judged as any that a client sends, and what was asked is
 * judged as well.
 */
function planRewritten(
  request: PlanRequest,
  { reads, ...facts }: Facts & { readonly reads: DerivedReads },
  asked: { readonly plan: Forward; readonly nodes: readonly Node[] },
): Plan {
  try {
    const { nodes, ...rewritten } = rewriteReads({ sql: request.sql, nodes: asked.nodes }, reads, facts.catalog);
    const { plan } = planText({ ...request, sql: rewritten.sql }, { ...facts, reads: undefined }, () => nodes);
    if (plan.verdict === 'refuse') {
      const { reason, message, sqlstate, policies, hint } = plan;
      throw new RefusedText(reason, message, { sqlstate, policies, ...(hint === undefined ? {} : { hint }) });
    }
    const statements = plan.statements.map((statement, index) =>
      askedAs(statement, asked.plan.statements[index] ?? statement, rewritten.columns),
    );
    return { ...plan, statements, rewritten };
  } catch (error) {
    return refusalOf(error, asked.plan.statements);
  }
}

/** Under all that policy said to what was asked. */
function askedAs(plan: StatementPlan, asked: StatementPlan, derived: readonly string[]): StatementPlan {
  const { fingerprint, touches, record } = asked;
  const judged = judgedTogether(asked.judged, plan.judged);
  return {
    ...plan,
    ...{ fingerprint, touches, judged, record, derived },
    policies: Array.from(new Set([...plan.policies, ...asked.policies])).sort(),
  };
}

/** They lead to another text, in which places are counted anew. */
const ownText: ReadonlySet<string> = new Set(['ExecuteStmt', 'FetchStmt', 'CreateTableAsStmt', 'DoStmt']);

function endsTransaction(effect: SessionEffect): boolean {
  return effect.kind === 'transaction' && (effect.verb === 'commit' || effect.verb === 'rollback');
}

function planStatement(
  request: PlanRequest,
  work: {
    facts: Facts;
    node: Node;
    index: number;
    session: SessionFacts;
    note: (facts: Pick<StatementFacts, 'touches' | 'judged'>) => void;
  },
): StatementPlan {
  const { decider, sql } = request;
  const { facts, node, index, session } = work;
  const { catalog } = facts;
  const lookup = lookupOf(catalog, session);
  const analysis = createAnalysis({
    ...facts,
    searchPath: lookup.path,
    creationSchema: lookup.creation,
    reads: mayDerive(node) ? facts.reads : undefined,
    trees: request.trees,
    created: session.created,
    createdNames: session.createdNames,
    moved: session.moved,
    bound: request.mode === 'parse' ? boundParameters(node, request.parameters) : undefined,
    isOtherRole: roleOf(catalog, session.role) !== undefined,
    mayDefine: (schema, name) =>
      decider.decide('postgres:ddl', tableResource(facts.place, schema, name), {}).allow ||
      decider.decide('postgres:ddl', databaseResource(facts.place), {}).allow,
  });
  const isParsed = request.mode === 'parse' && request.parameters === undefined;
  const before = facts.reads?.size;
  const outcome = walkStatement({ analysis, session, source: { text: sql, index }, isParsed }, node);
  // Where more is done than to answer rows, a NULL would be lost data, or do it to other rows.
  const doesMore = analysis.found.writes || analysis.questions.length > 0;
  if (doesMore && facts.reads?.size !== before) throw maskedUse();
  refuseOwnCode(analysis);
  if (session.tuned && !showsNoRows(catalog, node.kind, outcome.kind)) refuseTuned(analysis);
  const judgement = judge(analysis, decider, (judged) => work.note({ touches: touchesOf(analysis), judged }));
  const { found } = analysis;
  const more: SessionEffect[] = [...found.settings];
  if (found.encoding !== undefined) more.push({ kind: 'encoding', ...found.encoding });
  return {
    kind: outcome.kind,
    fingerprint: fingerprintOf(node),
    touches: judgement.touches,
    judged: judgement.judged,
    writes: found.writes,
    policies: judgement.policies,
    masks: maskPlan(analysis, { output: outcome.output, demanded: judgement.masks }),
    // Administration carries passwords in its text.
    record: statementClasses.get(node.kind)?.action === 'admin' ? 'nothing' : judgement.record,
    withhold: withholdingOf(analysis),
    isMasking: analysis.taint.isInForce,
    hasOwnOperators: analysis.found.ownOperators.size > 0,
    copy: outcome.copy,
    reads: outcome.reads,
    unknown: Array.from(found.unknown),
    effects: more.length === 0 ? outcome.effects : [...outcome.effects, ...more],
    needsValues: found.needsValues,
    changesCatalog: outcome.changesCatalog,
  };
}

/** Nor does what it sets off read any in another order, unless there is code that waited for a COMMIT, or is called by what is made anew or dropped. */
function showsNoRows(catalog: Catalog, node: string, kind: string): boolean {
  if (kind === 'commit') return !catalog.hasDeferrableTriggers;
  return rowless.has(node) && !mayRunOwnCode(catalog);
}

const rowless: ReadonlySet<string> = new Set(['DropStmt', 'LockStmt', 'ReindexStmt']);

/** Statements that answer rows out of the text at hand. */
function mayDerive({ kind, fields }: Node): boolean {
  if (kind === 'CopyStmt') return childOf(fields, 'query')?.kind === 'SelectStmt';
  return kind === 'SelectStmt' || kind === 'DeclareCursorStmt';
}

/** Any failure is a refusal: what could not be planned is not forwarded. A failure of the parser itself stays one. */
function refusalOf(error: unknown, statements: readonly StatementFacts[], sql?: string): Refusal {
  if (error instanceof RefusedText) {
    const { reason, detail } = error;
    const { sqlstate = sqlstates[reason], policies = [], location, ...more } = detail;
    const position = location === undefined || sql === undefined ? undefined : positionIn(sql, location);
    return {
      verdict: 'refuse',
      sqlstate,
      reason,
      message: error.message,
      ...more,
      ...(position === undefined ? {} : { position }),
      policies,
      statements: statements.map(factsOf),
    };
  }
  if (error instanceof RangeError) {
    // The walk recurses; the depth of trees is bounded well below, but how much stack is left is the caller's matter.
    const message = 'the statement nests too deeply to be understood';
    return {
      verdict: 'refuse',
      sqlstate: sqlstates['text-too-deep'],
      reason: 'text-too-deep',
      message,
      policies: [],
      statements: [],
    };
  }
  throw error;
}

/** As PostgreSQL counts: characters, from 1. */
function positionIn(sql: string, bytes: number): number {
  return Array.from(Buffer.from(sql).toString('utf8', 0, bytes)).length + 1;
}

function factsOf({ kind, fingerprint, touches, judged }: StatementFacts): StatementFacts {
  return { kind, fingerprint, touches, judged };
}
