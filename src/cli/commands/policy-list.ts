import type { PolicySummary } from '../../policy/index.ts';
import { type CliCommand, exitCodes } from '../command.ts';
import { askedOptions, askedPolicies } from '../policies-asked.ts';
import { formatTable } from '../table.ts';

export const command: CliCommand = {
  summary: 'List the policies in force, or those of files.',
  options: askedOptions,
  examples: ['countersign policy list', 'countersign policy list -f ./countersign.d --json'],
  async run(context, input) {
    const { compiled, where } = await askedPolicies(context, input);
    const { policies } = compiled;
    context.emit(policies.map(policyValue), () =>
      policies.length === 0
        ? `There are no policies ${where}. Declare some and apply them with \`countersign apply\`.`
        : formatTable(['id', 'effect', 'in', 'description'], policies.map(row)),
    );
    return exitCodes.ok;
  },
};

function policyValue({ id, effect, position, description }: PolicySummary) {
  const { source, line } = position;
  return { id, effect, in: source, line, ...(description === undefined ? {} : { description }) };
}

function row({ id, effect, position, description = '' }: PolicySummary): string[] {
  return [id, effect, position.source, description];
}
