"""dlt-altertable, unmodified, against the server in SERVER_URL: the dispositions that its documentation lists, its own verification,
and what it reads back. Needs Python 3.12; see docs/testing.md.
"""

import datetime
import decimal
import json
import os
import tempfile
from urllib.parse import urlsplit

# Nothing is sent anywhere but to the server.
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
import requests
from dlt_altertable import altertable, altertable_adapter, altertable_partition, verify_catalog, verify_load

SERVER = urlsplit(os.environ["SERVER_URL"])
OPTIONS = {
    "host": SERVER.hostname,
    "port": SERVER.port,
    "tls": False,
    "catalog": "my_catalog",
    "username": os.environ["SERVER_USER"],
    "password": os.environ["SERVER_PASSWORD"],
}
FOLDER = tempfile.mkdtemp()
UTC = datetime.timezone.utc


def pipeline(name, **options):
    return dlt.pipeline(
        pipeline_name=name, destination=altertable(**OPTIONS, **options), dataset_name=name, pipelines_dir=FOLDER
    )


def sql(statement):
    """Rows of a statement, as the server sends them."""
    credentials = (OPTIONS["username"], OPTIONS["password"])
    answer = requests.post(f"{os.environ['SERVER_URL']}/query", json={"statement": statement}, auth=credentials)
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert isinstance(lines[1], list), lines[1]
    return lines[2:]


def load(target, data, **options):
    target.run(data, **options)
    problems = verify_load(target)
    assert problems == [], problems


def plain_dispositions():
    target = pipeline("plain")
    rows = [{"id": 1, "name": "Ann", "extra": {"a": [1, 2]}}, {"id": 2, "name": "it's; \\ \"x\"\n", "extra": None}]
    load(target, rows, table_name="appended", write_disposition="append")
    load(target, [{"id": 3, "name": "Cy", "more": 1.5}], table_name="appended", write_disposition="append")
    assert sql("SELECT id, name, more FROM my_catalog.plain.appended ORDER BY id") == [
        [1, "Ann", None],
        [2, "it's; \\ \"x\"\n", None],
        [3, "Cy", 1.5],
    ]
    load(target, rows, table_name="replaced", write_disposition="replace")
    load(target, rows[:1], table_name="replaced", write_disposition="replace")
    assert sql("SELECT id FROM my_catalog.plain.replaced") == [[1]]
    read = target.dataset().appended.select("id", "name").order_by("id").limit(2).fetchall()
    assert read == [(1, "Ann"), (2, "it's; \\ \"x\"\n")], read
    assert target.dataset().appended.arrow().num_rows == 3


def types():
    moment = datetime.datetime(2024, 1, 15, 10, 30, 0, 250000, tzinfo=UTC)
    rows = [
        {
            "id": 2**53 + 1,
            "amount": decimal.Decimal("10.500"),
            "at": moment,
            "day": datetime.date(2024, 2, 29),
            "clock": datetime.time(1, 2, 3),
            "raw": b"\x00\xff",
            "ok": True,
            "score": 0.1,
            "document": {"a": [1, None, "x"]},
        }
    ]
    target = pipeline("types")
    columns = {"document": {"data_type": "json"}}
    load(target, dlt.resource(rows, name="all_types", columns=columns), write_disposition="append")
    found = sql("SELECT id, amount, day, clock, ok, score FROM my_catalog.types.all_types")
    assert found[0][0] == 2**53 + 1 and found[0][2:] == ["2024-02-29", "01:02:03", True, 0.1], found
    read = target.dataset().all_types.select("id", "amount", "at", "raw").fetchall()[0]
    assert read[0] == 2**53 + 1 and read[1] == decimal.Decimal("10.5") and read[2] == moment and read[3] == b"\x00\xff", read


