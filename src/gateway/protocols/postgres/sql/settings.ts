import type { Analysis, Question } from './analysis.ts';
import { databaseResource, type Place } from './names.ts';
import type { SearchPath } from './plan.ts';
import { RefusedText } from './refusal.ts';
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
  analysis: Pick<Analysis, 'customSettings' | 'taint' | 'questions' | 'place'>,
  name: string,
  values: readonly string[] | undefined,
): SettingPath | undefined {
  const setting = name.toLowerCase();
  if (setting === 'search_path') return readSearchPath(values);
  if (mayHaveAnyValue(analysis, setting)) return undefined;
  const allowed = settings.get(setting);
  if (allowed !== undefined && values === undefined) return undefined;
  if (allowed === undefined || allowed === 'any') {
    askSetting(analysis, setting);
    return undefined;
  }
  const value = values?.join(', ').toLowerCase() ?? '';
  if (!allowed.includes(value) && !(setting === 'client_encoding' && isUtf8(value)))
    throw refused(setting, `may only be ${allowed.map((one) => `'${one}'`).join(', ')}`);
  return undefined;
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
  const allowed = settings.get(name);
  if (allowed !== undefined && allowed !== 'any') return allowed.includes(value.toLowerCase()) ? 'allowed' : 'refused';
  return options.mayBeMasked ? 'refused' : 'asked';
}

/** PostgreSQL compares letters and digits only; asyncpg sends the name in quotes. */
export function isUtf8(encoding: string): boolean {
  return utf8Names.has(encoding.toLowerCase().replace(/[^a-z0-9]/g, ''));
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
  // Without ORDER BY rows come as they are found: by an index on masked columns, in the order of their values.
  return settings.get(setting) === 'any' && !(taint.isInForce && steersPlans.test(setting));
}

/** Names are followed wherever the path leads; a text that can't be read as the server would leaves nobody here knowing what they mean. */
function readSearchPath(values: readonly string[] | undefined): SettingPath {
  const names = values === undefined ? undefined : parsePath(values.join(', '));
  if (values !== undefined && names === undefined)
    throw refused('search_path', 'must be a list of names', {
      hint: 'Put names with other characters than letters, digits, _ and $ in quotes.',
    });
  return { names };
}

function refused(setting: string, what: string, detail: { hint?: string } = {}): RefusedText {
  return new RefusedText('setting-refused', `setting "${setting}" ${what}`, detail);
}

/** Who the session is. Statements that change it have rules of their own. */
export const identitySettings: ReadonlySet<string> = new Set(['role', 'session_authorization']);

/** What the server takes for the name of a setting, one of an extension included. */
const settingName = /^[a-z_][a-z0-9_$]*(\.[a-z_][a-z0-9_$]*)*$/;

const utf8Names: ReadonlySet<string> = new Set(['utf8', 'unicode']);

/** Extensions whose settings tune how they search or what they warn of, and nothing more. */
const harmlessExtensions: ReadonlySet<string> = new Set([
  ...['plpgsql', 'pg_trgm', 'hnsw', 'ivfflat', 'diskann', 'postgis', 'timescaledb', 'pgroonga', 'rum', 'vectors'],
]);

/** What makes PostgreSQL prefer one way to the rows over another. */
const steersPlans = /^enable_|_(page|tuple|operator|setup)_cost$|^(effective_cache_size|cursor_tuple_fraction)$/;

const switches = ['on', 'off', 'true', 'false', 'yes', 'no', '1', '0', 't', 'f'];

