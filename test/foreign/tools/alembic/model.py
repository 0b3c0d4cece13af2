"""The models that migrations are compared with."""
import os

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql


class Base(orm.DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    id = sa.Column(sa.Integer, primary_key=True)
    key = sa.Column(sa.Uuid, server_default=sa.text("uuid_generate_v4()"))
    name = sa.Column(sa.String(50), nullable=False, unique=True)
    mood = sa.Column(sa.Enum("low", "high", name="mood"))
    about = sa.Column(postgresql.JSONB)
    orders = orm.relationship("Order", order_by="Order.id")


class Order(Base):
    __tablename__ = "orders"
    id = sa.Column(sa.BigInteger, primary_key=True)
    customer = sa.Column(sa.Integer, sa.ForeignKey("customers.id", ondelete="cascade"), index=True)
    total = sa.Column(sa.Numeric(10, 2), index=False)
    __table_args__ = (sa.Index("orders_total", "total"),)


def create(**options):
    url = f"postgresql+{os.environ['DRIVER']}://"
    if os.environ["DRIVER"] == "psycopg2":
        options.setdefault("connect_args", {"dbname": os.environ["PGDATABASE"]})
    return sa.create_engine(url, **options)
