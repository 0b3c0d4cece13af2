import { didYouMean } from '../../../policy/index.ts';
import { argument, type CliCommand, exitCodes, UsageError } from '../../command.ts';
import { askedOptions, askedPolicies } from '../../policy/policies-asked.ts';

export const command: CliCommand = {
  summary: 'Show one policy as it is written, by its @id.',
  arguments: '<id>',
  options: askedOptions,
  verbatim: true,
  examples: ['countersign policy show web-orders', 'countersign policy show web-orders -f ./countersign.d'],
  async run(context, input) {
    const id = argument(input, 0, 'the id of the policy');
    const { compiled, where } = await askedPolicies(context, input);
    const found = compiled.policies.find((policy) => policy.id === id);
    if (found === undefined) {
      const hint = didYouMean(
        id,
        compiled.policies.map((policy) => policy.id),
      );
      throw new UsageError(
        `there is no policy ${JSON.stringify(id)} ${where} (${hint ?? '`countersign policy list` shows all'})`,
      );
    }
    const { effect, position, description, text } = found;
    const { source, line } = position;
    context.emit(
      { id, effect, in: source, line, ...(description === undefined ? {} : { description }), text },
      () => `// Policy ${source}, line ${line}\n${text}`,
    );
    return exitCodes.ok;
  },
};
