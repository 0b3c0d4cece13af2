import { type CliCommand, exitCodes } from '../command.ts';
import { fetchOwnSvid, workloadApiOption, workloadApiSocket } from '../own-svid.ts';
import { formatFields, formatTimeS } from '../table.ts';

export const command: CliCommand = {
  summary: 'Show the identity that this process has, without its key.',
  options: [workloadApiOption],
  examples: ['countersign svid show', 'countersign svid show --json'],
  async run(context, input) {
    const svid = await fetchOwnSvid(context, workloadApiSocket(context, input), context.signal);
    context.emit(svid, () =>
      formatFields([
        ['identity', svid.spiffeId],
        ['serial', svid.serial],
        ['valid from', formatTimeS(svid.notBeforeS)],
        ['valid until', formatTimeS(svid.expiresAtS)],
        ...(svid.hint ? [['hint', svid.hint] as const] : []),
      ]),
    );
    return exitCodes.ok;
  },
};
