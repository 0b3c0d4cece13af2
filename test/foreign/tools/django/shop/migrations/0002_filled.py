from django.contrib.postgres.operations import UnaccentExtension
from django.db import migrations


def fill(apps, _):
    apps.get_model("shop", "Customer").objects.create(name="first", about={"by": "a migration"})


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        UnaccentExtension(),
        migrations.RunSQL(
            "create function shop_twice(int) returns int language sql as 'select $1 * 2'; create view shop_doubled as select id, shop_twice(id::int) as n from shop_customer",
            "drop view shop_doubled; drop function shop_twice(int)",
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
