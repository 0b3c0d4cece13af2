import type { Analysis } from './analysis.ts';
import { RefusedText } from './refusal.ts';

/**
 * Judges one assignment of a setting; `values` undefined means its default. Answers what becomes of the search path, undefined when it
 * stays. Settings are an allow list: one that isn't on it may change how statements are read, who the session is, or what row
 * security lets through.
 */
export function checkSetting(
  analysis: Pick<Analysis, 'catalog' | 'customSettings' | 'taint'>,
  name: string,
  values: readonly string[] | undefined,
): 'default' | 'empty' | undefined {
  const setting = name.toLowerCase();
  if (setting === 'search_path') return checkSearchPath(analysis, values);
  if (mayHaveAnyValue(analysis, setting)) return undefined;
  const allowed = settings.get(setting);
  if (allowed !== undefined && values === undefined) return undefined;
  if (allowed === undefined || allowed === 'any' || values === undefined)
    throw refused(setting, 'is not one that you may change here');
  const value = values.join(', ').toLowerCase();
  if (!allowed.includes(value)) throw refused(setting, `may only be ${allowed.map((one) => `'${one}'`).join(', ')}`);
  return undefined;
}

/** True when no value of that setting changes what statements mean, who the session is, or what answers tell of masked values. */
export function mayHaveAnyValue(
  { customSettings, taint }: Pick<Analysis, 'customSettings' | 'taint'>,
  name: string,
): boolean {
  const setting = name.toLowerCase();
  if (setting.includes('.')) return customSettings.has(setting);
  // Without ORDER BY rows come as they are found: by an index on masked columns, in the order of their values.
  return settings.get(setting) === 'any' && !(taint.isInForce && steersPlans.test(setting));
}

/**
 * `''` (as pg_dump sets it) is followed; the path that stands already changes nothing. Any other would let the same text mean other
 * tables, and a rollback would bring the old meaning back unseen.
 */
function checkSearchPath(
  { catalog }: Pick<Analysis, 'catalog'>,
  values: readonly string[] | undefined,
): 'default' | 'empty' {
  if (values === undefined) return 'default';
  const schemas = namesOf(values.join(', '));
  if (schemas?.every((schema) => schema === '' || schema === 'pg_catalog') === true) return 'empty';
  const standing = namesOf(catalog.searchPathSetting);
  if (schemas !== undefined && JSON.stringify(schemas) === JSON.stringify(standing)) return 'default';
  throw refused('search_path', `may only be '' or the login's own (${catalog.searchPathSetting})`, {
    hint: 'Qualify names with their schema, or set the path for the login: ALTER ROLE … SET search_path.',
  });
}

/** The names in a list as the server reads it, quoted or not; undefined for what is no list of plain names. */
function namesOf(text: string): readonly string[] | undefined {
  if (text.trim() === '') return [];
  const names: string[] = [];
  const one = /\s*(?:"((?:[^"]|"")*)"|([A-Za-z0-9_$]+))\s*(,|$)/y;
  for (let isLast = false; !isLast; ) {
    const match = one.exec(text);
    if (match === null) return undefined;
    const [, quoted, plain = '', separator] = match;
    names.push(quoted?.replaceAll('""', '"') ?? plain.toLowerCase());
    isLast = separator === '';
  }
  return names;
}

function refused(setting: string, what: string, detail: { hint?: string } = {}): RefusedText {
  return new RefusedText('setting-refused', `setting "${setting}" ${what}`, detail);
}

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
