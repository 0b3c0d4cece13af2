{{ config(indexes=[{'columns': ['customer'], 'unique': true}]) }}
select customer, sum(total) as total, count(*) as orders from {{ ref('orders') }} group by customer
