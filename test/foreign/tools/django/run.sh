# Django: migrations, the admin's forms, fixtures out and in, bulk writes of 20,000, all that its ORM is used for.
export PYTHONDONTWRITEBYTECODE=1 DJANGO_SETTINGS_MODULE=project
manage() { echo "manage $*"; .venv/bin/python -m django "$@" 2>&1 | grep -vE '^ +File|^Traceback|^ +[a-z^~]|^$'; }
manage migrate
manage showmigrations --plan
manage makemigrations --check
.venv/bin/python work.py 2>&1
manage dumpdata --indent 1 -o "$WORK/dump.json" shop
cksum <"$WORK/dump.json"
manage dumpdata --natural-foreign --natural-primary -e contenttypes -e admin.logentry | wc -l
manage flush --no-input
manage loaddata "$WORK/dump.json"
manage inspectdb shop_customer
manage sqlsequencereset shop
manage migrate shop zero
manage migrate shop
