"""SQLAlchemy over several drivers, Django, pandas. Arguments: client, port. Prints what programs_test.py expects."""

import datetime
import io
import re
import sys
import warnings

from drivers import NAMESPACE, VALUES, shown

SINCE, UNTIL = datetime.datetime(2000, 1, 1), datetime.datetime(2100, 1, 1)


def sqlalchemy(driver, port):
    import sqlalchemy as sa
    engine = sa.create_engine(f"mysql+{driver}://root@127.0.0.1:{port}/z4", pool_pre_ping=True, pool_size=1, max_overflow=1)
    with engine.connect() as connection:
        print("connect", connection.scalar(sa.text("SELECT DATABASE()")))
    inspector = sa.inspect(engine)
    print("tables", *sorted(inspector.get_table_names()))
    print("columns", *(column["name"] for column in inspector.get_columns("tasks")))
    inspector.get_indexes("tasks"), inspector.get_foreign_keys("tasks"), inspector.get_unique_constraints("tasks")
    inspector.get_check_constraints("tasks"), inspector.get_table_comment("tasks"), inspector.get_view_names(), inspector.get_schema_names()
    print("keys", *inspector.get_pk_constraint("tasks")["constrained_columns"])
    metadata = sa.MetaData()
    metadata.reflect(engine)
    tasks, namespaces = metadata.tables["tasks"], metadata.tables["namespaces"]
    bounded = sa.select(tasks.c.payload, tasks.c.last_retry).where(
        tasks.c.namespace == NAMESPACE, tasks.c.deliver_at >= SINCE, tasks.c.deliver_at < UNTIL).order_by(tasks.c.deliver_at)
    with engine.connect() as connection:
        rows = connection.execute(bounded).all()
        print("query", len(rows), *map(shown, rows[0]))
        for name, expression, value in VALUES:
            sql = sa.text(f"SELECT {expression.format(':x')}")
            print(name, shown(connection.scalar(sql, {"x": str(value) if name == "unsigned" else value})))
    with engine.begin() as connection:
        three = connection.scalar(sa.select(3))
    print("transaction", three)
    try:
        with engine.connect() as connection:
            connection.execute(sa.select(tasks)).all()
    except sa.exc.DBAPIError as error:
        print("error", getattr(error.orig, "errno", None) or error.orig.args[0])
    with engine.connect() as other:
        with engine.connect() as connection:
            number = connection.scalar(sa.text("SELECT CONNECTION_ID()"))
        other.execute(sa.text(f"KILL {number}"))
        with engine.connect() as connection:
            print("reconnect", connection.scalar(sa.select(4)))
    with engine.connect() as connection:
        print("built", connection.scalar(sa.select(namespaces.c.scheduled).where(namespaces.c.name == NAMESPACE)))


def django(port):
    from django.conf import settings
    settings.configure(USE_TZ=True, INSTALLED_APPS=[], DATABASES={"default": {
        "ENGINE": "django.db.backends.mysql", "NAME": "z4", "HOST": "127.0.0.1", "PORT": port, "USER": "root", "CONN_HEALTH_CHECKS": True}})
    import django
    django.setup()
    from django.core.management import call_command
    from django.db import connection, models, transaction
    from django.db.utils import Error

    def one(sql, values=None):
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchone()[0]

    print("connect", one("SELECT DATABASE()"))
    print("tables", *sorted(connection.introspection.table_names()))
    written = io.StringIO()
    call_command("inspectdb", stdout=written)
    models_found = re.findall(r"^class (\w+)\(models.Model\):\n((?:    \w.*\n)+)", written.getvalue(), re.MULTILINE)
    print("columns", *(line.split()[0] for line in dict(models_found)["Tasks"].splitlines() if " = models." in line))
    in_z4 = {"app_label": "z4", "managed": False}

    class Task(models.Model):
        id = models.CharField(primary_key=True, max_length=26)
        namespace = models.CharField(max_length=255)
        deliver_at = models.DateTimeField()
        last_retry = models.DateTimeField(null=True)
        payload = models.BinaryField()
        metadata = models.JSONField()
        Meta = type("Meta", (), {**in_z4, "db_table": "tasks"})

    class Namespace(models.Model):
        name = models.CharField(primary_key=True, max_length=255)
        scheduled = models.BigIntegerField()
        Meta = type("Meta", (), {**in_z4, "db_table": "namespaces"})

    utc = datetime.timezone.utc
    rows = Task.objects.filter(namespace=NAMESPACE, deliver_at__gte=SINCE.replace(tzinfo=utc), deliver_at__lt=UNTIL.replace(tzinfo=utc))
    first = rows.order_by("deliver_at").first()
    print("query", rows.count(), shown(first.payload), shown(first.last_retry))
    found = rows.filter(metadata__user_id="newuser@example.com").count()
    for name, expression, value in VALUES:
        print(name, shown(one(f"SELECT {expression.format('%s')}", [value])))
    with transaction.atomic():
        three = one("SELECT 3")
    print("transaction", three)
    try:
        list(Task.objects.all())
    except Error as error:
        print("error", error.args[0])
    number = one("SELECT CONNECTION_ID()")
    connection.copy().cursor().execute(f"KILL {number}")
    try:
        one("SELECT 1")
        print("a killed connection answers")
    except Error:
        connection.close_if_unusable_or_obsolete()
        print("reconnect", one("SELECT 4"))
    print("built", Namespace.objects.get(name=NAMESPACE).scheduled, found)


def pandas(port):
    import pandas
    import sqlalchemy as sa
    engine = sa.create_engine(f"mysql+pymysql://root@127.0.0.1:{port}/z4")
    tasks = ("SELECT payload, deliver_at, attempts, last_retry FROM tasks WHERE namespace = %(name)s AND deliver_at >= %(since)s AND "
             "deliver_at < %(until)s ORDER BY deliver_at")
    frame = pandas.read_sql(tasks, engine, params={"name": NAMESPACE, "since": SINCE, "until": UNTIL})
    print("query", len(frame), frame.payload[0].hex(), "NULL" if frame.last_retry.isna().all() else "a time")
    print("columns", *pandas.read_sql("SELECT * FROM tasks LIMIT 1", engine).columns)
    print("built", pandas.read_sql_table("namespaces", engine).scheduled[0])
    print("types", frame.deliver_at.dtype.kind, frame.attempts.dtype.kind)


def main():
    warnings.simplefilter("ignore")
    client, port = sys.argv[1], int(sys.argv[2])
    if client.startswith("SQLAlchemy over "):
        sqlalchemy(client.split()[-1], port)
    elif client == "Django":
        django(port)
    elif client == "pandas":
        pandas(port)
    else:
        sys.exit(f"there is no client {client!r}")


if __name__ == "__main__":
    main()
