-- The shop's tables, as its own DBA makes them. The role that the gateway uses gets what the services need, and no more.
create table customers (id int primary key, name text not null, email text, card text, ssn text);
create table orders (id int primary key, customer int references customers, total numeric(10, 2), state text not null default 'new');
insert into customers values
  (1, 'Ada Lovelace', 'ada@example.org', '4111111111111111', '123-45-6789'),
  (2, 'Grace Hopper', 'grace@example.org', '5500005555555559', '987-65-4321');
insert into orders values (1, 1, 19.90, 'new'), (2, 2, 45.00, 'paid');
grant select on customers to shop_app;
grant select, insert, update on orders to shop_app;
