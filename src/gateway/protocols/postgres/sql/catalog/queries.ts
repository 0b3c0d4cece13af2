import { computingExtensions, rangeConstructors } from './function-lists.ts';

/** One question about a database's catalog; all columns come as text. */
export interface CatalogQuery {
  readonly name: CatalogQueryName;
  /**
   * Gives items, each a JSON array that begins with its key, and the bucket of each: {@link askChanged} makes of it the question for what
   * has changed. That of `settings` is asked as it is, and gives one row.
   */
  readonly sql: string;
  /** How many buckets its items are spread over. What changes is read by bucket: the more there are, the less is read with it. */
  readonly buckets: number;
  /** The answer stays true as long as the server runs: ask once per connection. */
  readonly lasting: boolean;
  /**
   * May fail (it takes locks on user tables, so it can run into `lock_timeout`, or meet a table being dropped): leave its answer out
   * then. Without it what it would have proven counts as unproven.
   */
  readonly optional: boolean;
}

export type CatalogQueryName =
  | 'settings'
  | 'relations'
  | 'dependencies'
  | 'definitions'
  | 'inheritance'
  | 'foreign-keys'
  | 'functions'
  | 'operators'
  | 'casts'
  | 'builtin-functions'
  | 'builtin-types';

/** Objects that initdb made have OIDs below this one; every object of a user is at or above it. */
export const firstUserOid = 16_384;

const userSchema =
  "n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and n.nspname !~ '^pg_(toast_)?temp_'";

const extensionOf = (catalog: string, oid: string) => `
  (select e.extname from pg_catalog.pg_depend x
     join pg_catalog.pg_extension e on x.refobjid operator(pg_catalog.=) e.oid
    where x.classid operator(pg_catalog.=) '${catalog}'::pg_catalog.regclass
      and x.objid operator(pg_catalog.=) ${oid}
      and x.refclassid operator(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
      and x.deptype operator(pg_catalog.=) 'e' limit 1)`;

/**
 * Whether whoever logs in now gets the search path that this connection has: ALTER ROLE and ALTER DATABASE change it for later logins alone. Of
 * what is set for the role and the database, the most special counts; with nothing set, the path must not come from there either.
 */
const pathOfNextLogin = `
  select case when s.path is null then g.source not in ('global', 'database', 'user', 'database user')
         else s.path operator(pg_catalog.=) pg_catalog.current_setting('search_path') end
    from pg_catalog.pg_settings g left join (
      select pg_catalog.substr(c.setting, 13) as path from pg_catalog.pg_db_role_setting r, pg_catalog.unnest(r.setconfig) as c(setting)
       where c.setting operator(pg_catalog.~~) 'search\\_path=%'
         and (r.setrole operator(pg_catalog.=) 0 or r.setrole operator(pg_catalog.=)
             (select u.oid from pg_catalog.pg_roles u where u.rolname operator(pg_catalog.=) session_user))
         and (r.setdatabase operator(pg_catalog.=) 0 or r.setdatabase operator(pg_catalog.=)
             (select d.oid from pg_catalog.pg_database d where d.datname operator(pg_catalog.=) pg_catalog.current_database()))
       order by r.setrole operator(pg_catalog.=) 0, r.setdatabase operator(pg_catalog.=) 0 limit 1) s on true
   where g.name operator(pg_catalog.=) 'search_path'`;

const ofComputingExtension = (object: string) => `exists (
  select from pg_catalog.pg_depend y join pg_catalog.pg_extension e on y.refobjid operator(pg_catalog.=) e.oid
   where ${object} and y.deptype operator(pg_catalog.=) 'e'
     and y.refclassid operator(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
     and e.extname operator(pg_catalog.=) any ('{${Array.from(computingExtensions).join(',')}}'))`;

/**
 * Relations whose rows set off code of the database's own: triggers, functions, operators and types that a default, a check, an index, a policy or a
 * column depends on, and relations that a policy reads; policies may be enabled while a statement waits. PostgreSQL notes no dependency on what is
 * its own; enumerations run nothing but casts, and the extensions listed only compute.
 */
