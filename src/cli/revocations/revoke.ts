import type { ApiClient, Operations } from '@countersign/sdk/client';
import { formatRevocationSubject, type RevocationSubject } from '../../model/index.ts';
import {
  type CliContext,
  type CliInput,
  exitCodes,
  flagOption,
  listOption,
  textOption,
  UsageError,
} from '../command.ts';
import { restOptions, withRest } from '../connections/with-rest.ts';
import { confirm } from '../terminal/confirm.ts';
import { formatList } from '../terminal/table.ts';
import { formatEffect, warnOfOpen } from './effect-text.ts';
import { sessionsOf, subjectOf } from './subject-options.ts';

/** Options of both: how it is done, behind those that say of what. */
export const revokeOptions = [
  ['--keep-running', 'leave sessions that run alone'],
  ['--reason <text>', 'why, for the ledgers'],
  ['--wait <seconds>', 'how long to wait for agents and gateways that are connected (default: 10)'],
  ['--yes', 'do not ask before acting'],
  ...restOptions,
] as const;

/** Revokes or quarantines what the options name: shows first what it will end, and tells of each verifier when it is in effect there. */
export async function revoke(
  context: CliContext,
  input: CliInput,
  mode: Operations['revocation.add']['input']['mode'],
): Promise<number> {
  const { signal } = context;
  const waitSeconds = waitOf(input);
  return withRest(context, input, async (client) => {
    const subject = await subjectOf(client, input, signal);
    const running = flagOption(input, 'keepRunning') ? ('keep' as const) : ('end' as const);
    context.say(await planOf(client, context, { subject, mode, running }));
    const question = mode === 'revoked' ? 'Revoke it?' : 'Quarantine it?';
    if (!flagOption(input, 'yes') && !(await confirm(context, { question, unasked: 'give --yes to do it' })))
      return exitCodes.no;
    const allow = listOption(input, 'allow');
    const reason = textOption(input, 'reason')?.trim() ?? '';
    const wanted: Operations['revocation.add']['input'] = {
      subject: { ...subject },
      mode,
      running,
      reason,
      waitSeconds,
      ...(allow.length > 0 ? { allow } : {}),
    };
    const idempotencyKey = context.random.bytes(16).toString('hex');
    const { output } = await client.call('revocation.add', wanted, { signal, idempotencyKey });
    context.emit(output, () => formatEffect(output, context.columns));
    return warnOfOpen(context, output);
  });
}

/** What will end, as far as it is seen beforehand. */
async function planOf(
  client: ApiClient,
  { signal, columns, warn }: CliContext,
  { subject, mode, running }: { subject: RevocationSubject; mode: string; running: 'end' | 'keep' },
): Promise<string> {
  const what = `${formatRevocationSubject(subject)} will be ${mode}.`;
  const filter = sessionsOf(subject);
  if (running === 'keep') return `${what} Sessions that run go on.`;
  if (filter === undefined) return `${what} Sessions of it that run will end; which they are is for gateways to find.`;
  const { output } = await client.call('session.list', { ...filter, limit: SHOWN_MAX }, { signal });
  const { sessions, matching, unanswered } = output;
  for (const { address, why } of unanswered) warn(`warning: gateway ${address} did not say what runs there: ${why}`);
  if (sessions.length === 0) return `${what} No session of it runs.`;
  const rows = sessions.map(({ id, since, target, gatewayAddress, identity }) => [
    ...[id, since.replace(/\.\d+Z$/, 'Z'), target, gatewayAddress, identity],
  ]);
  const more = matching > sessions.length ? `, of which these are the newest ${sessions.length}` : '';
  const count = matching === 1 ? '1 session' : `${matching} sessions`;
  return `${formatList(['SESSION', 'SINCE', 'TARGET', 'GATEWAY', 'IDENTITY'], rows, columns)}\n${what} ${count} will end${more}.`;
}

/** @throws UsageError */
function waitOf(input: CliInput): number {
  const text = textOption(input, 'wait') ?? '10';
  const seconds = Number(text.replace(/s$/, ''));
  if (!Number.isSafeInteger(seconds) || seconds < 0 || seconds > 60)
    throw new UsageError(`--wait ${text} is not 0 to 60 seconds`);
  return seconds;
}

/** A screenful. */
const SHOWN_MAX = 20;
