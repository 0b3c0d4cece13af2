import { withholdingOf } from '../masks/withholding.ts';
import type { SearchPath, SessionEffect } from '../plan.ts';
import { type RefusalDetail, RefusedText } from '../refusal.ts';
import { databaseResource, type Place } from '../resources.ts';
import { encodingHint, encodingNamed, holdsAnyValue, isServedEncoding } from '../text/encodings.ts';
import { refuseForeignNames } from '../text/foreign-names.ts';
import type { Analysis, Question } from '../walk/analysis.ts';
import { parsePath } from './search-path.ts';

/** A new search path. */
export interface SettingPath {
  readonly names: SearchPath;
}

/**
 * Judges one assignment of a setting; `values` undefined means its default. Answers what becomes of the search path, undefined when it
 * stays. Those that change neither how statements are read, nor who the session is, nor what row security lets through are anybody's;
 * policy is asked about the others, and while columns are masked nobody may change them.
 */
export function checkSetting(
  analysis: Pick<Analysis, 'catalog' | 'customSettings' | 'taint' | 'questions' | 'place' | 'found'>,
  name: string,
  values: readonly string[] | undefined,
): SettingPath | undefined {
  const setting = name.toLowerCase();
  if (setting === 'search_path') return readSearchPath(analysis, values);
  if (setting === 'client_encoding') {
    analysis.found.encoding = { name: values && readEncoding(analysis, values.join(', ')) };
    return undefined;
  }
  if (mayHaveAnyValue(analysis, setting)) return undefined;
  // As the session began. Of a setting of one's own the default may be what row security trusts.
  if (values === undefined && !setting.includes('.')) return undefined;
  const value = values?.join(', ').toLowerCase() ?? '';
  if (harmlessValues.get(setting)?.includes(value) === true) return undefined;
  if (setting === 'standard_conforming_strings')
    throw refused(setting, "may only be 'on': else a backslash in a text would mean two things", {
      hint: "Leave it on, and write texts with backslash escapes as E'...'.",
    });
  askSetting(analysis, setting);
  return undefined;
}

/**
 * Judges `role` and `session_authorization`: what the session may do as another role than the login is what policy and the server say of that role.
 * `values` undefined: back to whom it was before.
 */
export function checkRole(
  { catalog, questions, place }: Pick<Analysis, 'catalog' | 'questions' | 'place'>,
  setting: string,
  { values, isLocal }: { readonly values: readonly string[] | undefined; readonly isLocal: boolean },
): Extract<SessionEffect, { kind: 'role' }> {
  const name = values?.join(', ');
  const isSession = setting.toLowerCase() === 'session_authorization';
  const isBack = name === undefined || (!isSession && name === 'none');
  if (!isBack && name !== catalog.user)
    questions.push({ action: 'postgres:set-role', resource: databaseResource(place), context: { role: name } });
  return { kind: 'role', role: isBack ? undefined : name, isSession, isLocal };
}

/** The server's own name of an encoding that clients may have. */
function readEncoding({ taint }: Pick<Analysis, 'taint'>, value: string): string {
  const name = encodingNamed(value);
  if (name === undefined)
    throw new RefusedText('setting-refused', `invalid value for parameter "client_encoding": "${value}"`, {
      sqlstate: '22023',
      hint: encodingHint,
    });
  if (!isServedEncoding(name))
    throw refused('client_encoding', `can not be ${name} through the gateway`, {
      sqlstate: '0A000',
      hint: encodingHint,
    });
  if (taint.isInForce && !holdsAnyValue(name))
    throw refused('client_encoding', `can not be ${name} while columns are masked for you`, { hint: encodingHint });
  return name;
}

function askSetting(
  { taint, questions, place }: Pick<Analysis, 'taint' | 'questions' | 'place'>,
  setting: string,
): void {
  if (taint.isInForce)
    throw refused(setting, 'is not one that you may change here while columns are masked for you', {
      hint: hintOf(setting),
    });
  const otherwise = refused(setting, 'is not one that you may change here', { hint: hintOf(setting) });
  questions.push({ ...settingQuestion(place, setting), otherwise });
}

