import { Code, RpcError } from '../../../rpc/index.ts';
import { codeOf } from '../../../std/index.ts';
import { type CliCommand, exitCodes } from '../../command.ts';
import { fetchOwnSvid, whyDefault, workloadApiOption, workloadApiSocket } from '../../connections/own-svid.ts';
import { whyUnreached } from '../../connections/unreached.ts';
import { formatFields, formatTimeS } from '../../terminal/table.ts';

export const command: CliCommand = {
  summary: 'Show the identity that this process has, without its key.',
  options: [workloadApiOption],
  examples: ['countersign svid show', 'countersign svid show --json'],
  async run(context, input) {
    const socket = workloadApiSocket(context, input);
    const svid = await fetchOwnSvid(context, socket, context.signal).catch((error: unknown) => {
      throw withRemedy(error, socket);
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

/** What the agent says is the caller's to read; what the system says of its socket needs a word on what to do. */
function withRemedy(error: unknown, socket: string): unknown {
  if (!(error instanceof RpcError)) return error;
  if (error.code === Code.PERMISSION_DENIED)
    return new RpcError(
      error.code,
      `${error.message}: no entry matches this process (uid ${process.geteuid?.()}); an operator registers it with \`countersign entry create\``,
      { cause: error },
    );
  if (error.code !== Code.UNAVAILABLE || codeOf(error.cause) === undefined) return error;
  const { remedy } = whyUnreached(error, { role: 'agent', connect: { unix: socket }, option: '--workload-api' });
  return new RpcError(error.code, `${error.message}; ${remedy}`, { cause: error });
}
