import { type CliCommand, exitCodes } from '../../command.ts';
import { restOptions, withRest } from '../../connections/with-rest.ts';
import { subjectText } from '../../revocations/effect-text.ts';
import { revocationId } from '../../revocations/find-id.ts';

export const command: CliCommand = {
  summary: 'Take a quarantine back, or a revocation when all that was issued before it is over.',
  arguments: '<id>',
  options: restOptions,
  examples: ['countersign revocation lift 5f3a09c1'],
  async run(context, input) {
    const { signal } = context;
    const { output } = await withRest(context, input, async (client) =>
      client.call('revocation.lift', { id: await revocationId(client, input, signal) }, { signal }),
    );
    context.emit(output, () => `${subjectText(output)} is ${output.mode} no more`);
    return exitCodes.ok;
  },
};