/** What policy is asked about a setting that is not harmless by nature. */
export function settingQuestion(place: Place, setting: string): Pick<Question, 'action' | 'resource' | 'context'> {
  return { action: 'postgres:set', resource: databaseResource(place), context: { setting } };
}

/** True of those that make PostgreSQL prefer one way to the rows over another, and do nothing else. */
export function isTuning(name: string): boolean {
  return choosesWay.test(name.toLowerCase());
}

/** Without ORDER BY rows come as they are found: by an index on masked columns in the order of their values. */
export function refuseTuned(analysis: Analysis): void {
  // What can't tell of masked values at all brings no rows of theirs, by whatever view.
  if (withholdingOf(analysis) !== 'nothing')
    throw new RefusedText(
      'masked-column-use',
      'relations with masked columns are not read once the session has changed how rows are found',
      { hint: 'Say DISCARD ALL first.' },
    );
}

function hintOf(setting: string): string {
  const permit = `A permit for postgres:set when context.setting == "${setting}"`;
  return setting.includes('.')
    ? `${permit}, or the target's customSettings, would allow it.`
    : `${permit} would allow it.`;
}

/** How a session may begin: what SET may do without policy being asked, and what it is asked about. */
export function startSetting(
  name: string,
  value: string,
  options: { readonly customSettings: ReadonlySet<string>; readonly mayBeMasked: boolean },
): 'allowed' | 'refused' | 'asked' {
  if (!settingName.test(name)) return 'refused';
  const taint = { isInForce: options.mayBeMasked };
  if (name === 'search_path') return parsePath(value) === undefined ? 'refused' : 'allowed';
  if (mayHaveAnyValue({ customSettings: options.customSettings, taint }, name)) return 'allowed';
  if (identitySettings.has(name)) return 'refused';
  if (harmlessValues.get(name)?.includes(value.toLowerCase()) === true) return 'allowed';
  return options.mayBeMasked ? 'refused' : 'asked';
}

/** True when no value of that setting changes what statements mean, who the session is, or what answers tell of masked values. */
export function mayHaveAnyValue(
  {
    customSettings,
    taint,
  }: { readonly customSettings: ReadonlySet<string>; readonly taint: { readonly isInForce: boolean } },
  name: string,
): boolean {
  const setting = name.toLowerCase();
  if (setting.includes('.')) return customSettings.has(setting) || harmlessExtensions.has(setting.split('.')[0] ?? '');
  if (taint.isInForce && tellsOfValues.test(setting)) return false;
  return harmless.has(setting) || harmlessKinds.test(setting);
}

/** Names are followed wherever the path leads; a text that can't be read as the server would leaves nobody here knowing what they mean. */
function readSearchPath({ catalog }: Pick<Analysis, 'catalog'>, values: readonly string[] | undefined): SettingPath {
  if (values !== undefined) refuseForeignNames(values.join(', '), catalog);
  const names = values === undefined ? undefined : parsePath(values.join(', '));
  if (values !== undefined && names === undefined)
    throw refused('search_path', 'must be a list of names', {
      hint: 'Put names with other characters than letters, digits, _ and $ in quotes.',
    });
  return { names };
}

function refused(setting: string, what: string, detail: RefusalDetail = {}): RefusedText {
  return new RefusedText('setting-refused', `setting "${setting}" ${what}`, detail);
}

/** Who the session is. Statements that change it have rules of their own. */
export const identitySettings: ReadonlySet<string> = new Set(['role', 'session_authorization']);

/** What the server takes for the name of a setting, one of an extension included. */
const settingName = /^[a-z_][a-z0-9_$]*(\.[a-z_][a-z0-9_$]*)*$/;

/** Extensions whose settings tune how they search or what they warn of, and nothing more. */
const harmlessExtensions: ReadonlySet<string> = new Set([
  ...['plpgsql', 'pg_trgm', 'hnsw', 'ivfflat', 'diskann', 'postgis', 'timescaledb', 'pgroonga', 'rum', 'vectors'],
]);

