import type { Operations } from '@countersign/sdk/client';
import { formatRevocationSubject, parseRevocationSubject } from '../../model/index.ts';
import { type CliContext, exitCodes } from '../command.ts';
import { wrapLines } from '../terminal/table.ts';

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
    context.warn(`warning: ${nameOf(one)} ${wordsOf(one)}`);
  }
  return open > 0 ? exitCodes.unavailable : exitCodes.ok;
}

/** Where it is in effect, and how long that took. */
export function formatEffect(
  { revocation, replaced, inEffect, open, verifiers, verifiersLeftOut }: RevocationEffect,
  columns: number,
): string {
  const heading = `${revocation.mode}: ${subjectText(revocation)} (${revocation.id})`;
  const before = replaced === undefined ? [] : [`it takes the place of ${replaced}`];
  const those = revocation.identities === 1 ? '1 identity belongs' : `${revocation.identities} identities belong`;
  const members = revocation.identities === undefined ? [] : [`${those} to it`];
  const lines = verifiers.map((one) => `${nameOf(one)}: ${wordsOf(one)}`);
  const more = verifiersLeftOut === 0 ? [] : [`${verifiersLeftOut} more are not shown`];
  if (revocation.subject.kind === 'person')
    return [heading, ...before, 'their sign-ins are over at every server'].join('\n');
  const total = `in effect at ${inEffect} of ${inEffect + open}`;
  return [heading, ...before, ...members, ...lines, ...more, total].map((line) => wrapLines(line, columns)).join('\n');
}

function wordsOf({ state, afterMs, endsBy }: RevocationEffect['verifiers'][number]): string {
  const ends = endsBy === undefined ? 'it does not end there by itself' : `ends there by itself at ${timeOf(endsBy)}`;
  switch (state) {
    case 'in-effect':
      return afterMs === undefined ? 'in effect' : `in effect after ${afterMs} ms`;
    case 'refusing':
      return 'it refuses everything, having heard of no server for long';
    case 'waiting':
      return `has not answered; ${ends}`;
    case 'unreachable':
      return `is unreachable; ${ends}`;
    default:
      return state satisfies never;
  }
}

/** Without what no person reads of it. */
export function timeOf(text: string): string {
  return text.replace(/\.\d+Z$/, 'Z');
}

function nameOf({ kind, spiffeId, address }: RevocationEffect['verifiers'][number]): string {
  return address === undefined ? `${kind} ${spiffeId}` : `${kind} ${address} (${spiffeId})`;
}
