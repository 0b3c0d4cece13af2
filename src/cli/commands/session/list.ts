import { type CliCommand, UsageError } from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { serverOptions } from '../../connections/server-options.ts';
import { linesOf } from '../../ledger/entry-options.ts';
import {
  askSessions,
  filterOf,
  isFiltered,
  SESSIONS_MAX,
  sessionOptions,
  warnOfUnknown,
} from '../../sessions/ask-sessions.ts';
import { formatSessions, sessionValue } from '../../sessions/session-text.ts';

const LINES = 1000;

export const command: CliCommand = {
  summary: 'List the sessions that run on all gateways, newest first.',
  options: [...sessionOptions, ['-n, --lines <count>', 'the newest, at most so many', String(LINES)], ...serverOptions],
  lines: 'each session',
  examples: [
    'countersign session list',
    'countersign session list --who /shop/web --older-than 10m',
    'countersign session list --target shop --json',
  ],
  async run(context, input) {
    const limit = linesOf(input) ?? LINES;
    if (limit > SESSIONS_MAX) throw new UsageError(`--lines is ${SESSIONS_MAX} at most`);
    const asked = await withServer(context, input, async (client) =>
      askSessions(client, context, { filter: await filterOf(client, context, input), limit }),
    );
    const nowMs = context.clock.now();
    const { sessions, answered } = asked;
    const texts = formatSessions(sessions, nowMs, context.columns);
    for (const [index, session] of sessions.entries())
      context.emit(sessionValue(session, nowMs), () => texts[index] ?? '');
    if (sessions.length === 0 && answered > 0)
      context.say(isFiltered(input) ? 'No such session runs.' : 'No session runs.');
    return warnOfUnknown(context, asked);
  },
};
