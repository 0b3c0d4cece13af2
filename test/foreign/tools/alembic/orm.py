"""What SQLAlchemy is used for; `drop` empties the database first."""
import sys

import sqlalchemy as sa
from model import Base, Customer, Order, create
from sqlalchemy import orm


def step(name, act):
    try:
        print(name, act())
    except Exception as error:  # Each step stands alone.
        original = getattr(error, "orig", error)
        print(name, "failed:", type(error).__name__, getattr(original, "sqlstate", getattr(original, "pgcode", "")), str(original).splitlines()[:3])


engine = create()


def run(*texts):
    with engine.begin() as connection:
        return [connection.execute(sa.text(text)) for text in texts][-1]


if sys.argv[1:] == ["drop"]:
    run("drop schema public cascade", "create schema public")
    sys.exit()


def bulk():
    with orm.Session(engine) as session:
        session.execute(sa.insert(Customer), [{"name": f"n{n}", "about": {"n": n}} for n in range(5000)])
        session.commit()
        return session.scalar(sa.select(sa.func.count()).select_from(Customer))


def stream():
    with engine.connect().execution_options(yield_per=100) as connection:
        return sum(1 for _ in connection.execute(sa.select(Customer.id)))


def nested():
    with orm.Session(engine) as session, session.begin():
        session.add(Order(customer=1, total=1))
        session.flush()
        try:
            with session.begin_nested():
                session.add(Customer(name="ada"))
                session.flush()
        except sa.exc.IntegrityError as error:
            print("inside", str(error.orig).splitlines())
        return session.query(Order).count()


def two_phase():
    with engine.connect() as connection:
        transaction = connection.begin_twophase("one")
        connection.execute(sa.text("insert into orders (customer, total) values (1, 9)"))
        transaction.prepare()
        transaction.rollback()
        return "rolled back"


def fresh():
    with engine.begin() as connection:
        connection.execute(sa.text("create temporary table brief (a int) on commit drop"))
        nested = connection.begin_nested()
        connection.execute(sa.text("insert into brief values (1)"))
        nested.rollback()
        return connection.scalar(sa.text("select count(*) from brief"))


def reflect():
    seen = sa.inspect(engine)
    names = sorted(seen.get_table_names()), seen.get_view_names(), seen.get_schema_names()
    columns = [(one["name"], str(one["type"]), one["nullable"]) for one in seen.get_columns("customers")]
    return names, columns, seen.get_indexes("orders"), seen.get_foreign_keys("orders"), seen.get_unique_constraints("customers"), seen.get_enums()


def many_values():
    with engine.begin() as connection:
        return connection.execute(sa.insert(Customer).returning(Customer.name), [{"name": f"m{n}"} for n in range(3000)]).rowcount


def path():
    with create(connect_args={"options": "-c search_path=elsewhere", **({"dbname": engine.url.database} if engine.url.database else {})}).connect() as connection:
        return connection.scalar(sa.text("show search_path"))


step("version", lambda: engine.connect().dialect.server_version_info)
step("bulk", bulk)
step("stream", stream)
step("nested", nested)
step("fresh", fresh)
step("reflect", reflect)
step("values", many_values)
step("in list", lambda: run("select count(*) from customers where id in (" + ",".join(map(str, range(20000))) + ")").scalar())
step("view", lambda: run("select total from totals where id = 1").scalar())
step("twice", lambda: run("insert into customers (name) values ('ada')"))
step("unknown", lambda: run("select * from nowhere"))
step("two phase", two_phase)
step("isolation", lambda: create(isolation_level="SERIALIZABLE").connect().scalar(sa.text("show transaction_isolation")))
step("create all", lambda: Base.metadata.create_all(create().execution_options(schema_translate_map={None: "elsewhere"})))
