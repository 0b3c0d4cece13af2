\encoding
\set VERBOSITY verbose
create table customers (id serial primary key, name text not null unique, note text, seen timestamptz default '2026-01-01Z');
create index on customers (lower(name));
create view named as select id, name from customers;
create function greet(text) returns text language sql as $$ select 'hello ' || $1 $$;
create procedure tidy() language plpgsql as $$ begin delete from customers where note = 'gone'; end $$;
create type mood as enum ('low', 'high');
create table parts (id int, at date) partition by range (at);
create table parts_2026 partition of parts for values from ('2026-01-01') to ('2027-01-01');
insert into customers (name, note) values ('ada', 'first'), ('bob', 'gone');
call tidy();
select greet(name) from customers;
do $$ begin raise notice 'from a block'; end $$;
\d
\d customers
\d+ parts
\d+ named
\df
\sf greet
\dT+ mood
\di
\dn
\dp customers
\du
\l
\x on
table customers;
\x off
\crosstabview
select 1 as a, 2 as b, 'x' as c \crosstabview
select 'select ' || generate_series(1, 2) \gexec
select id, name from customers \gdesc
\set ON_ERROR_ROLLBACK on
begin;
create temporary table inside (a int);
insert into inside values (1);
select 1/0;
select * from inside;
create function late() returns int language sql as 'select 7';
select late();
commit;
\set ON_ERROR_ROLLBACK off
begin;
create table s (a int);
savepoint x;
insert into s values (1);
rollback to x;
select * from s;
commit;
insert into customers (name) values ('ada');
select nothing from customers;
select * from customer;
select greet(1, 2);
\errverbose
\set FETCH_COUNT 10
select n from generate_series(1, 25) n;
\unset FETCH_COUNT
declare c cursor with hold for select n from generate_series(1, 5) n;
fetch 2 from c;
move 1 in c;
fetch all from c;
close c;
listen news;
notify news, 'fresh';
select 'heard';
set role none;
set session authorization default;
set search_path to elsewhere, public;
show search_path;
select count(*) from people;
reset search_path;
begin; set local search_path to elsewhere; select count(*) from people; rollback;
copy customers (id, name) to stdout with csv header;
copy customers (id, name) from stdin;
10	grün
\.
select * from customers order by id;
prepare by_id (int) as select name from customers where id = $1;
execute by_id(1);
deallocate by_id;
explain (costs off) select * from customers where id = 1;
\lo_import script.sql 'a script'
\lo_list
drop table parts, s;