def flat_merge():
    def contacts(*rows):
        columns = {"changed": {"dedup_sort": "desc"}}
        return dlt.resource(list(rows), name="contacts", write_disposition="merge", primary_key="id", columns=columns)

    target = pipeline("flat")
    load(target, contacts({"id": 1, "email": "a@x", "changed": 100}, {"id": 2, "email": "b@x", "changed": 100}))
    # An older row loses, a newer one wins, a new one comes in; of two in one load the newest counts.
    later = [{"id": 1, "email": "old", "changed": 50}, {"id": 2, "email": "new", "changed": 101}]
    load(target, contacts(*later, {"id": 3, "email": "c1", "changed": 1}, {"id": 3, "email": "c2", "changed": 2}))
    found = sql("SELECT id, email, changed FROM my_catalog.flat.contacts ORDER BY id")
    assert found == [[1, "a@x", 100], [2, "new", 101], [3, "c2", 2]], found


def nested_merge():
    def orders(*rows):
        columns = {"deleted": {"hard_delete": True, "data_type": "bool"}}
        return dlt.resource(list(rows), name="orders", write_disposition="merge", primary_key="id", columns=columns)

    target = pipeline("nested", naming_convention="snake_case", max_table_nesting=None)
    lines = [{"sku": "a", "count": 1}, {"sku": "b", "count": 2}]
    load(target, orders({"id": 1, "who": "Ann", "lines": lines, "deleted": False}, {"id": 2, "who": "Bea", "lines": lines, "deleted": False}))
    assert sql("SELECT count(*) FROM my_catalog.nested.orders__lines") == [[4]]
    changed = {"id": 1, "who": "Anna", "lines": [{"sku": "c", "count": 3}], "deleted": False}
    load(target, orders(changed, {"id": 2, "who": "Bea", "lines": [], "deleted": True}, {"id": 3, "who": "Cy", "lines": lines[:1], "deleted": False}))
    assert sql("SELECT id, who FROM my_catalog.nested.orders ORDER BY id") == [[1, "Anna"], [3, "Cy"]]
    assert sql("SELECT sku, count FROM my_catalog.nested.orders__lines ORDER BY sku") == [["a", 1], ["c", 3]]
    staging = sql("SELECT schema_name FROM information_schema.schemata WHERE catalog_name = 'my_catalog' AND schema_name LIKE '%staging%'")
    assert staging == [], staging


def layout_and_comments():
    columns = {"id": {"description": "Order's id", "data_type": "bigint"}, "day": {"data_type": "date"}}
    rows = [{"id": 1, "day": datetime.date(2024, 1, 1)}, {"id": 2, "day": datetime.date(2024, 2, 1)}]
    resource = dlt.resource(rows, name="laid_out", columns=columns, write_disposition="append")
    resource = altertable_adapter(resource, partition=[altertable_partition.month("day"), altertable_partition.bucket(4, "id")])
    target = pipeline("laid")
    load(target, resource)
    comments = sql("SELECT column_comment FROM information_schema.columns WHERE table_schema = 'laid' AND table_name = 'laid_out' AND column_name = 'id'")
    assert comments == [["Order's id"]], comments


def state_and_refresh():
    @dlt.resource(name="numbers", write_disposition="append")
    def numbers(last=dlt.sources.incremental("n", initial_value=0)):
        yield [{"n": n} for n in range(last.last_value + 1, last.last_value + 4)]

    load(pipeline("stated"), numbers())
    # Another machine: what was loaded is known from the destination alone.
    fresh = dlt.pipeline(
        pipeline_name="stated", destination=altertable(**OPTIONS, allow_destructive_refresh=True), dataset_name="stated", pipelines_dir=tempfile.mkdtemp()
    )
    load(fresh, numbers())
    assert sql("SELECT count(*), max(n) FROM my_catalog.stated.numbers") == [[6, 6]]
    load(fresh, numbers(), refresh="drop_resources")
    assert sql("SELECT count(*), max(n) FROM my_catalog.stated.numbers") == [[3, 3]]


assert verify_catalog(**OPTIONS) == []
assert verify_catalog(**{**OPTIONS, "catalog": "missing"}) != []
plain_dispositions()
types()
flat_merge()
nested_merge()
layout_and_comments()
state_and_refresh()
print("all good")
