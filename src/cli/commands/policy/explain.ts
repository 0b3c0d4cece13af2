import { policySchema } from '../../../app/policy-schema.ts';
import type { DecisionRequest } from '../../../model/index.ts';
import {
  approvalText,
  type Explanation,
  fieldWithin,
  limitsWith,
  limitText,
  limitWords,
  PolicyError,
  parsePolicyCases,
  requestOfCase,
} from '../../../policy/index.ts';
import {
  argument,
  type CliCommand,
  type CliContext,
  type CliInput,
  exitCodes,
  requiredOption,
  textOption,
  UsageError,
} from '../../command.ts';
import { loadPolicyFiles } from '../../declared/policy-files.ts';
import { askedAt, atOption } from '../../policy/asked-at.ts';
import type { AskedPolicies } from '../../policy/declared-policies.ts';
import { explainStatement, formatStatement, type WrittenCommand } from '../../policy/explain-statement.ts';
import { namedAction } from '../../policy/named-actions.ts';
import { askedOptions, askedPolicies } from '../../policy/policies-asked.ts';
import { isPermitLacking, suggestionLines, suggestPermit } from '../../policy/suggest-permit.ts';

export const command: CliCommand = {
  summary: 'Say how policies answer a statement or a request, or one question, why, and what would allow it.',
  arguments: '[target-or-paths...]',
  options: [
    ['--as <id>', 'SPIFFE ID that asks, of a statement or request'],
    ['--sql <statement>', 'the statement, at a target that is the argument: TARGET or TARGET/DATABASE'],
    [
      '--request <request>',
      "of an HTTP target: 'GET /v1/customers/7'; lines of fields may follow, and a JSON body behind them",
    ],
    [
      '--principal <id>',
      'SPIFFE ID that asks, of one question; the arguments are files of policies, by default those in force',
    ],
    [
      '--attributes <json>',
      'what the identity is: {"owner":"…","environment":"…","labels":{"team":"…"}}; by default as its entries say',
    ],
    ['--action <action>', 'such as postgres:select'],
    ['--resource <kind:id>', 'such as table:orders/shop/public/customers'],
    ['--tags <json>', 'tags of the resource as a JSON object: {"path.id":"7"}'],
    ['--context <json>', 'context as a JSON object, without time', '{}'],
    atOption,
    ...askedOptions,
  ],
  verbatim: true,
  examples: [
    'countersign policy explain --as spiffe://example.org/web shop --sql "select id, name from customers"',
    "countersign policy explain --as spiffe://example.org/web api --request 'GET /v1/customers/7'",
    'countersign policy explain ./countersign.d --principal spiffe://example.org/web --action postgres:select --resource table:orders/shop/public/customers --context \'{"columns":["id"],"hasWhere":false}\'',
  ],
  async run(context, input) {
    const command = commandOf(input);
    if (command !== undefined) return explainCommand(context, input, command);
    const isOfFiles = input.args.length > 0;
    const policies = isOfFiles ? undefined : await askedPolicies(context, input);
    const asked = policies?.compiled ?? loadPolicyFiles(input);
    const request = requestOf(input, askedAt(context, input), policies);
    const explanation = asked.explain(request);
    // Gateways refuse such a request, but they never make one: whoever asks about it has not got an answer about their policies.
    if (explanation.invalid !== undefined) throw new UsageError(`no such request is possible: ${explanation.invalid}`);
    const { decision } = explanation;
    const suggestion = isPermitLacking(explanation) ? suggestPermit(asked, request) : undefined;
    context.emit(
      { ...explanationValue(explanation, request), ...(suggestion === undefined ? {} : { suggestion }) },
      () =>
        [
          formatExplanation(explanation, request),
          ...(suggestion === undefined ? [] : ['To allow it, add this to your policies and apply them:']),
          ...(suggestion === undefined ? [] : suggestionLines(suggestion)),
        ].join('\n'),
    );
    return decision.allow ? exitCodes.ok : exitCodes.no;
  },
};

/** @throws UsageError */
function commandOf(input: CliInput): WrittenCommand | undefined {
  const [sql, request] = [textOption(input, 'sql'), textOption(input, 'request')];
  if (sql !== undefined && request !== undefined)
    throw new UsageError('--sql is a statement, and --request one of HTTP; give one of them');
  if (sql !== undefined) return { kind: 'sql', text: sql };
  return request === undefined ? undefined : { kind: 'request', text: request };
}

