/** One query of a catalog snapshot; all columns come as text. */
export interface CatalogQuery {
  readonly name: CatalogQueryName;
  readonly sql: string;
  /** The answer stays true as long as the server runs: ask once per connection, hand in the same rows again. */
  readonly lasting: boolean;
  /**
   * May fail (it takes locks on user tables, so it can run into `lock_timeout`, or meet a table being dropped): leave its rows out
   * then. Without them what they would have proven counts as unproven.
   */
  readonly optional: boolean;
}

export type CatalogQueryName =
  | 'settings'
  | 'relations'
  | 'columns'
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

/**
 * What a snapshot asks. Run them in one REPEATABLE READ, READ ONLY transaction of the gateway's own login with its default settings
 * plus a `lock_timeout` of a second or two; rows in text format.
 */
export const catalogQueries: readonly CatalogQuery[] = [
  query('settings', {
    sql: `select pg_catalog.current_database(), pg_catalog.current_setting('search_path'),
       pg_catalog.array_to_json(pg_catalog.current_schemas(false))::pg_catalog.text,
       pg_catalog.current_setting('standard_conforming_strings'), pg_catalog.current_setting('server_version_num'),
       (${pathOfNextLogin})::pg_catalog.text`,
  }),
  query('relations', {
    sql: `select c.oid, n.nspname, c.relname, c.relkind,
       exists (select 1 from pg_catalog.pg_rewrite r where r.ev_class = c.oid and r.rulename <> '_RETURN')::pg_catalog.text
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on c.relnamespace = n.oid
     where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and n.nspname !~ '^pg_(toast_)?temp_' and n.nspname <> 'pg_toast'
     order by c.oid`,
  }),
  query('columns', {
    sql: `select a.attrelid, a.attnum, a.attname,
       case when a.attgenerated <> '' then pg_catalog.pg_get_expr(d.adbin, d.adrelid) end
     from pg_catalog.pg_attribute a
     join pg_catalog.pg_class c on a.attrelid = c.oid join pg_catalog.pg_namespace n on c.relnamespace = n.oid
     left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and ${userSchema}
     order by a.attrelid, a.attnum`,
  }),
  query('dependencies', {
    sql: `select distinct r.ev_class, d.refobjid, a.attname
     from pg_catalog.pg_rewrite r
     join pg_catalog.pg_class c on r.ev_class = c.oid join pg_catalog.pg_namespace n on c.relnamespace = n.oid
     join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid = r.oid
      and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid <> r.ev_class
     left join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid and d.refobjsubid > 0
     where ${userSchema}
     order by 1, 2, 3`,
  }),
  query('definitions', {
    sql: `select c.oid, pg_catalog.pg_get_viewdef(c.oid)
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on c.relnamespace = n.oid
     where c.relkind in ('v', 'm') and ${userSchema} order by c.oid`,
    optional: true,
  }),
  query('inheritance', {
    sql: `select i.inhrelid, i.inhparent from pg_catalog.pg_inherits i
     join pg_catalog.pg_class c on i.inhrelid = c.oid where c.relkind in ('r', 'p', 'f') order by 1, 2`,
  }),
  query('foreign-keys', {
    sql: `select distinct k.conrelid, k.confrelid from pg_catalog.pg_constraint k where k.contype = 'f' order by 1, 2`,
  }),
  query('functions', {
    sql: `select n.nspname, p.proname, p.prokind, l.lanname, p.pronargs::pg_catalog.text, p.pronargdefaults::pg_catalog.text,
       (p.provariadic <> 0)::pg_catalog.text, ${extensionOf('pg_catalog.pg_proc', 'p.oid')}
     from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on p.pronamespace = n.oid
     join pg_catalog.pg_language l on p.prolang = l.oid
     where p.oid >= ${firstUserOid} and n.nspname !~ '^pg_temp_' order by p.oid`,
  }),
  query('operators', {
    sql: `select n.nspname, o.oprname, ${extensionOf('pg_catalog.pg_operator', 'o.oid')}
     from pg_catalog.pg_operator o join pg_catalog.pg_namespace n on o.oprnamespace = n.oid
     where o.oid >= ${firstUserOid} order by o.oid`,
  }),
  query('casts', {
    sql: `select s.typname, t.typname, (s.oid >= ${firstUserOid})::pg_catalog.text, (t.oid >= ${firstUserOid})::pg_catalog.text,
       ${extensionOf('pg_catalog.pg_cast', 'k.oid')}
     from pg_catalog.pg_cast k
     join pg_catalog.pg_type s on k.castsource = s.oid join pg_catalog.pg_type t on k.casttarget = t.oid
     where k.oid >= ${firstUserOid} and k.castfunc <> 0 order by k.oid`,
  }),
  query('builtin-functions', {
    sql: `select p.proname, pg_catalog.max(p.provolatile::pg_catalog.text)
     from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on p.pronamespace = n.oid
     where p.oid < ${firstUserOid} and n.nspname = 'pg_catalog' group by p.proname order by 1`,
    lasting: true,
  }),
  query('builtin-types', {
    sql: `select t.typname from pg_catalog.pg_type t join pg_catalog.pg_namespace n on t.typnamespace = n.oid
     where t.oid < ${firstUserOid} and n.nspname = 'pg_catalog' and t.typtype <> 'c' order by 1`,
    lasting: true,
  }),
];

function query(
  name: CatalogQueryName,
  { sql, lasting = false, optional = false }: { sql: string; lasting?: boolean; optional?: boolean },
): CatalogQuery {
  return { name, sql, lasting, optional };
}
