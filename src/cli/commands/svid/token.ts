import { type CliCommand, exitCodes, requiredOption } from '../../command.ts';
import { explainedSvidError, fetchOwnToken, workloadApiOption, workloadApiSocket } from '../../connections/own-svid.ts';

export const command: CliCommand = {
  summary: 'Print a token (JWT-SVID) of this process’s identity: whoever has it is this process, to that audience.',
  options: [
    ['--audience <audience>', 'what the token is for, and for nothing else; of an HTTP target `countersign:NAME`'],
    workloadApiOption,
  ],
  examples: ['countersign svid token --audience countersign:api'],
  async run(context, input) {
    const audience = requiredOption(input, 'audience');
    const socket = workloadApiSocket(context, input);
    const token = await fetchOwnToken(context, { socket, audience }).catch((error: unknown) => {
      throw explainedSvidError(error, socket);
    });
    context.emit({ token, audience }, () => token);
    return exitCodes.ok;
  },
};
