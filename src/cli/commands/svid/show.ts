import { type CliCommand, exitCodes } from '../../command.ts';
import {
  explainedSvidError,
  fetchOwnSvid,
  whyDefault,
  workloadApiOption,
  workloadApiSocket,
} from '../../connections/own-svid.ts';
import { formatFields, formatTimeS } from '../../terminal/table.ts';

export const command: CliCommand = {
  summary: 'Show the identity that this process has, without its key.',
  options: [workloadApiOption],
  examples: ['countersign svid show', 'countersign svid show --json'],
  async run(context, input) {
    const socket = workloadApiSocket(context, input);
    const svid = await fetchOwnSvid(context, socket, context.signal).catch((error: unknown) => {
      throw explainedSvidError(error, socket);
    });
    const why = whyDefault(svid);
    context.emit(svid, () =>
      formatFields(
        [
          ['identity', svid.spiffeId],
          ['serial', svid.serial],
          ['valid from', formatTimeS(svid.notBeforeS)],
          ['valid until', formatTimeS(svid.expiresAtS)],
          ...(svid.hint ? [['hint', svid.hint] as const] : []),
          ...(why === undefined ? [] : [['why', why] as const]),
          ...svid.others.map((other, index) => [index === 0 ? 'also' : '', other] as const),
        ],
        context.columns,
      ),
    );
    return exitCodes.ok;
  },
};
