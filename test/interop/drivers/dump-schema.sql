-- One of each kind of thing that a schema of a service has.
create type mood as enum ('sad', 'ok', 'happy');
create domain percent as int check (value between 0 and 100);
create type place as (street text, number int);
create sequence tickets start 42;
create table people (
  id bigint generated always as identity primary key,
  name text not null,
  mood mood default 'ok',
  share percent,
  home place,
  born date,
  seen timestamptz default now(),
  tags text[] not null default '{}',
  facts jsonb,
  photo bytea,
  shouted text generated always as (upper(name)) stored,
  unique (name)
);
create table visits (person bigint references people on delete cascade, at timestamptz not null, note varchar(40), check (note <> '')) partition by range (at);
create table visits_2025 partition of visits for values from ('2025-01-01') to ('2026-01-01');
create table visits_2026 partition of visits for values from ('2026-01-01') to ('2027-01-01');
create index on visits (person, at desc) where note is not null;
create view adults as select id, name from people where born < '2008-01-01';
create materialized view moods as select mood, count(*) as n from people group by mood;
create function add_one(n int) returns int language sql immutable as 'select n + 1';
create function stamp() returns trigger language plpgsql as $$ begin new.seen := coalesce(new.seen, 'epoch'); return new; end $$;
create trigger stamped before insert on people for each row execute function stamp();
create function noisy() returns void language plpgsql as $$ begin raise notice 'a notice'; raise warning using message = 'a warning', detail = 'its detail', hint = 'its hint'; end $$;
create procedure forget(who text) language sql as 'delete from people where name = who';
create table moods_log (mood mood, at timestamptz);
create rule quiet as on delete to moods_log do instead nothing;
alter table people enable row level security;
create policy everyone on people using (true);
create statistics people_mood (dependencies) on mood, share from people;
comment on table people is 'who they are; "quoted" & ünï';
comment on column people.share is 'in percent';
grant select on people to public;
insert into people (name, mood, share, home, born, seen, tags, facts, photo) values
  ('Ada', 'happy', 100, '("Main St",1)', '1815-12-10', '2026-01-02 03:04:05.678+00', '{a,"b c",NULL}', '{"k": [1, 2.50, null]}', '\x00ff'),
  ('Grace', null, null, null, null, null, '{}', null, null),
  (E'tab\there', 'sad', 0, '(,)', 'infinity', '-infinity', '{""}', '"text"', '');
insert into visits values (1, '2025-05-05 00:00:00+00', 'first'), (1, '2026-06-06 00:00:00+00', null);
refresh materialized view moods;
