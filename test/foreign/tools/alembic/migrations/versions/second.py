import sqlalchemy as sa
from alembic import op

revision, down_revision = "second", "first"


def upgrade():
    op.create_table(
        "orders",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("customer", sa.Integer, sa.ForeignKey("customers.id", ondelete="cascade"), index=True),
        sa.Column("total", sa.Numeric(10, 2)),
    )
    op.execute("create function total_of(int) returns numeric language sql as 'select sum(total) from orders where customer = $1'")
    op.execute("create view totals as select id, total_of(id) as total from customers")
    op.execute("insert into orders (customer, total) select id, 2 from customers; update orders set total = total_of(customer) + 1")
    with op.get_context().autocommit_block():
        op.execute("alter type mood add value 'mid'")
        op.create_index("orders_total", "orders", ["total"], postgresql_concurrently=True)


def downgrade():
    op.execute("drop view totals; drop function total_of(int)")
    op.drop_table("orders")