const relationsThatRunCode = `
  select u.relid, pg_catalog.bool_or(u.by_type) as by_type from (
  select t.tgrelid as relid, false as by_type from pg_catalog.pg_trigger t where not t.tgisinternal
  union all select p.relid, d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass from (
      select 'pg_catalog.pg_class'::pg_catalog.regclass as classid, c.oid as objid, c.oid as relid from pg_catalog.pg_class c
      union all select 'pg_catalog.pg_class'::pg_catalog.regclass, i.indexrelid, i.indrelid from pg_catalog.pg_index i
      union all select 'pg_catalog.pg_attrdef'::pg_catalog.regclass, f.oid, f.adrelid from pg_catalog.pg_attrdef f
      union all select 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, k.conrelid from pg_catalog.pg_constraint k
      union all select 'pg_catalog.pg_policy'::pg_catalog.regclass, l.oid, l.polrelid from pg_catalog.pg_policy l) p
    join pg_catalog.pg_depend d on d.classid = p.classid and d.objid = p.objid
    where p.objid >= ${firstUserOid} and d.refobjid >= ${firstUserOid} and not ${ofComputingExtension('y.classid = d.refclassid and y.objid = d.refobjid')}
      and (d.refclassid in ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass,
          'pg_catalog.pg_opclass'::pg_catalog.regclass, 'pg_catalog.pg_opfamily'::pg_catalog.regclass)
        or p.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid <> p.relid
        or d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass and exists (
          select from pg_catalog.pg_type t left join pg_catalog.pg_type l on t.typelem = l.oid and t.typelem <> 0
           where t.oid = d.refobjid and (coalesce(l.typtype, t.typtype) <> 'e' or exists (
             select from pg_catalog.pg_cast k where k.castfunc <> 0 and k.oid >= ${firstUserOid}
                and coalesce(l.oid, t.oid) in (k.castsource, k.casttarget)))))) u group by u.relid`;

/**
 * The functions that come with a range type only put its values together, and compare them: where PostgreSQL's own order does that, they count as
 * those of an extension that only computes.
 */
const makerOf = (extension: string) => `case when p.prolang = '12' and p.prosrc ~ '^(multi)?range_constructor[0-3]$'
   and not exists (select from pg_catalog.pg_range r
     where r.rngtypid in (p.prorettype, p.proargtypes[0], (select e.typelem from pg_catalog.pg_type e where e.oid = p.proargtypes[0]))
       and (r.rngcanonical::pg_catalog.oid >= ${firstUserOid} or r.rngsubdiff::pg_catalog.oid >= ${firstUserOid}
         or r.rngsubtype >= ${firstUserOid} or r.rngsubopc >= ${firstUserOid})) then '${rangeConstructors}' else ${extension} end`;

/**
 * A value of that type comes from a column, a cast or a parameter of the type alone: it is one of the database's own, nothing becomes one unasked,
 * and no other is preferred less.
 */
const isOwnOnly = (type: string) => `exists (
  select from pg_catalog.pg_type t where t.oid = ${type} and t.oid >= ${firstUserOid} and t.typtype in ('b', 'r', 'm') and t.typelem = 0
     and not t.typispreferred and not ${ofComputingExtension("y.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and y.objid = t.oid")}
     and not exists (select from pg_catalog.pg_cast k where k.casttarget = t.oid and k.castsource <> t.oid and k.castcontext = 'i'))`;

/** Spreads OIDs evenly, however they were given out. */
const bucketOf = (oid: string, buckets: number) => `pg_catalog.hashoid(${oid}) & ${buckets - 1}`;

const item = (...columns: readonly string[]) => `pg_catalog.json_build_array(${columns.join(', ')})::pg_catalog.text`;
const number = (oid: string) => `${oid}::pg_catalog.int8`;