async function explainCommand(context: CliContext, input: CliInput, command: WrittenCommand): Promise<number> {
  const asking = {
    command,
    identity: requiredOption(input, 'as'),
    target: argument(input, 0, 'the target, such as shop,'),
    timeMs: askedAt(context, input),
  };
  const told = await explainStatement(await askedPolicies(context, input), asking);
  const { isAllowed, refused, questions, unmasking, notes } = told;
  const value = {
    ...{ allowed: isAllowed, ...(refused === undefined ? {} : { refused }), notes },
    ...(unmasking === undefined ? {} : { unmasking }),
    questions: questions.map(({ request, open, explanation, suggestion }) => ({
      ...{ action: request.action, resource: resourceValue(request.resource) },
      context: request.context,
      ...(open.length === 0 ? {} : { open }),
      ...explanationValue(explanation, request),
      ...(suggestion === undefined ? {} : { suggestion }),
    })),
  };
  context.emit(value, () => formatStatement(told));
  return isAllowed ? exitCodes.ok : exitCodes.no;
}

function resourceValue({ type, id, tags }: DecisionRequest['resource']) {
  return { type, id, ...(tags === undefined ? {} : { tags }) };
}

function explanationValue(explanation: Explanation, { resource }: DecisionRequest) {
  const { decision } = explanation;
  if (!decision.allow) return explanation;
  const masks = decision.obligations.masks.map(({ path, kind }) => [fieldWithin(policySchema, resource, path), kind]);
  const obligations = { ...decision.obligations, masks: Object.fromEntries(masks) };
  return { ...explanation, decision: { ...decision, obligations } };
}

/** @throws UsageError for a question about nothing in the schema */
function requestOf(
  input: CliInput,
  nowMs: number,
  policies: Pick<AskedPolicies, 'identities'> | undefined,
): DecisionRequest & { readonly timeMs: number } {
  const [kind, id] = splitOnce(requiredOption(input, 'resource'));
  const action = namedAction(requiredOption(input, 'action'), policySchema.namedById.get(kind)?.protocol);
  const context = jsonObject(textOption(input, 'context') ?? '{}');
  if (Object.hasOwn(context, 'time')) throw new UsageError('the time is given with --at');
  const lacking = Object.entries(policySchema.actions.get(action)?.context ?? {}).flatMap(([name, { required }]) =>
    required === false || Object.hasOwn(context, name) ? [] : [name],
  );
  if (lacking.length > 0) throw new UsageError(`--context lacks ${lacking.join(', ')}, which every ${action} has`);
  const principal = requiredOption(input, 'principal');
  const given = textOption(input, 'attributes');
  const known = policies?.identities?.get(principal);
  const attributes = given === undefined ? known : jsonObject(given, '--attributes');
  const tags = textOption(input, 'tags');
  const value = {
    ...{ name: 'request', principal, ...(attributes === undefined ? {} : { attributes }) },
    action,
    resource: { [kind]: id, ...(tags === undefined ? {} : { tags: jsonObject(tags, '--tags') }) },
    context,
    expect: 'allow',
  };
  try {
    const [one] = parsePolicyCases([value]);
    if (!one) throw new UsageError('there is no request');
    return { ...requestOfCase(one, policySchema, nowMs), timeMs: nowMs };
  } catch (cause) {
    if (!(cause instanceof PolicyError)) throw cause;
    // The rules are those of test cases; here is only one, and nobody has called it so.
    throw new UsageError(cause.message.replace(/^case "request": /, ''), { cause });
  }
}

function formatExplanation({ decision, policies }: Explanation, { action, resource }: DecisionRequest): string {
  const lines = [
    decision.allow
      ? `allowed by ${decision.policies.join(', ')}`
      : `denied (${decision.reason})${decision.policies.length > 0 ? ` by ${decision.policies.join(', ')}` : ''}`,
  ];
  if (decision.allow) {
    const { approvals } = decision.obligations;
    if (approvals !== undefined) lines.push(`  it is held: it ${approvalText(approvals)}`);
    for (const { path, kind } of decision.obligations.masks)
      lines.push(`  mask ${fieldWithin(policySchema, resource, path)}: ${kind}`);
    for (const limit of limitsWith(decision.obligations.limits, limitWords(policySchema, [action])))
      lines.push(`  ${limitText(limit)}`);
  }
  for (const { id, effect, outcome, why } of policies) {
    lines.push(
      `${outcome === 'matched' ? '*' : ' '} ${effect} ${id}: ${outcome === 'matched' ? 'applies' : `${outcome}, because of its ${why.part}: ${why.expression}`}`,
    );
    for (const { path, value } of why.values) lines.push(`      ${path} is ${value}`);
  }
  return lines.join('\n');
}

function splitOnce(text: string): [string, string] {
  const colon = text.indexOf(':');
  if (colon < 1) throw new UsageError('--resource is written kind:id, as in table:orders/shop/public/customers');
  return [text.slice(0, colon), text.slice(colon + 1)];
}

function jsonObject(text: string, option = '--context'): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // Said below, with the form that is wanted.
  }
  throw new UsageError(`${option} is a JSON object`);
}
