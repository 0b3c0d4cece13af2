-- Up Migration
create view totals as select name, sum(total) from customers join orders on customer = customers.id group by name;
-- Down Migration
drop view totals;
