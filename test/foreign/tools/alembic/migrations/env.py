import sys

from alembic import context

sys.path.insert(0, ".")
from model import Base, create  # noqa: E402

with create().connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
