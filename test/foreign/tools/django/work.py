"""Forms of the admin and the ORM, step by step."""
import re

import django

django.setup()
from django.contrib.auth.models import User  # noqa: E402
from django.db import connection, models, transaction  # noqa: E402
from django.test import Client  # noqa: E402
from shop.models import Customer, Order  # noqa: E402


def step(name, act):
    try:
        print(name, act())
    except Exception as error:  # Each step stands alone.
        cause = error.__cause__
        print(name, "failed:", type(error).__name__, getattr(cause, "sqlstate", ""), str(error).splitlines()[:3])


client = Client(raise_request_exception=False)


def get(address):
    answer = client.get(address)
    return answer.status_code, re.findall(r"(\d+) customers?", answer.content.decode())[:2]


def post(address, **fields):
    answer = client.post(address, fields)
    return answer.status_code, answer.headers.get("Location", ""), re.findall(r'errorlist[^>]*>\s*<li>([^<]*)', answer.content.decode())


def nested():
    with transaction.atomic():
        first = Order.objects.create(customer=Customer.objects.get(name="ada"), total=1)
        try:
            with transaction.atomic():
                Customer.objects.create(name="ada")
        except django.db.IntegrityError as error:
            print("inside", str(error).splitlines())
        with transaction.atomic():
            Order.objects.create(customer=first.customer, total=2)
        return Order.objects.count()


def bulk_update():
    all_of_them = list(Customer.objects.filter(name__startswith="n"))
    for one in all_of_them:
        one.mood = "high"
        one.about = {"n": one.name}
    return Customer.objects.bulk_update(all_of_them, ["mood", "about"], batch_size=5000)


inline = {"order_set-TOTAL_FORMS": "1", "order_set-INITIAL_FORMS": "0", "order_set-0-total": "3.50"}
step("user", lambda: User.objects.create_superuser("root", password="pass").pk)
step("log in", lambda: post("/admin/login/?next=/admin/", username="root", password="pass"))
step("index", lambda: get("/admin/"))
step("list", lambda: get("/admin/shop/customer/"))
step("add", lambda: post("/admin/shop/customer/add/", name="ada", mood="low", tags="a,b", about='{"by": 1}', seen_0="2026-01-01", seen_1="10:00", **inline))
step("add twice", lambda: post("/admin/shop/customer/add/", name="ada", mood="low", tags="a", about='{"by": 1}', seen_0="2026-01-01", seen_1="10:00", **inline))
step("find", lambda: get("/admin/shop/customer/?q=ad&mood=low"))
step("change", lambda: get(f"/admin/shop/customer/{Customer.objects.get(name='ada').pk}/change/"))
step("history", lambda: get(f"/admin/shop/customer/{Customer.objects.get(name='ada').pk}/history/"))
step("orders", lambda: get("/admin/shop/order/add/"))
step("bulk create", lambda: len(Customer.objects.bulk_create([Customer(name=f"n{n}") for n in range(20000)])))
step("bulk update", bulk_update)
step("upsert", lambda: len(Customer.objects.bulk_create([Customer(name="n1", mood="mid")], update_conflicts=True, unique_fields=["name"], update_fields=["mood"])))
step("iterator", lambda: sum(1 for _ in Customer.objects.iterator(chunk_size=1000)))
step("nested", nested)
step("get or create", lambda: [Customer.objects.get_or_create(name="eve")[1] for _ in range(2)])
step("json", lambda: Customer.objects.filter(about__n="n7").count())
step("array", lambda: Customer.objects.filter(tags__contains=["a"]).count())
step("aggregate", lambda: list(Customer.objects.values("mood").annotate(n=models.Count("id")).order_by("mood")))
step("lock", lambda: transaction.atomic(lambda: Customer.objects.select_for_update(skip_locked=True).get(name="ada").name)())
step("in bulk", lambda: len(Customer.objects.in_bulk([f"n{n}" for n in range(3000)], field_name="name")))
step("explain", lambda: Customer.objects.filter(pk=1).explain().split(" ")[0])
step("check", lambda: Order.objects.create(customer_id=1, total=-1))
step("delete", lambda: post("/admin/shop/customer/", action="delete_selected", _selected_action=Customer.objects.get(name="ada").pk, post="yes"))
step("tables", lambda: sorted(connection.introspection.table_names()))
step("raw", lambda: [(one.pk, one.n) for one in Customer.objects.raw("select * from shop_doubled join shop_customer using (id) where id < 2")])
