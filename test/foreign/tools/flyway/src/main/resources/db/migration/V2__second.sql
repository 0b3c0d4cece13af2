create schema other;
create table other.orders (id bigint generated always as identity primary key, customer int references customers, total numeric default 1);
create procedure fill() language plpgsql as $$ begin insert into other.orders (customer) select id from customers; end $$;
call fill();
create materialized view totals as select customer, sum(total) from other.orders group by customer;
