import { type CliCommand, exitCodes } from '../../command.ts';
import { followEvents } from '../../connections/follow-events.ts';
import { restOptions } from '../../connections/with-rest.ts';
import { askedOf, isFiltered, sessionOptions } from '../../sessions/ask-sessions.ts';
import { createSessionChanges } from '../../sessions/session-changes.ts';
import { formatSessions, sessionValue } from '../../sessions/session-text.ts';

export const command: CliCommand = {
  summary: 'Show the sessions that run, and each one that begins, does something or ends, until it is stopped.',
  options: [...sessionOptions, ...restOptions],
  lines: 'each change of a session',
  examples: ['countersign session follow --target shop', 'countersign session follow --who /shop/web --json'],
  waits: () => true,
  async run(context, input) {
    const asked = { ...askedOf(input), limit: SESSIONS_MAX };
    const changes = createSessionChanges();
    let isFirst = true;
    await followEvents(context, input, {
      ...{ name: 'session.follow', asked },
      show(told) {
        const nowMs = context.clock.now();
        const { changed, warnings } = changes.next(told, nowMs);
        for (const { what, session } of changed)
          context.emit({ event: what, ...sessionValue(session, nowMs) }, () => {
            const [text = ''] = formatSessions([session], nowMs, context.columns - WORD);
            return `${what.padEnd(WORD - 1)} ${text}`;
          });
        for (const warning of warnings) context.warn(`warning: ${warning}`);
        if (isFirst && told.sessions.length === 0 && told.answered > 0)
          context.say(isFiltered(input) ? 'No such session runs yet.' : 'No session runs yet.');
        isFirst = false;
      },
    });
    return exitCodes.ok;
  },
};

/** As many as there may be in one event. */
const SESSIONS_MAX = 1000;
/** The longest of `runs`, `began`, `does`, `ended`, and a blank. */
const WORD = 6;
