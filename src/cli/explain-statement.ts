import { IdentityError, parseSpiffeId } from '@countersign/sdk/identity';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import type { ProtocolMember } from '../gateway/index.ts';
import { protocols } from '../gateway/protocols/registry.generated.ts';
import type { DecisionRequest } from '../model/index.ts';
import { didYouMean, type Explanation, identityEntity, type PolicyExplanation } from '../policy/index.ts';
import { memberById } from '../std/index.ts';
import { UsageError } from './command.ts';
import type { AskedPolicies } from './policies-asked.ts';
import { formatWords } from './table.ts';

/** What policies say of a statement, question by question. */
export interface ExplainedStatement {
  readonly isAllowed: boolean;
  /** Why it is refused though no question is answered with no: it is none, or masks stand against it. */
  readonly refused: string | undefined;
  readonly questions: readonly { readonly request: DecisionRequest; readonly explanation: Explanation }[];
  /** What was assumed. */
  readonly notes: readonly string[];
}

/**
 * Asks policies what a statement would ask of them at a target, `shop` or `shop/DATABASE`, for that identity at that time (epoch milliseconds).
 * @throws UsageError
 */
export async function explainStatement(
  { compiled, specs }: AskedPolicies,
  asked: { readonly identity: string; readonly statement: string; readonly target: string; readonly timeMs: number },
): Promise<ExplainedStatement> {
  const [name = '', place] = asked.target.split('/');
  const spec = specs.get(name);
  if (!Value.Check(TARGET, spec)) {
    const hint = didYouMean(name, specs.keys()) ?? '`countersign target list` shows all';
    throw new UsageError(`no target ${JSON.stringify(name)} is declared (${hint})`);
  }
  const { protocol, ...config } = spec;
  const member = memberById<ProtocolMember>(protocols, protocol);
  const path = await member?.load();
  if (path?.questionsOf === undefined) throw new UsageError(`of ${protocol} no statement can be told by its text`);
  const principal = principalOf(asked.identity);
  const found = await path.questionsOf(asked.statement, { name, config, ...(place === undefined ? {} : { place }) });
  if (!found.ok) return { isAllowed: false, refused: found.why, questions: [], notes: [] };
  const { timeMs } = asked;
  const questions = found.questions.map((question) => {
    const request = { ...question, principal, timeMs };
    return { request, explanation: compiled.explain(request) };
  });
  const isPermitted = questions.every(({ explanation }) => explanation.decision.allow);
  const refused = isPermitted
    ? found.refusedUnder({
        decide: (action, resource, context) => compiled.decide({ principal, action, resource, context, timeMs }),
        potentialMasks: () => compiled.maskBearing(principal, timeMs),
      })
    : undefined;
  const notes = ['the names are those of the statement; its target was not asked', ...found.notes];
  return { isAllowed: isPermitted && refused === undefined, refused, questions, notes };
}

/** Lines for people: each question with its answer, why, and what would change it. */
export function formatStatement({ refused, questions, notes }: ExplainedStatement): string {
  const why = questions.length === 0 ? 'refused, whatever policies say' : 'refused all the same';
  return [
    ...questions.flatMap(({ request, explanation }) => formatQuestion(request, explanation)),
    ...(refused === undefined ? [] : [formatWords(`${why}: ${refused}`, '')]),
    ...notes.map((note) => formatWords(`note: ${note}`, '')),
  ].join('\n');
}

function formatQuestion({ principal, action, resource, context }: DecisionRequest, explanation: Explanation): string[] {
  const { decision, policies } = explanation;
  const told = Object.entries(context).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  const question = `${action} on ${wordOf(resource.type)} ${resource.id}${told.length > 0 ? ` (${told.join(', ')})` : ''}:`;
  if (decision.allow) {
    const masks = Array.from(decision.obligations.masks, ([column, kind]) => `${column}:${kind}`);
    const demands = [
      ...(masks.length > 0 ? [`masks ${masks.join(', ')}`] : []),
      ...(decision.obligations.rowsMax === undefined ? [] : [`at most ${decision.obligations.rowsMax} rows`]),
    ];
    const answer = [`allowed by ${decision.policies.join(', ')}`, ...demands].join('; ');
    return [formatWords(`${question} ${answer}`, '')];
  }
  const head = formatWords(
    `${question} DENIED${decision.policies.length > 0 ? ` by ${decision.policies.join(', ')}` : ''}`,
    '',
  );
  if (decision.reason !== 'no-permit') {
    const stop = policies
      .filter(({ id, why }) => decision.policies.includes(id) && why.expression !== '')
      .map(({ effect, id, why }) => `${effect} ${id} ${why.expression}`.trim());
    return [
      head,
      ...stop.map((line) => formatWords(line, '    ')),
      '    No permit helps against it: change it, or what is asked.',
    ];
  }
  return [
    head,
    ...policies.flatMap(nearMiss),
    '    To allow it, add this to your policies and apply them:',
    ...permitFor({ principal, action, resource }).map((line) => `        ${line}`),
  ];
}

/** A permit about it that does not apply to this request. */
function nearMiss({ id, effect, outcome, why }: PolicyExplanation): string[] {
  if (effect === 'forbid' || outcome === 'matched' || !CONDITIONS.has(why.part)) return [];
  const values = why.values.map(({ path, value }) => `${path} is ${value}`);
  const reason = why.error ?? [why.expression, ...values].join('; ');
  return [formatWords(`permit ${id} is about it, and does not apply, because of its ${why.part}: ${reason}`, '    ')];
}

function permitFor({
  principal,
  action,
  resource,
}: Pick<DecisionRequest, 'principal' | 'action' | 'resource'>): string[] {
  return [
    'permit(',
    `  principal == ${principal.type}::${JSON.stringify(principal.id)},`,
    `  action == Action::${JSON.stringify(action)},`,
    `  resource == ${resource.type}::${JSON.stringify(resource.id)}`,
    ');',
  ];
}

/** @throws UsageError */
function principalOf(identity: string) {
  try {
    return identityEntity(parseSpiffeId(identity));
  } catch (cause) {
    if (!(cause instanceof IdentityError)) throw cause;
    throw new UsageError(`--as: ${cause.message}`, { cause });
  }
}

/** `table` of `Postgres::Table`. */
function wordOf(type: string): string {
  return type.slice(type.lastIndexOf(':') + 1).toLowerCase();
}

const CONDITIONS: ReadonlySet<string> = new Set(['when', 'unless', 'expires']);
const TARGET = Type.Object({ protocol: Type.String() });
