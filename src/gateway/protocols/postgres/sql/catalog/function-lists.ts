/**
 * What named functions and relations may do to the gateway's promises, as data. Names are matched in every schema: a copy of `dblink`
 * under another schema does the same.
 */

/** Past what the gateway can see (`askPastSight`): they reach files, programs, other servers, the write-ahead log, or run SQL that stands in a string. */
export const refusedFunctions: ReadonlySet<string> = new Set([
  // files and server state on disk
  ...['pg_read_file', 'pg_read_binary_file', 'pg_read_file_old', 'pg_stat_file', 'pg_file_write', 'pg_file_read'],
  ...['pg_file_rename', 'pg_file_unlink', 'pg_file_sync', 'pg_logdir_ls', 'pg_logfile_rotate', 'pg_rotate_logfile'],
  ...['pg_rotate_logfile_old', 'lo_import', 'lo_export', 'pg_current_logfile', 'pg_hba_file_rules'],
  ...['pg_ident_file_mappings', 'pg_show_all_file_settings', 'pg_config', 'pg_file_length'],
  // SQL in a string, unseen by the parser
  ...['query_to_xml', 'query_to_xmlschema', 'query_to_xml_and_xmlschema', 'cursor_to_xml', 'cursor_to_xmlschema'],
  // tables named in a string, past policy
  ...['table_to_xml', 'table_to_xml_and_xmlschema', 'schema_to_xml', 'schema_to_xml_and_xmlschema', 'database_to_xml'],
  ...['database_to_xml_and_xmlschema'],
  ...['ts_stat', 'connectby', 'crosstab', 'crosstab2', 'crosstab3', 'crosstab4', 'crosstab_hash', 'xpath_table'],
  ...['run_command_on_workers', 'run_command_on_shards', 'run_command_on_placements', 'run_command_on_all_nodes'],
  ...['pg_background_launch', 'exec_sql', 'execute_sql', 'explain_json'],
  // other servers
  ...['postgres_fdw_get_connections', 'http', 'http_get', 'http_post', 'http_put', 'http_delete', 'http_head'],
  // pages of any table, past every right
  ...[
    'get_raw_page',
    'heap_page_items',
    'heap_page_item_attrs',
    'tuple_data_split',
    'bt_page_items',
    'brin_page_items',
  ],
  ...['gin_leafpage_items', 'gist_page_items', 'gist_page_items_bytea', 'hash_page_items', 'pg_get_wal_record_info'],
  ...['pg_get_wal_records_info', 'pg_get_wal_block_info', 'fsm_page_contents'],
]);

/** The same, by the start of the name. */
export const refusedFunctionPrefixes: readonly string[] = [
  'dblink',
  'pg_ls_',
  'pg_logical_',
  'pg_replication_',
  'pg_create_logical_',
  'pg_create_physical_',
  'pg_copy_logical_',
  'pg_copy_physical_',
  'pg_drop_replication',
  'pg_sync_replication',
  'binary_upgrade_',
  'pg_read_server_',
];

/** These operate the server: they need `postgres:admin`. */
export const adminFunctions: ReadonlySet<string> = new Set([
  ...[
    'pg_terminate_backend',
    'pg_cancel_backend',
    'pg_reload_conf',
    'pg_promote',
    'pg_switch_wal',
    'pg_wal_replay_pause',
  ],
  ...['pg_wal_replay_resume', 'pg_create_restore_point', 'pg_backup_start', 'pg_backup_stop', 'pg_start_backup'],
  ...['pg_stop_backup', 'pg_log_backend_memory_contexts', 'pg_log_standby_snapshot', 'pg_stat_reset'],
  ...['pg_stat_reset_shared', 'pg_stat_reset_single_table_counters', 'pg_stat_reset_single_function_counters'],
  ...[
    'pg_stat_reset_slru',
    'pg_stat_reset_replication_slot',
    'pg_stat_reset_subscription_stats',
    'pg_stat_statements_reset',
  ],
  ...['pg_stat_reset_backend_stats', 'pg_nextoid', 'pg_import_system_collations', 'pg_extension_config_dump'],
  ...['pg_stop_making_pinned_objects', 'pg_set_attribute_stats', 'pg_set_relation_stats', 'pg_restore_relation_stats'],
  ...['pg_restore_attribute_stats', 'pg_clear_relation_stats', 'pg_clear_attribute_stats'],
]);

/** Large objects: no policy on tables knows them, so each function is asked about by its name, by SQL and by the protocol's own call (fastpath). */
export const largeObjectFunctions: ReadonlyMap<string, number | undefined> = new Map([
  ...([
    ['lo_open', 952],
    ['lo_close', 953],
    ['loread', 954],
    ['lowrite', 955],
    ['lo_lseek', 956],
    ['lo_creat', 957],
    ['lo_create', 715],
    ['lo_tell', 958],
    ['lo_unlink', 964],
    ['lo_truncate', 1004],
    ['lo_lseek64', 3170],
    ['lo_tell64', 3171],
    ['lo_truncate64', 3172],
  ] as const),
  ...([
    ['lo_get', undefined],
    ['lo_put', undefined],
    ['lo_from_bytea', undefined],
    ['lo_manage', undefined],
  ] as const),
]);

