import { Code, RpcError } from '../../../rpc/index.ts';
import { argument, type CliCommand, exitCodes, textOption } from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { serverOptions } from '../../connections/server-options.ts';
import { askById, warnOfUnknown } from '../../sessions/ask-sessions.ts';
import { formatSession, sessionValue } from '../../sessions/session-text.ts';

export const command: CliCommand = {
  summary: 'Show all that is known of one session that runs.',
  arguments: '<id>',
  options: [['--gateway <gateway>', 'at this gateway, by its address or SPIFFE ID'], ...serverOptions],
  examples: ['countersign session show 1f2e3d4c', 'countersign session show 1f2e3d4c5b6a798801020304 --json'],
  async run(context, input) {
    const id = argument(input, 0, 'the id of a session, as `session list` shows it,');
    const gateway = textOption(input, 'gateway');
    const filter = gateway === undefined ? {} : { gateway };
    const asked = await withServer(context, input, (client) => askById(client, context, { ids: [id], filter }));
    const [session] = asked.sessions;
    if (session === undefined) {
      // Where not all have answered, it may run at one of the others.
      const isKnown = warnOfUnknown(context, asked) === exitCodes.ok;
      throw new RpcError(isKnown ? Code.NOT_FOUND : Code.UNAVAILABLE, `no session ${id} is found; ${REMEDY}`);
    }
    const nowMs = context.clock.now();
    context.emit(sessionValue(session, nowMs), () => formatSession(session, nowMs, context.columns));
    return exitCodes.ok;
  },
};

const REMEDY = 'what one that has ended did: `countersign record search --session ID`';
