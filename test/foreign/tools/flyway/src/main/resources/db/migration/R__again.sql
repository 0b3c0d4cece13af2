create or replace view named as select name from customers;