/**
 * Stable or immutable functions of PostgreSQL that read rows, statistics, other sessions' statements or connection secrets: refused
 * while masks are in force. (Volatile ones are refused by default.)
 */
export const revealingFunctions: ReadonlySet<string> = new Set([
  ...[
    'ts_rewrite',
    'pg_stat_get_activity',
    'pg_stat_get_backend_activity',
    'pg_stat_statements',
    'pg_stat_get_wal_senders',
  ],
  ...['pg_stat_get_wal_receiver', 'pg_mcv_list_items', 'pg_get_backend_memory_contexts', 'pg_stats_ext_mcvlist_items'],
]);

/** They bring a type into being by its OID or name, and run what checks it has. */
export const inputFunctions: ReadonlySet<string> = new Set([
  ...['domain_in', 'domain_recv', 'record_in', 'record_recv', 'array_in', 'array_recv', 'range_in', 'range_recv'],
  ...['multirange_in', 'multirange_recv', 'pg_input_is_valid', 'pg_input_error_info'],
]);

/** Volatile functions of PostgreSQL that read nothing but clock, chance, sequences, locks, names, sizes, counters and the session itself. */
export const harmlessVolatile: ReadonlySet<string> = new Set([
  ...['random', 'random_normal', 'setseed', 'gen_random_uuid', 'uuidv4', 'uuidv7', 'clock_timestamp', 'timeofday'],
  ...[
    'nextval',
    'currval',
    'lastval',
    'setval',
    'pg_sequence_last_value',
    'pg_sleep',
    'pg_sleep_for',
    'pg_sleep_until',
  ],
  ...['pg_advisory_lock', 'pg_advisory_lock_shared', 'pg_advisory_unlock', 'pg_advisory_unlock_shared'],
  ...['pg_advisory_unlock_all', 'pg_advisory_xact_lock', 'pg_advisory_xact_lock_shared', 'pg_try_advisory_lock'],
  ...['pg_try_advisory_lock_shared', 'pg_try_advisory_xact_lock', 'pg_try_advisory_xact_lock_shared', 'set_config'],
  ...['pg_current_xact_id', 'txid_current', 'pg_is_in_recovery', 'pg_notify', 'pg_export_snapshot', 'pg_lock_status'],
  ...['pg_relation_size', 'pg_table_size', 'pg_indexes_size', 'pg_total_relation_size', 'pg_database_size'],
  ...[
    'pg_tablespace_size',
    'pg_show_all_settings',
    'pg_timezone_names',
    'pg_timezone_abbrevs',
    'pg_stat_clear_snapshot',
  ],
  ...['pg_my_temp_schema', 'pg_is_wal_replay_paused', 'pg_last_wal_replay_lsn', 'pg_last_wal_receive_lsn'],
  ...['pg_current_wal_lsn', 'pg_current_wal_insert_lsn', 'pg_current_wal_flush_lsn', 'pg_last_xact_replay_timestamp'],
  ...[
    'pg_blocking_pids',
    'pg_safe_snapshot_blocking_pids',
    'pg_available_extensions',
    'pg_available_extension_versions',
  ],
  ...[
    'pg_last_committed_xact',
    'pg_xact_status',
    'txid_status',
    'pg_stat_get_snapshot_timestamp',
    'pg_relation_filenode',
  ],
  ...['pg_control_system', 'pg_encoding_max_length', 'pg_isolation_test_session_is_blocked', 'inet_client_addr'],
  // psql, pg_dump and monitors
  ...['pg_partition_ancestors', 'pg_partition_tree', 'pg_collation_actual_version', 'pg_prepared_xact'],
  ...['pg_database_collation_actual_version', 'pg_control_checkpoint', 'pg_control_init', 'pg_control_recovery'],
  ...['pg_get_wal_replay_pause_state', 'pg_notification_queue_usage', 'pg_jit_available', 'pg_get_shmem_allocations'],
  ...['pg_stat_get_recovery_prefetch', 'pg_stat_force_next_flush', 'pg_stat_have_stats', 'pg_get_multixact_members'],
  ...['pg_stat_get_xact_blocks_fetched', 'pg_stat_get_xact_blocks_hit', 'pg_stat_get_xact_function_calls'],
  ...['pg_stat_get_xact_function_self_time', 'pg_stat_get_xact_function_total_time', 'pg_stat_get_xact_numscans'],
  ...['pg_stat_get_xact_tuples_deleted', 'pg_stat_get_xact_tuples_fetched', 'pg_stat_get_xact_tuples_hot_updated'],
  ...['pg_stat_get_xact_tuples_inserted', 'pg_stat_get_xact_tuples_returned', 'pg_stat_get_xact_tuples_updated'],
  ...['pg_xact_commit_timestamp', 'pg_xact_commit_timestamp_origin', 'pg_show_replication_origin_status'],
  // these ask `postgres:admin` besides
  ...['pg_terminate_backend', 'pg_cancel_backend', 'pg_reload_conf', 'pg_stat_reset', 'pg_stat_reset_shared'],
  ...['pg_stat_reset_single_table_counters', 'pg_stat_reset_single_function_counters', 'pg_switch_wal'],
]);

