import { IdentityError, parseSpiffeId } from '@countersign/sdk/identity';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { policySchema } from '../../app/policy-schema.ts';
import type { ProtocolMember, SessionPolicy } from '../../gateway/index.ts';
import { protocols } from '../../gateway/protocols/registry.generated.ts';
import type { DecisionRequest, EntityRef } from '../../model/index.ts';
import {
  approvalText,
  type CompiledPolicies,
  didYouMean,
  type Explanation,
  fieldWithin,
  limitsWith,
  limitText,
  limitWords,
  type PolicyExplanation,
} from '../../policy/index.ts';
import { memberById } from '../../std/index.ts';
import { UsageError } from '../command.ts';
import { formatWords } from '../terminal/table.ts';
import type { AskedPolicies } from './declared-policies.ts';
import { checkDatabase } from './named-resource.ts';
import { principalAsked } from './policies-asked.ts';
import { isPermitLacking, type Suggestion, suggestionLines, suggestPermit } from './suggest-permit.ts';
import { fieldsOf, type Unmasking, unmaskingLines, unmaskingOf } from './unmasked.ts';
import { unnamedNote } from './unnamed-note.ts';

/** A statement or request as a person writes it, and which of them it is. */
export interface WrittenCommand {
  readonly kind: 'sql' | 'request';
  readonly text: string;
}

/** What policies say of a statement or a request, question by question. */
export interface ExplainedStatement {
  readonly kind: WrittenCommand['kind'];
  readonly isAllowed: boolean;
  /** Why it is refused though no question is answered with no: it is none, or masks stand against it. */
  readonly refused: string | undefined;
  readonly questions: readonly ExplainedQuestion[];
  /** How to let the identity work with columns whose masks are why it is refused. */
  readonly unmasking: Unmasking | undefined;
  /** What was assumed. */
  readonly notes: readonly string[];
}

/** One question with its answer, and the permit that would allow it where one would. */
export interface ExplainedQuestion {
  readonly request: DecisionRequest;
  /** Sets of its context of which there is more than could be told. */
  readonly open: readonly string[];
  readonly explanation: Explanation;
  readonly suggestion: Suggestion | undefined;
}

/**
 * Asks policies what a command would ask of them at a target, `shop` or `shop/DATABASE`, for that identity at that time (epoch milliseconds).
 * @throws UsageError
 */
export async function explainStatement(
  policies: AskedPolicies,
  asked: {
    readonly identity: string;
    readonly command: WrittenCommand;
    readonly target: string;
    readonly timeMs: number;
  },
): Promise<ExplainedStatement> {
  const { compiled, sources, formOf } = policies;
  const { kind, text } = asked.command;
  const { name, config, place, path } = await targetOf(policies, asked);
  const principal = principalOf(policies, asked.identity);
  const columnsOf = (resource: EntityRef) => compiled.columnsNamed(resource);
  const at = place === undefined ? {} : { place };
  const found = await path.questionsOf(text, { name, config, ...at, columnsOf });
  if (!found.ok) return { kind, isAllowed: false, refused: found.why, questions: [], unmasking: undefined, notes: [] };
  const { timeMs } = asked;
  const taken: string[] = [];
  const questions = found.questions.map(({ open = [], ...question }): ExplainedQuestion => {
    const request = { ...question, principal, timeMs };
    const explanation = compiled.explain(request);
    const suggestion = isPermitLacking(explanation) ? suggestPermit(compiled, request, taken) : undefined;
    if (suggestion !== undefined) taken.push(suggestion.id);
    return { request, open, explanation, suggestion };
  });
  const isPermitted = questions.every(({ explanation }) => explanation.decision.allow);
  const refusedBy = (policies: CompiledPolicies, columns?: ReadonlySet<string>) =>
    found.refusedUnder(maskedPolicy(policies, { principal, timeMs, columns }));
  const refused = isPermitted ? refusedBy(compiled) : undefined;
  const unmasking =
    refused === undefined
      ? undefined
      : unmaskingOf({
          ...{ compiled, sources, formOf, requests: questions.map(({ request }) => ({ ...request, timeMs })) },
          isAllowedWithout: (columns) => refusedBy(compiled, columns) === undefined,
          isAllowedUnder: (policies) =>
            questions.every(({ request }) => policies.decide(request).allow) && refusedBy(policies) === undefined,
        });
  const notes = [
    ...(kind === 'sql' ? ['the names are those of the statement; its target was not asked'] : []),
    ...found.notes,
    ...slipsIn(policies, { identity: asked.identity, questions }),
  ];
  return { kind, isAllowed: isPermitted && refused === undefined, refused, questions, unmasking, notes };
}

/** The target that is named, and how its commands are understood. @throws UsageError */
async function targetOf(
  policies: AskedPolicies,
  { command: { kind }, target }: { readonly command: WrittenCommand; readonly target: string },
) {
  const { specs } = policies;
  const [name = '', place] = target.split('/');
  const spec = specs.get(name);
  if (!Value.Check(TARGET, spec)) {
    const hint = didYouMean(name, specs.keys()) ?? '`countersign target list` shows all';
    throw new UsageError(`no target ${JSON.stringify(name)} is declared (${hint})`);
  }
  const { protocol, ...config } = spec;
  const member = memberById<ProtocolMember>(protocols, protocol);
  const path = await member?.load();
  const { questionsOf } = path ?? {};
  if (member?.command === undefined || questionsOf === undefined)
    throw new UsageError(`of ${protocol} no command can be told by its text`);
  if (member.command !== kind)
    throw new UsageError(
      `target ${name} speaks ${protocol}: ask about it with --${member.command} ${EXAMPLES[member.command]}, not with --${kind}`,
    );
  if (place !== undefined && kind === 'request')
    throw new UsageError(`${target}: name the target alone, ${name}; the request tells its route`);
  if (place !== undefined) checkDatabase(name, place, policies);
  return { name, config, place, path: { questionsOf } };
}