/** What a snapshot asks, of the gateway's own login with its default settings plus a short `lock_timeout`. */
export const catalogQueries: readonly CatalogQuery[] = [
  query('settings', {
    sql: `select pg_catalog.current_database(), pg_catalog.current_setting('search_path'),
       pg_catalog.array_to_json(pg_catalog.current_schemas(false))::pg_catalog.text,
       pg_catalog.current_setting('standard_conforming_strings'), pg_catalog.current_setting('server_version_num'),
       (${pathOfNextLogin})::pg_catalog.text, current_user::pg_catalog.text,
       (select pg_catalog.json_agg(n.nspname::pg_catalog.text order by n.nspname)::pg_catalog.text from pg_catalog.pg_namespace n
         where pg_catalog.has_schema_privilege(n.oid, 'USAGE') and n.nspname !~ '^pg_(toast|temp_)'),
       (exists (select from pg_catalog.pg_event_trigger e where e.evtenabled <> 'D'))::pg_catalog.text,
       (exists (select from pg_catalog.pg_trigger t where t.tgdeferrable and not t.tgisinternal and t.tgenabled <> 'D'))::pg_catalog.text,
       (select coalesce(pg_catalog.json_agg(distinct t.typname::pg_catalog.text), '[]')::pg_catalog.text
          from pg_catalog.pg_namespace n join pg_catalog.pg_type t on t.typnamespace operator(pg_catalog.=) n.oid
         where n.nspname operator(pg_catalog.~) '^pg_temp_' and exists (
           select from pg_catalog.pg_type b where b.typname operator(pg_catalog.=) t.typname
              and b.typnamespace operator(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace)),
       pg_catalog.current_setting('server_encoding'),
       (select pg_catalog.pg_encoding_max_length(d.encoding)::pg_catalog.text from pg_catalog.pg_database d
         where d.datname operator(pg_catalog.=) pg_catalog.current_database()),
       (select d.datctype::pg_catalog.text from pg_catalog.pg_database d
         where d.datname operator(pg_catalog.=) pg_catalog.current_database())`,
    buckets: 0,
  }),
  query('relations', {
    buckets: 256,
    sql: `select ${bucketOf('c.oid', 256)} as bucket, ${item(
      ...[number('c.oid'), 'n.nspname', 'c.relname', 'c.relkind'],
      "exists (select 1 from pg_catalog.pg_rewrite r where r.ev_class = c.oid and r.rulename <> '_RETURN')",
      ...["c.relrowsecurity or c.relkind = 'f' or x.relid is not null", 'coalesce(x.by_type, false)', 'a.columns'],
    )} as item
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on c.relnamespace = n.oid
     left join (${relationsThatRunCode}) x on x.relid = c.oid
     left join (
       select a.attrelid, pg_catalog.json_agg(pg_catalog.json_build_array(a.attnum, a.attname,
         case when a.attgenerated <> '' then pg_catalog.pg_get_expr(d.adbin, d.adrelid) end) order by a.attnum) as columns
       from pg_catalog.pg_attribute a
       join pg_catalog.pg_class c on a.attrelid = c.oid join pg_catalog.pg_namespace n on c.relnamespace = n.oid
       left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
       where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and ${userSchema}
       group by a.attrelid) a on a.attrelid = c.oid
     where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and n.nspname !~ '^pg_(toast_)?temp_' and n.nspname <> 'pg_toast'`,
  }),
  query('dependencies', {
    sql: `select ${bucketOf('x.ev_class', 64)} as bucket,
       ${item(number('x.ev_class'), 'pg_catalog.json_agg(pg_catalog.json_build_array(x.refobjid, x.columns) order by x.refobjid)')} as item
     from (
       select r.ev_class, ${number('d.refobjid')} as refobjid,
         coalesce(pg_catalog.json_agg(distinct a.attname::pg_catalog.text) filter (where a.attname is not null), '[]') as columns
       from pg_catalog.pg_rewrite r
       join pg_catalog.pg_class c on r.ev_class = c.oid join pg_catalog.pg_namespace n on c.relnamespace = n.oid
       join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid = r.oid
        and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid <> r.ev_class
       left join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid and d.refobjsubid > 0
       where ${userSchema} group by r.ev_class, d.refobjid) x
     group by x.ev_class`,
  }),
  query('definitions', {
    sql: `select ${bucketOf('c.oid', 64)} as bucket, ${item(number('c.oid'), 'pg_catalog.pg_get_viewdef(c.oid)')} as item
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on c.relnamespace = n.oid
     where c.relkind in ('v', 'm') and ${userSchema}`,
    optional: true,
  }),
  query('inheritance', {
    sql: `select ${bucketOf('i.inhrelid', 64)} as bucket,
       ${item(number('i.inhrelid'), `pg_catalog.json_agg(${number('i.inhparent')} order by i.inhparent)`)} as item
     from pg_catalog.pg_inherits i join pg_catalog.pg_class c on i.inhrelid = c.oid
     join pg_catalog.pg_namespace n on c.relnamespace = n.oid
     where c.relkind in ('r', 'p', 'f') and ${userSchema} group by i.inhrelid`,
  }),
  query('foreign-keys', {
    sql: `select ${bucketOf('k.conrelid', 64)} as bucket,
       ${item(number('k.conrelid'), `pg_catalog.json_agg(distinct ${number('k.confrelid')})`)} as item
     from pg_catalog.pg_constraint k join pg_catalog.pg_class c on k.conrelid = c.oid
     join pg_catalog.pg_namespace n on c.relnamespace = n.oid
     where k.contype = 'f' and ${userSchema} group by k.conrelid`,
  }),
  query('functions', {
    sql: `select ${bucketOf('p.oid', 64)} as bucket, ${item(
      ...[number('p.oid'), 'n.nspname', 'p.proname', 'p.prokind', 'l.lanname', 'p.pronargs', 'p.pronargdefaults'],
      ...['p.provariadic <> 0', makerOf(extensionOf('pg_catalog.pg_proc', 'p.oid'))],
    )} as item
     from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on p.pronamespace = n.oid
     join pg_catalog.pg_language l on p.prolang = l.oid
     where p.oid >= ${firstUserOid} and n.nspname !~ '^pg_temp_'`,
  }),
  query('operators', {
    sql: `select ${bucketOf('o.oid', 64)} as bucket,
       ${item(
         ...[number('o.oid'), 'n.nspname', 'o.oprname', extensionOf('pg_catalog.pg_operator', 'o.oid')],
         `${isOwnOnly('o.oprright')} and (o.oprleft = 0 or ${isOwnOnly('o.oprleft')})`,
       )} as item
     from pg_catalog.pg_operator o join pg_catalog.pg_namespace n on o.oprnamespace = n.oid
     where o.oid >= ${firstUserOid}`,
  }),
  query('casts', {
    sql: `select ${bucketOf('k.oid', 64)} as bucket, ${item(
      ...[number('k.oid'), 's.typname', 't.typname', `s.oid >= ${firstUserOid}`, `t.oid >= ${firstUserOid}`],
      makerOf(extensionOf('pg_catalog.pg_cast', 'k.oid')),
    )} as item
     from pg_catalog.pg_cast k join pg_catalog.pg_proc p on k.castfunc = p.oid
     join pg_catalog.pg_type s on k.castsource = s.oid join pg_catalog.pg_type t on k.casttarget = t.oid
     where k.oid >= ${firstUserOid}`,
  }),
  query('builtin-functions', {
    sql: `select 0 as bucket, ${item('p.proname', 'pg_catalog.max(p.provolatile::pg_catalog.text)')} as item
     from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on p.pronamespace = n.oid
     where p.oid < ${firstUserOid} and n.nspname = 'pg_catalog' group by p.proname`,
    buckets: 1,
    lasting: true,
  }),
  query('builtin-types', {
    sql: `select 0 as bucket, ${item('t.typname')} as item
     from pg_catalog.pg_type t join pg_catalog.pg_namespace n on t.typnamespace = n.oid
     where t.oid < ${firstUserOid} and n.nspname = 'pg_catalog' and t.typtype <> 'c'`,
    buckets: 1,
    lasting: true,
  }),
];

