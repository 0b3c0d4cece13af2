import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision, down_revision = "first", None


def upgrade():
    op.execute('create extension if not exists "uuid-ossp"')
    op.create_table(
        "customers",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", sa.Uuid, server_default=sa.text("uuid_generate_v4()")),
        sa.Column("name", sa.String(50), nullable=False, unique=True),
        sa.Column("mood", sa.Enum("low", "high", name="mood")),
        sa.Column("about", postgresql.JSONB),
    )
    op.bulk_insert(sa.table("customers", sa.column("name", sa.String)), [{"name": "ada"}, {"name": "bob"}])


def downgrade():
    op.drop_table("customers")
    op.execute("drop type mood")
