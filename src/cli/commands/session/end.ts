import type { LiveSession } from '@countersign/sdk/contract/gen/countersign/control/v1/sessions_pb.ts';
import type { RpcClient } from '../../../rpc/index.ts';
import {
  type CliCommand,
  type CliContext,
  type CliInput,
  exitCodes,
  flagOption,
  textOption,
  UsageError,
} from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { serverOptions } from '../../connections/server-options.ts';
import {
  type AskedSessions,
  askById,
  askSessions,
  filterOf,
  isFiltered,
  notAnswered,
  SESSIONS_MAX,
  sessionOptions,
  unansweredValue,
  warnOfUnknown,
} from '../../sessions/ask-sessions.ts';
import { type EndedSessions, endSessions } from '../../sessions/end-sessions.ts';
import { formatSessionRows, sessionValue } from '../../sessions/session-text.ts';
import { confirm } from '../../terminal/confirm.ts';

export const command: CliCommand = {
  summary: 'End sessions that run, by their ids or by what they are; shows them first.',
  arguments: '[id...]',
  options: [
    ...sessionOptions,
    ['--all', 'all that run'],
    ['--reason <text>', 'why, for the ledgers'],
    ['--yes', 'do not ask before acting'],
    ...serverOptions,
  ],
  examples: [
    'countersign session end 1f2e3d4c',
    'countersign session end --who /shop/web --reason "leaked key"',
    'countersign session end --all --yes',
  ],
  async run(context, input) {
    checkWords(input);
    const reason = reasonOf(input);
    return withServer(context, input, async (client) => {
      const found = await find(client, context, input);
      const { sessions, missing } = found;
      for (const id of missing) context.warn(`no session ${id} is found; it may have ended`);
      const codes: number[] = [missing.length > 0 || found.leftOut > 0 ? exitCodes.no : exitCodes.ok];
      codes.push(warnOfUnknown(context, found));
      let became: EndedSessions = { ended: [], over: [], unknown: [], unanswered: [] };
      if (sessions.length > 0) {
        const plan = formatSessionRows(sessions, context.clock.now(), context.columns);
        context.say(`${plan}\n${countOf(sessions)} to be ended.`);
        const [question, these] = sessions.length === 1 ? ['End it?', 'it'] : ['End them?', 'them'];
        if (!flagOption(input, 'yes') && !(await confirm(context, { question, unasked: `give --yes to end ${these}` })))
          return exitCodes.no;
        became = await endSessions(client, context, { sessions, reason });
        codes.push(warnOfSilent(context, became));
      }
      context.emit(endedValue(context, found, became), () => formatEnded(became));
      return Math.max(...codes);
    });
  },
};

interface Found extends AskedSessions {
  readonly missing: readonly string[];
}

async function find(client: RpcClient, context: CliContext, input: CliInput): Promise<Found> {
  const filter = await filterOf(client, context, input);
  if (input.args.length > 0) return askById(client, context, { ids: input.args, filter });
  return { ...(await askSessions(client, context, { filter, limit: SESSIONS_MAX })), missing: [] };
}

/** @throws UsageError */
function checkWords(input: CliInput): void {
  const isNamed = input.args.length > 0 || isFiltered(input);
  const all = flagOption(input, 'all');
  if (all && isNamed) throw new UsageError('--all ends all that run; give it alone, or name some');
  if (!all && !isNamed)
    throw new UsageError(
      'name sessions by their ids as `session list` shows them, or by --who, --target, --node, --gateway or --older-than; --all ends all',
    );
}

/** @throws UsageError */
function reasonOf(input: CliInput): string {
  const reason = textOption(input, 'reason')?.trim() ?? '';
  if (reason.length > REASON_CHARS_MAX || /\n/.test(reason))
    throw new UsageError(`--reason is one line of ${REASON_CHARS_MAX} characters at most`);
  return reason;
}

/** Returns the exit code that says so. */
function warnOfSilent(context: CliContext, { unknown, unanswered }: EndedSessions): number {
  for (const gateway of unanswered) {
    const there = unknown.filter(
      ({ gatewayAddress, gatewaySpiffeId }) =>
        gatewayAddress === gateway.address && gatewaySpiffeId === gateway.spiffeId,
    );
    context.warn(
      `warning: ${notAnswered(gateway)}; whether ${countOf(there)} there has ended is not known: \`countersign session list --gateway ${gateway.address}\``,
    );
  }
  return unanswered.length > 0 ? exitCodes.unavailable : exitCodes.ok;
}

function endedValue(context: CliContext, found: Found, { ended, over, unknown, unanswered }: EndedSessions) {
  const nowMs = context.clock.now();
  const values = (sessions: readonly LiveSession[]) => sessions.map((session) => sessionValue(session, nowMs));
  return {
    ...{ ended: values(ended), over: values(over), unknown: values(unknown) },
    ...{ missing: found.missing, leftOut: found.leftOut },
    unanswered: [...found.unanswered, ...unanswered].map(unansweredValue),
  };
}

function formatEnded({ ended, over, unknown }: EndedSessions): string {
  if (ended.length + over.length + unknown.length === 0) return 'No such session runs: nothing was ended.';
  return [
    `ended ${countOf(ended)}`,
    ...(over.length === 0 ? [] : [`${countOf(over)} had ended already`]),
    ...(unknown.length === 0 ? [] : [`of ${countOf(unknown)} it is not known`]),
  ].join('\n');
}

function countOf({ length }: readonly LiveSession[]): string {
  return length === 1 ? '1 session' : `${length} sessions`;
}

/** As many as ledgers take. */
const REASON_CHARS_MAX = 200;
