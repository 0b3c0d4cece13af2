{% macro grant_all() %}
{% do run_query('grant usage on schema dbt_shop to public') %}
{% do run_query('grant select on all tables in schema dbt_shop to public') %}
{% endmacro %}
