/** All suites by name. A new one is a file of `suites/` and a line here. */
import type { Suite } from './suite.ts';
import { asyncpg } from './suites/asyncpg.ts';
import { isolation } from './suites/isolation.ts';
import { libpqPipeline } from './suites/libpq-pipeline.ts';
import { nodePostgres } from './suites/node-postgres.ts';
import { pgjdbc } from './suites/pgjdbc.ts';
import { pgx } from './suites/pgx.ts';
import { psycopg } from './suites/psycopg.ts';
import { regress } from './suites/regress.ts';
import { tools } from './suites/tools.ts';

export const SUITES: readonly Suite[] = [
  tools,
  asyncpg,
  pgx,
  nodePostgres,
  libpqPipeline,
  isolation,
  regress,
  psycopg,
  pgjdbc,
];
