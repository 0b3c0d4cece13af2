create extension if not exists "uuid-ossp";
create table customers (id serial primary key, key uuid default uuid_generate_v4(), name text not null unique);
create function greet(text) returns text language plpgsql as $$ begin return 'hello ' || $1; end $$;
create view greeted as select id, greet(name) as greeting from customers;
insert into customers (name) values ('ada'), ('bob');
do $$ begin if not exists (select from pg_type where typname = 'mood') then create type mood as enum ('low', 'high'); end if; end $$;
alter table customers add column mood mood default 'low';
