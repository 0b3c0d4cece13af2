import { policySchema } from '../../app/declared-rules.ts';
import { type Explanation, parsePolicyCases, requestOfCase } from '../../policy/index.ts';
import { type CliCommand, exitCodes, requiredOption, textOption, UsageError } from '../command.ts';
import { loadPolicyFiles } from '../policy-files.ts';

export const command: CliCommand = {
  summary: 'Say how policies answer one request, and why.',
  arguments: '[paths...]',
  options: [
    ['--principal <id>', 'SPIFFE ID that asks'],
    ['--action <action>', 'such as postgres:select'],
    ['--resource <kind:id>', 'such as table:orders/shop/public/customers'],
    ['--context <json>', 'context as a JSON object', '{}'],
  ],
  examples: [
    'countersign policy explain ./countersign.d --principal spiffe://example.org/web --action postgres:select --resource table:orders/shop/public/customers --context \'{"columns":["id"],"hasWhere":false}\'',
  ],
  async run(context, input) {
    const [kind, id] = splitOnce(requiredOption(input, 'resource'));
    const [one] = parsePolicyCases([
      {
        name: 'request',
        principal: requiredOption(input, 'principal'),
        action: requiredOption(input, 'action'),
        resource: { [kind]: id },
        context: jsonObject(textOption(input, 'context') ?? '{}'),
        expect: 'allow',
      },
    ]);
    if (!one) throw new UsageError('there is no request');
    const explanation = loadPolicyFiles(input).explain(requestOfCase(one, policySchema));
    const { decision } = explanation;
    const value = decision.allow
      ? {
          ...explanation,
          decision: {
            ...decision,
            obligations: { ...decision.obligations, masks: Object.fromEntries(decision.obligations.masks) },
          },
        }
      : explanation;
    context.emit(value, () => formatExplanation(explanation));
    return decision.allow ? exitCodes.ok : exitCodes.no;
  },
};

function formatExplanation({ decision, invalid, policies }: Explanation): string {
  const lines = [
    decision.allow
      ? `allowed by ${decision.policies.join(', ')}`
      : `denied (${decision.reason})${decision.policies.length > 0 ? ` by ${decision.policies.join(', ')}` : ''}`,
  ];
  if (invalid !== undefined) lines.push(`the request does not fit the schema: ${invalid}`);
  if (decision.allow) {
    for (const [column, kind] of decision.obligations.masks) lines.push(`  mask ${column}: ${kind}`);
    if (decision.obligations.rowsMax !== undefined) lines.push(`  at most ${decision.obligations.rowsMax} rows`);
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

function jsonObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // Said below, with the form that is wanted.
  }
  throw new UsageError('--context is a JSON object');
}
