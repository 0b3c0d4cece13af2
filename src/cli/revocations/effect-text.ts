import type { Operations } from '@countersign/sdk/client';
import { formatRevocationSubject, parseRevocationSubject } from '../../model/index.ts';
import { type CliContext, exitCodes } from '../command.ts';
import { formatList } from '../terminal/table.ts';

export type RevocationEffect = Operations['revocation.get']['output'];
export type StandingRevocation = RevocationEffect['revocation'];

/** Whose it is, as people read it. */
export function subjectText(revocation: StandingRevocation): string {
  return formatRevocationSubject(parseRevocationSubject(revocation.subject));
}

/** Names on standard error where it may not be in effect; returns the exit code that says so. */
export function warnOfOpen(context: CliContext, { verifiers, open }: RevocationEffect): number {
  for (const one of verifiers) {
    if (one.state !== 'waiting' && one.state !== 'unreachable') continue;
    const why = one.state === 'waiting' ? 'has not answered' : 'is unreachable';
    const ends =
      one.endsBy === undefined ? 'it does not end there by itself' : `ends there by itself at ${timeOf(one.endsBy)}`;
    context.warn(`warning: ${nameOf(one)} ${why}; ${ends}`);
  }
  return open > 0 ? exitCodes.unavailable : exitCodes.ok;
}

/** Where it is in effect, and how long that took. */
export function formatEffect(
  { revocation, inEffect, open, verifiers, verifiersLeftOut }: RevocationEffect,
  columns: number,
): string {
  const rows = verifiers.map((one) => [
    one.state,
    one.afterMs === undefined ? '' : `${one.afterMs} ms`,
    one.endsBy === undefined ? '' : timeOf(one.endsBy),
    nameOf(one),
  ]);
  const heading = `${revocation.id}: ${subjectText(revocation)} is ${revocation.mode}`;
  const total = `in effect at ${inEffect} of ${inEffect + open}`;
  const more = verifiersLeftOut === 0 ? [] : [`${verifiersLeftOut} more are not shown`];
  const table = rows.length === 0 ? [] : [formatList(['STATE', 'AFTER', 'ENDS BY', 'WHERE'], rows, columns)];
  return [heading, ...table, total, ...more].join('\n');
}

/** Without what no person reads of it. */
export function timeOf(text: string): string {
  return text.replace(/\.\d+Z$/, 'Z');
}

function nameOf({ kind, spiffeId, address }: RevocationEffect['verifiers'][number]): string {
  return address === undefined ? `${kind} ${spiffeId}` : `${kind} ${address} (${spiffeId})`;
}
