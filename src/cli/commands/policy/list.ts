import type { PolicySummary } from '../../../policy/index.ts';
import { type CliCommand, exitCodes } from '../../command.ts';
import { askedOptions, askedPolicies } from '../../policy/policies-asked.ts';
import { formatTable, formatTimeS } from '../../terminal/table.ts';

export const command: CliCommand = {
  summary: 'List the policies in force, or those of files.',
  options: askedOptions,
  examples: ['countersign policy list', 'countersign policy list -f ./countersign.d --json'],
  async run(context, input) {
    const { compiled, where } = await askedPolicies(context, input);
    const { policies } = compiled;
    context.emit(
      policies.map((policy) => policyValue(policy, context.clock.now())),
      () =>
        policies.length === 0
          ? `There are no policies ${where}. Declare some and apply them with \`countersign apply\`.`
          : formatTable(
              ['id', 'effect', 'in', 'description'],
              policies.map((policy) => row(policy, context.clock.now())),
              context.columns,
            ),
    );
    return exitCodes.ok;
  },
};

function policyValue({ id, effect, position, description, reason, expiresMs }: PolicySummary, nowMs: number) {
  const { source, line } = position;
  const expiry = expiresMs === undefined ? {} : { expires: formatTimeS(expiresMs / 1000), expired: nowMs >= expiresMs };
  return {
    id,
    effect,
    in: source,
    line,
    ...(description === undefined ? {} : { description }),
    ...(reason === undefined ? {} : { reason }),
    ...expiry,
  };
}

function row({ id, effect, position, reason = '', expiresMs, ...more }: PolicySummary, nowMs: number): string[] {
  const { description = reason } = more;
  if (expiresMs === undefined) return [id, effect, position.source, description];
  const expiry = `${nowMs < expiresMs ? 'until' : 'EXPIRED'} ${formatTimeS(expiresMs / 1000)}`;
  return [id, effect, position.source, description === '' ? expiry : `${expiry}; ${description}`];
}
