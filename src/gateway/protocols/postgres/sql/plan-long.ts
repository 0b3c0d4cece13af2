import { setImmediate as giveWay } from 'node:timers/promises';
import type { Forward, Plan, PlanRequest, StatementPlan, TextLimits } from './plan.ts';
import { maskedUse, RefusedText } from './refusal.ts';
import { applySessionEffects } from './session/facts.ts';
import { extentOf, tokensAtOnceMax } from './text/nesting.ts';
import { refuseMalformed, statementsOf } from './text/parse.ts';
import { createParseThread, tooDeep } from './text/parse-thread.ts';
import { type Piece, piecesOf } from './text/split.ts';
import type { Node } from './text/tree.ts';
import { recordedAlike } from './verdict/recorded-alike.ts';
import { isAlike } from './verdict/runs.ts';

/** What the planner does with one statement. */
export interface PieceWork {
  readonly limits: TextLimits;
  /** Plans a text that is short. */
  plan(request: PlanRequest): Plan;
  /** Plans one that was parsed. */
  planParsed(request: PlanRequest, parse: () => readonly Node[]): Plan;
  refusalOf(error: unknown): Plan;
}

/** One for all: texts that are long wait for each other, statement by statement. */
const thread = createParseThread();

/** See `Planner.planLong`. */
export async function planLong(request: PlanRequest, work: PieceWork): Promise<Plan | undefined> {
  const { sql, mode, catalog, decider, limits } = { ...request, ...work };
  const basis = [catalog.version, decider.version, decider.principalKey].join();
  const statements: StatementPlan[] = [];
  let { session } = request;
  let prepared: Forward['prepared'];
  let tokens = 0;
  let runs = 0;
  const trees = { known: new Map<string, readonly Node[]>(), missing: new Set<string>() };
  try {
    refuseMalformed(sql);
    for (const piece of piecesOf(sql)) {
      tokens += piece.tokens;
      if (piece.tokens > limits.words) throw tooManyTokens(limits);
      const plan = await planPiece({ ...request, session, mode: 'simple', trees }, piece, work);
      if (basis !== [catalog.version, decider.version, decider.principalKey].join()) return undefined;
      if (plan.verdict === 'refuse') return movedBy(plan, piece.start);
      // It is sent as it is, since it is looked at in pieces.
      if (plan.rewritten !== undefined) throw maskedUse();
      for (const statement of plan.statements) {
        const last = statements.at(-1);
        const isMore = last !== undefined && isAlike(last, statement);
        statements.push(isMore ? last : statement);
        if (!isMore) runs += 1;
        if (statement.effects.length > 0) session = applySessionEffects(session, statement.effects);
      }
      if (runs > limits.statements) throw tooManyStatements(limits);
      if (mode === 'parse' && statements.length > 1)
        throw new RefusedText('several-statements', 'cannot insert multiple commands into a prepared statement');
      if (plan.prepared !== undefined) prepared = { ...plan.prepared, text: piece.text };
      if (tokens < TOKENS_A_TURN) continue;
      tokens = 0;
      await giveWay();
    }
    return {
      verdict: 'forward',
      statements: recordedAlike(statements),
      prepared: statements.length === 1 ? prepared : undefined,
    };
  } catch (error) {
    return work.refusalOf(error);
  }
}

interface Trees {
  readonly known: Map<string, readonly Node[]>;
  readonly missing: Set<string>;
}

/** The thread parses what takes too long here: the piece, or what it runs by a name, which is found when it is planned. */
async function planPiece(
  request: PlanRequest & { readonly trees: Trees },
  piece: Piece,
  work: PieceWork,
): Promise<Plan> {
  const { known, missing } = request.trees;
  const own = { ...request, sql: piece.text };
  let tree = piece.tokens > tokensAtOnceMax ? await parseApart(piece.text) : undefined;
  for (;;) {
    missing.clear();
    const nodes = tree;
    const plan = nodes === undefined ? work.plan(own) : work.planParsed(own, () => nodes);
    if (plan.verdict !== 'refuse' || plan.reason !== 'text-not-at-once') return plan;
    if (missing.size === 0 && tree !== undefined) throw tooDeep();
    if (missing.size === 0) tree = await parseApart(piece.text);
    if (known.size + missing.size > TREES_MAX) known.clear();
    for (const text of missing) known.set(text, await parseApart(text));
  }
}

async function parseApart(text: string): Promise<readonly Node[]> {
  if (extentOf(text) === 'deep') throw tooDeep();
  return statementsOf(JSON.parse(await thread.parse(text)));
}

/** A position in one statement is one in the whole text. */
function movedBy(plan: Extract<Plan, { verdict: 'refuse' }>, start: number): Plan {
  return plan.position === undefined ? plan : { ...plan, position: plan.position + start };
}

function tooManyTokens({ words }: TextLimits): RefusedText {
  return new RefusedText('text-too-long', `a statement has at most ${words} words, values and signs here`, {
    hint: 'Send it in parts, or bulk data by COPY; or raise limits.words of the target.',
  });
}

function tooManyStatements({ statements }: TextLimits): RefusedText {
  return new RefusedText(
    'text-too-long',
    `a text has at most ${statements} statements here, alike ones in a row counting as one`,
    {
      hint: 'Send it in parts, or raise limits.statements of the target.',
    },
  );
}

/** Of prepared texts; others are parsed again. */
const TREES_MAX = 4;
/** Planned in some milliseconds, which is how long all others wait at most for what goes on here. */
const TOKENS_A_TURN = 2_000;