/** Names that nobody has, or policies do not: a permit for a slip of the hand would help nobody. */
function slipsIn(
  policies: AskedPolicies,
  asked: { readonly identity: string; readonly questions: readonly ExplainedQuestion[] },
): readonly string[] {
  const { identities, where } = policies;
  const { identity, questions } = asked;
  const lacking = questions.flatMap(({ request, suggestion }) =>
    suggestion === undefined ? [] : (unnamedNote(policies, request.resource) ?? []),
  );
  if (identities === undefined) return [UNKNOWN_ATTRIBUTES, ...lacking];
  if (identities.has(identity)) return lacking;
  const near = didYouMean(identity, identities.keys());
  return [`no entry ${where} gives ${identity}${near === undefined ? '' : ` (${near})`}`, ...lacking];
}

/** What a session would be answered, with the masks of those columns taken away. */
function maskedPolicy(
  compiled: CompiledPolicies,
  asked: { readonly principal: EntityRef; readonly timeMs: number; readonly columns: ReadonlySet<string> | undefined },
): Pick<SessionPolicy, 'decide' | 'potentialMasks'> {
  const { principal, timeMs, columns = new Set() } = asked;
  return {
    decide(action, resource, context) {
      const decision = compiled.decide({ principal, action, resource, context, timeMs });
      if (!decision.allow) return decision;
      const isKept = (path: readonly string[]) => !columns.has(fieldWithin(policySchema, resource, path));
      const masks = decision.obligations.masks.filter(({ path }) => isKept(path));
      return { ...decision, obligations: { ...decision.obligations, masks } };
    },
    potentialMasks: () =>
      compiled.maskBearing(principal, timeMs).filter((mask) => !fieldsOf(mask).some((field) => columns.has(field))),
  };
}

/** Lines for people: each question with its answer, why, and what would change it. */
export function formatStatement({ kind, refused, questions, unmasking, notes }: ExplainedStatement): string {
  const why = questions.length === 0 ? 'refused, whatever policies say' : 'refused all the same';
  return [
    ...questions.flatMap(formatQuestion),
    ...(refused === undefined ? [] : [formatWords(`${why}: ${refused}`, '')]),
    ...(unmasking === undefined ? [] : unmaskingLines(unmasking, kind)),
    ...notes.map((note) => formatWords(`note: ${note}`, '')),
  ].join('\n');
}

function formatQuestion({ request, open, explanation, suggestion }: ExplainedQuestion): string[] {
  const { action, resource, context } = request;
  const { decision, policies } = explanation;
  const told = Object.entries(context).map(([name, value]) => {
    if (!open.includes(name)) return `${name} ${JSON.stringify(value)}`;
    return Array.isArray(value) && value.length > 0 ? `${name} ${JSON.stringify(value)} and others` : `all ${name}`;
  });
  told.push(...Object.entries(resource.tags ?? {}).map(([name, value]) => `${name} ${JSON.stringify(value)}`));
  const question = `${action} on ${wordOf(resource.type)} ${resource.id}${told.length > 0 ? ` (${told.join(', ')})` : ''}:`;
  if (decision.allow) {
    const masks = decision.obligations.masks.map(
      ({ path, kind }) => `${fieldWithin(policySchema, resource, path)}:${kind}`,
    );
    const { approvals } = decision.obligations;
    const demands = [
      ...(approvals === undefined ? [] : [`it is held: it ${approvalText(approvals)}`]),
      ...(masks.length > 0 ? [`masks ${masks.join(', ')}`] : []),
      ...limitsWith(decision.obligations.limits, limitWords(policySchema, [action])).map(limitText),
    ];
    const answer = [`allowed by ${decision.policies.join(', ')}`, ...demands].join('; ');
    return [formatWords(`${question} ${answer}`, '')];
  }
  const head = formatWords(
    `${question} DENIED${decision.policies.length > 0 ? ` by ${decision.policies.join(', ')}` : ''}`,
    '',
  );
  if (suggestion === undefined) {
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
    ...suggestionLines(suggestion).map((line) => `        ${line}`),
  ];
}

/** A permit about it that does not apply to this request. */
function nearMiss({ id, effect, outcome, why }: PolicyExplanation): string[] {
  if (effect === 'forbid' || outcome === 'matched' || !CONDITIONS.has(why.part)) return [];
  const values = why.values.map(({ path, value }) => `${path} is ${value}`);
  const reason = why.error ?? [why.expression, ...values].join('; ');
  return [formatWords(`permit ${id} is about it, and does not apply, because of its ${why.part}: ${reason}`, '    ')];
}

/** @throws UsageError */
function principalOf(asked: AskedPolicies, identity: string) {
  try {
    return principalAsked(asked, parseSpiffeId(identity));
  } catch (cause) {
    if (!(cause instanceof IdentityError)) throw cause;
    throw new UsageError(`--as: ${cause.message}`, { cause });
  }
}

/** `table` of `Postgres::Table`. */
function wordOf(type: string): string {
  return type.slice(type.lastIndexOf(':') + 1).toLowerCase();
}

const EXAMPLES = { sql: '"select …"', request: "'GET /path'" } as const;
const UNKNOWN_ATTRIBUTES =
  'there are too many entries to look for its own, so it was asked about as one without owner, environment and labels';
const CONDITIONS: ReadonlySet<string> = new Set(['when', 'unless', 'expires']);
const TARGET = Type.Object({ protocol: Type.String() });
