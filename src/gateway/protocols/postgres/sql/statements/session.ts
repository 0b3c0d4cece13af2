/** Statements about the session itself: its transactions, its settings, its role. */

import type { SessionEffect } from '../plan.ts';
import { notUnderstood, RefusedText } from '../refusal.ts';
import { databaseResource } from '../resources.ts';
import { checkRole, checkSetting, identitySettings, isTuning } from '../session/settings.ts';
import { constantOf, type Fields, flagOf, listOf, textOf } from '../text/tree.ts';
import type { Analysis } from '../walk/analysis.ts';
import type { Outcome } from './statements.ts';

interface Where {
  readonly analysis: Analysis;
}

export function walkTransaction({ analysis }: Where, fields: Fields): Partial<Outcome> {
  const verb = transactionVerbs.get(textOf(fields, 'kind') ?? '');
  if (verb === undefined) return walkTwoPhase(analysis, textOf(fields, 'kind') ?? '');
  // Deferred triggers run, and the queries of held cursors.
  if (verb === 'commit') analysis.found.runsUnseen = true;
  const name = textOf(fields, 'savepoint_name');
  const chains = flagOf(fields, 'chain');
  return {
    kind: verb,
    effects: [{ kind: 'transaction', verb, ...(name === undefined ? {} : { name }), ...(chains ? { chains } : {}) }],
  };
}

/** A prepared transaction outlives its session, holds its locks, and may be ended by any session of the same login. */
function walkTwoPhase(analysis: Analysis, kind: string): Partial<Outcome> {
  const words = twoPhaseKinds.get(kind);
  if (words === undefined) throw notUnderstood(kind);
  if (analysis.taint.isInForce)
    throw new RefusedText('statement-refused', `${words.toUpperCase()} is refused while columns are masked for you`);
  analysis.found.writes = true;
  analysis.questions.push({ action: 'postgres:maintain', resource: databaseResource(analysis.place) });
  const isFirst = kind === 'TRANS_STMT_PREPARE';
  return {
    kind: words,
    effects: isFirst ? [{ kind: 'transaction', verb: 'rollback' }] : [],
    changesCatalog: !isFirst,
  };
}

const twoPhaseKinds: ReadonlyMap<string, string> = new Map([
  ['TRANS_STMT_PREPARE', 'prepare transaction'],
  ['TRANS_STMT_COMMIT_PREPARED', 'commit prepared'],
  ['TRANS_STMT_ROLLBACK_PREPARED', 'rollback prepared'],
]);

const transactionVerbs: ReadonlyMap<string, Extract<SessionEffect, { kind: 'transaction' }>['verb']> = new Map([
  ['TRANS_STMT_BEGIN', 'begin'],
  ['TRANS_STMT_START', 'begin'],
  ['TRANS_STMT_COMMIT', 'commit'],
  ['TRANS_STMT_ROLLBACK', 'rollback'],
  ['TRANS_STMT_SAVEPOINT', 'savepoint'],
  ['TRANS_STMT_RELEASE', 'release'],
  ['TRANS_STMT_ROLLBACK_TO', 'rollback-to'],
] as const);

export function walkSet({ analysis }: Where, fields: Fields): Partial<Outcome> {
  const kind = textOf(fields, 'kind');
  const name = textOf(fields, 'name') ?? '';
  if (kind === 'VAR_RESET_ALL') analysis.found.encoding = { name: undefined };
  if (kind === 'VAR_RESET_ALL')
    return { kind: 'reset', effects: [{ kind: 'search-path', path: undefined, isLocal: false }] };
  // SET TRANSACTION and SET SESSION CHARACTERISTICS: isolation, read only, deferrable, snapshot.
  if (kind === 'VAR_SET_MULTI') return {};
  if (kind !== 'VAR_SET_VALUE' && kind !== 'VAR_SET_DEFAULT' && kind !== 'VAR_RESET') throw notUnderstood('SET');
  const values = kind === 'VAR_SET_VALUE' ? listOf(fields, 'args').map(settingValue) : undefined;
  if (identitySettings.has(name.toLowerCase()))
    return { kind: 'set role', effects: [checkRole(analysis, name, { values, isLocal: flagOf(fields, 'is_local') })] };
  if (values !== undefined && isTuning(name)) return { kind: 'set', effects: [{ kind: 'tune' }] };
  // Each value of this list is one schema, whatever is in it; `set_config` gives the text that is cut into names.
  const isPath = name.toLowerCase() === 'search_path';
  const path = checkSetting(analysis, name, isPath ? values && [values.map(quoteName).join(', ')] : values);
  return {
    kind: kind === 'VAR_RESET' ? 'reset' : 'set',
    effects: path === undefined ? [] : [{ kind: 'search-path', path: path.names, isLocal: flagOf(fields, 'is_local') }],
  };
}

function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function settingValue(value: unknown): string {
  const constant = constantOf(value);
  if (constant === undefined || constant === null) throw notUnderstood('value of SET');
  return String(constant);
}

export function walkDiscard(_: Where, fields: Fields): Partial<Outcome> {
  const target = textOf(fields, 'target') ?? 'DISCARD_ALL';
  if (target === 'DISCARD_ALL') return { effects: [{ kind: 'discard' }] };
  return { effects: target === 'DISCARD_TEMP' ? [{ kind: 'discard-temporary' }] : [] };
}