/**
 * The question for the buckets of a query that are not as they were: `digests` is what was answered of each bucket last, undefined = nothing.
 * A row is a bucket, its digest, and its items with commas between them; of one that is empty now the latter two are NULL. The server
 * makes the digest of the very text that it sends, in one statement: what is held is what was digested, and no change goes unseen.
 */
export function askChanged({ sql }: CatalogQuery, digests: readonly (string | undefined)[]): string {
  const known = digests.map((digest) => (digest === undefined ? 'null' : digest)).join(',');
  return `with i as (${sql}),
 b as (select i.bucket, pg_catalog.string_agg(i.item, ',' order by i.item collate pg_catalog."C") as items from i group by i.bucket),
 d as (select b.bucket, b.items, pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(b.items, 'UTF8')), 'base64') as digest from b)
 select k.bucket - 1, d.digest, d.items
 from pg_catalog.unnest('{${known}}'::pg_catalog.text[]) with ordinality as k(digest, bucket)
 left join d on d.bucket = k.bucket - 1 where d.digest is distinct from k.digest`;
}

function query(
  name: CatalogQueryName,
  options: { sql: string; buckets?: number; lasting?: boolean; optional?: boolean },
): CatalogQuery {
  return { name, buckets: 64, lasting: false, optional: false, ...options };
}