/** `'any'`, or the values (lower case) that are harmless. */
const settings: ReadonlyMap<string, 'any' | readonly string[]> = new Map<string, 'any' | readonly string[]>([
  ...anyValue([
    ...[
      'application_name',
      'datestyle',
      'intervalstyle',
      'timezone',
      'extra_float_digits',
      'bytea_output',
      'xmlbinary',
    ],
    ...[
      'xmloption',
      'statement_timeout',
      'lock_timeout',
      'idle_in_transaction_session_timeout',
      'idle_session_timeout',
    ],
    ...['transaction_timeout', 'deadlock_timeout', 'lc_monetary', 'lc_numeric', 'lc_time', 'lc_messages', 'seed'],
    ...['default_text_search_config', 'default_transaction_isolation', 'default_transaction_read_only'],
    ...['default_transaction_deferrable', 'transaction_isolation', 'transaction_read_only', 'transaction_deferrable'],
    ...[
      'synchronous_commit',
      'work_mem',
      'maintenance_work_mem',
      'temp_buffers',
      'hash_mem_multiplier',
      'commit_delay',
    ],
    ...[
      'logical_decoding_work_mem',
      'effective_cache_size',
      'effective_io_concurrency',
      'random_page_cost',
      'seq_page_cost',
    ],
    ...['cpu_tuple_cost', 'cpu_index_tuple_cost', 'cpu_operator_cost', 'parallel_setup_cost', 'parallel_tuple_cost'],
    ...['min_parallel_table_scan_size', 'min_parallel_index_scan_size', 'max_parallel_workers_per_gather'],
    ...['max_parallel_maintenance_workers', 'max_parallel_workers', 'parallel_leader_participation'],
    ...[
      'from_collapse_limit',
      'join_collapse_limit',
      'cursor_tuple_fraction',
      'constraint_exclusion',
      'plan_cache_mode',
    ],
    ...[
      'jit',
      'jit_above_cost',
      'jit_inline_above_cost',
      'jit_optimize_above_cost',
      'geqo',
      'geqo_effort',
      'geqo_pool_size',
    ],
    ...['geqo_generations', 'geqo_selection_bias', 'geqo_seed', 'geqo_threshold', 'default_statistics_target'],
    ...['gin_fuzzy_search_limit', 'gin_pending_list_limit', 'tcp_keepalives_idle', 'tcp_keepalives_interval'],
    ...['tcp_keepalives_count', 'tcp_user_timeout', 'client_connection_check_interval', 'check_function_bodies'],
    ...['quote_all_identifiers', 'synchronize_seqscans', 'default_table_access_method', 'default_toast_compression'],
    // It takes access away, or gives it back.
    'restrict_nonsystem_relation_kind',
    ...['vacuum_cost_delay', 'vacuum_cost_limit', 'parallel_setup_cost', 'escape_string_warning', 'array_nulls'],
    ...[
      'enable_async_append',
      'enable_bitmapscan',
      'enable_gathermerge',
      'enable_group_by_reordering',
      'enable_hashagg',
    ],
    ...['enable_hashjoin', 'enable_incremental_sort', 'enable_indexonlyscan', 'enable_indexscan', 'enable_material'],
    ...['enable_memoize', 'enable_mergejoin', 'enable_nestloop', 'enable_parallel_append', 'enable_parallel_hash'],
    ...[
      'enable_partition_pruning',
      'enable_partitionwise_aggregate',
      'enable_partitionwise_join',
      'enable_presorted_aggregate',
    ],
    ...[
      'enable_seqscan',
      'enable_sort',
      'enable_tidscan',
      'enable_distinct_reordering',
      'enable_self_join_elimination',
    ],
  ]),
  ['client_encoding', ['utf8', 'utf-8', 'unicode']],
  ['standard_conforming_strings', ['on', 'true', 'yes', '1']],
  // Debug levels send internals as notices.
  ['client_min_messages', ['log', 'notice', 'warning', 'error']],
  // 'off' makes the server refuse what row security would filter; it never shows more. pg_dump sets it.
  ['row_security', switches],
  ['default_tablespace', ['']],
  ['temp_tablespaces', ['']],
  ['session_replication_role', ['origin']],
  ['transform_null_equals', ['off', 'false', 'no', '0']],
]);

function anyValue(names: readonly string[]): readonly (readonly [string, 'any'])[] {
  return names.map((name) => [name, 'any'] as const);
}