const choosesWay = /^enable_|_(page|tuple|operator|setup)_cost$|^(effective_cache_size|cursor_tuple_fraction)$/;
/** What chooses the way to the rows, and what makes PostgreSQL tell of its inner workings in notices. */
const tellsOfValues = new RegExp(`${choosesWay.source}|^(debug|trace)_|^client_min_messages$`);

/** How the server searches, counts, measures, cleans up, and shows its work to developers. Where that is not for everybody, it says so itself. */
const harmlessKinds =
  /^(enable|track|debug|trace|vacuum|geqo|jit|tcp|max_parallel)_|_(page|tuple|operator|setup)_cost$/;

const switches = ['on', 'off', 'true', 'false', 'yes', 'no', '1', '0', 't', 'f'];

/** Of settings that are not harmless with any value, or not while columns are masked: values, in small letters, that are. */
const harmlessValues: ReadonlyMap<string, readonly string[]> = new Map([
  ['standard_conforming_strings', ['on', 'true', 'yes', '1', 't', 'y']],
  // Debug levels send internals as notices.
  ['client_min_messages', ['log', 'info', 'notice', 'warning', 'error', 'fatal', 'panic']],
  // 'off' makes the server refuse what row security would filter; it never shows more. pg_dump sets it.
  ['row_security', switches],
  ['session_replication_role', ['origin']],
  ['transform_null_equals', ['off', 'false', 'no', '0', 'f', 'n']],
]);

/** Those that are harmless with any value. */
const harmless: ReadonlySet<string> = new Set([
  // How values look, and which messages come.
  ...['application_name', 'client_min_messages', 'datestyle', 'intervalstyle', 'timezone', 'timezone_abbreviations'],
  ...['extra_float_digits', 'bytea_output', 'xmlbinary', 'xmloption', 'array_nulls', 'quote_all_identifiers'],
  ...['lc_monetary', 'lc_numeric', 'lc_time', 'lc_messages', 'default_text_search_config', 'escape_string_warning'],
  ...['operator_precedence_warning', 'md5_password_warnings', 'update_process_title', 'exit_on_error'],
  // How long, and in which kind of transaction.
  ...['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout'],
  ...['transaction_timeout', 'deadlock_timeout', 'client_connection_check_interval', 'default_transaction_isolation'],
  ...['default_transaction_read_only', 'default_transaction_deferrable', 'transaction_isolation'],
  ...['transaction_read_only', 'transaction_deferrable', 'synchronous_commit', 'commit_delay', 'commit_siblings'],
  // With what resources.
  ...['work_mem', 'maintenance_work_mem', 'temp_buffers', 'hash_mem_multiplier', 'logical_decoding_work_mem'],
  ...['effective_io_concurrency', 'maintenance_io_concurrency', 'io_combine_limit', 'backend_flush_after'],
  ...['temp_file_limit', 'max_stack_depth', 'gin_pending_list_limit', 'wal_skip_threshold'],
  // Which way to the rows.
  ...['effective_cache_size', 'cursor_tuple_fraction', 'from_collapse_limit', 'join_collapse_limit', 'geqo', 'jit'],
  ...['constraint_exclusion', 'plan_cache_mode', 'default_statistics_target', 'gin_fuzzy_search_limit', 'seed'],
  ...['synchronize_seqscans', 'recursive_worktable_factor', 'force_parallel_mode', 'min_parallel_table_scan_size'],
  ...['min_parallel_index_scan_size', 'parallel_leader_participation', 'compute_query_id', 'stats_fetch_consistency'],
  // How new objects, and passwords, are stored.
  ...['default_table_access_method', 'default_toast_compression', 'default_tablespace', 'temp_tablespaces'],
  ...['default_with_oids', 'check_function_bodies', 'icu_validation_level', 'password_encryption', 'scram_iterations'],
  // It takes access away, or gives it back.
  'restrict_nonsystem_relation_kind',
]);