/**
 * PostgreSQL's own functions in `information_schema`, which only its superuser can change: they compute from their arguments, one looks
 * into pg_index. JDBC and what is built on it read keys and indexes by them.
 */
export const informationFunctions: ReadonlySet<string> = new Set([
  ...['_pg_expandarray', '_pg_index_position', '_pg_keysequal', '_pg_truetypid', '_pg_truetypmod', '_pg_interval_type'],
  ...['_pg_char_max_length', '_pg_char_octet_length', '_pg_numeric_precision', '_pg_numeric_precision_radix'],
  ...['_pg_numeric_scale', '_pg_datetime_precision'],
]);

/** No extension can have this name. */
export const rangeConstructors = '/range';

/**
 * Extensions whose C functions only compute from their arguments. Their functions and operators count as PostgreSQL's own: no
 * `postgres:call` is asked, and they are proven while masks are in force.
 */
export const computingExtensions: ReadonlySet<string> = new Set([
  ...['citext', 'hstore', 'ltree', 'intarray', 'cube', 'earthdistance', 'isn', 'seg', 'unaccent', 'fuzzystrmatch'],
  ...['pg_trgm', 'pgcrypto', 'uuid-ossp', 'btree_gin', 'btree_gist', 'bloom', 'vector', rangeConstructors],
]);

/** Of these, functions that definitions call in the very transaction in which the extension is made, when no snapshot shows them. */
export const functionsOfExtensions: ReadonlyMap<string, RegExp> = new Map([
  ['uuid-ossp', /^uuid_(nil|ns_(dns|url|oid|x500)|generate_v(1|1mc|3|4|5))$/],
  ['pgcrypto', /^(digest|hmac|crypt|gen_salt|gen_random_bytes|gen_random_uuid|(en|de)crypt(_iv)?)$/],
  ['unaccent', /^unaccent$/],
  ['pg_trgm', /^(strict_)?(word_)?similarity$/],
]);

/** Those whose operators and casts only compute, while some of their functions read tables or run SQL. */
export const computingOperators: ReadonlySet<string> = new Set([
  ...computingExtensions,
  ...['postgis', 'postgis_raster', 'ip4r', 'prefix', 'semver', 'hll', 'roaringbitmap', 'tdigest', 'rum', 'h3'],
]);

/** Past what the gateway can see: password hashes and connection secrets. */
export const secretRelations: ReadonlySet<string> = new Set([
  'pg_authid',
  'pg_shadow',
  'pg_user_mapping',
  'pg_user_mappings',
  '_pg_user_mappings',
  'user_mapping_options',
  'pg_subscription',
  'pg_hba_file_rules',
  'pg_ident_file_mappings',
  'pg_file_settings',
]);

/** Refused while masks are in force: samples of values, texts of other sessions' statements, raw data. What a session reads of itself is its own. */
export const revealingRelations: ReadonlySet<string> = new Set([
  ...['pg_statistic', 'pg_statistic_ext_data', 'pg_stats', 'pg_stats_ext', 'pg_stats_ext_exprs', 'pg_stat_activity'],
  ...['pg_stat_statements', 'pg_stat_monitor', 'pg_stat_wal_receiver', 'pg_largeobject', 'pg_backend_memory_contexts'],
]);

/**
 * Of these, what shows values of any table or texts of other sessions to whoever may connect: without masks they need `postgres:admin`,
 * since a permit for some tables is none for all.
 */
export const overseeingRelations: ReadonlySet<string> = new Set([
  ...['pg_statistic', 'pg_statistic_ext_data', 'pg_stats', 'pg_stats_ext', 'pg_stats_ext_exprs', 'pg_stat_activity'],
  'pg_largeobject',
]);

/** The same of functions. */
export const overseeingFunctions: ReadonlySet<string> = new Set([
  ...['pg_stat_get_activity', 'pg_stat_get_backend_activity'],
]);

/** What `FROM … TABLESAMPLE` may name. */
export const samplingMethods: ReadonlySet<string> = new Set(['system', 'bernoulli']);

/** The statement that says what a call outside of SQL does; undefined for a function that is not served so. */
export function statementOfCall(oid: number): string | undefined {
  for (const [name, known] of largeObjectFunctions) if (known === oid) return `select pg_catalog.${name}()`;
  return undefined;
}
