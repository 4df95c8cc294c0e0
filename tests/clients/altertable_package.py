"""The published lakehouse client, used as its README shows, against the server in SERVER_URL."""

import os

from altertable_lakehouse import Client
from altertable_lakehouse.errors import AuthError, BadRequestError, QueryError
from altertable_lakehouse.models import QueryRequest, TaskStatus

url = os.environ["SERVER_URL"]
client = Client(base_url=url, username=os.environ["SERVER_USER"], password=os.environ["SERVER_PASSWORD"])
where = {"catalog": "my_catalog", "schema": "public", "table": "package_events"}

one = client.append(**where, data={"event": "signup", "user_id": 123, "timestamp": "2025-12-30T10:00:00Z"})
assert one.ok and one.error_code is None and one.error_message is None, one
many = client.append(
    **where,
    data=[
        {"event": "login", "user_id": 456, "timestamp": "2025-12-30T10:01:00Z"},
        {"event": "login", "user_id": 9007199254740993, "tags": ["a", {"b": 1}]},
    ],
)
assert many.ok and many.task_id != one.task_id, many
synced = client.append(**where, data={"event": "logout", "amount": 1.5}, sync=True)
assert synced.ok, synced
assert client.append(**where, data=[], sync=False).ok

for answer in (one, many, synced):
    task = client.get_task(answer.task_id)
    assert task.task_id == answer.task_id and task.status == TaskStatus.COMPLETED, task

refused = client.append(**where, data={"user_id": "not a number"})
assert not refused.ok and refused.error_code == "incompatible-schema" and refused.task_id is None, refused
nowhere = client.append("nowhere", "public", "t", {"a": 1})
assert not nowhere.ok and nowhere.error_code == "invalid-data", nowhere

statement = "SELECT event, COUNT(*) AS count FROM package_events GROUP BY event ORDER BY event"
metadata, columns, rows = client.query(QueryRequest(statement=statement, catalog="my_catalog", schema="public"))
assert metadata.values["statement"] == statement, metadata
assert columns == [{"name": "event", "type": "VARCHAR"}, {"name": "count", "type": "BIGINT"}], columns
assert list(rows) == [["login", 2], ["logout", 1], ["signup", 1]]

result = client.query_all(
    QueryRequest(
        statement="SELECT user_id, timestamp, tags FROM my_catalog.public.package_events WHERE event = 'login' ORDER BY user_id",
        compute_size="S",
        requested_by="tests",
    )
)
assert [column["type"] for column in result.columns] == ["BIGINT", "TIMESTAMP", "JSON"], result.columns
assert result.rows == [[456, "2025-12-30T10:01:00", None], [9007199254740993, None, ["a", {"b": 1}]]], result.rows
assert client.query_all(QueryRequest(statement="SELECT 1 AS a WHERE false")).rows == []
assert len(client.query_all(QueryRequest(statement="SELECT event FROM my_catalog.public.package_events", limit=3)).rows) == 3

try:
    client.query_all(QueryRequest(statement="SELECT * FROM does_not_exist"))
    raise SystemExit("a missing table did not fail")
except QueryError as error:
    assert "does_not_exist" in str(error), error
try:
    client.get_task("not-a-uuid")
    raise SystemExit("a malformed task id did not fail")
except BadRequestError as error:
    assert str(error), error
try:
    Client(base_url=url, username="tester", password="wrong").query_all(QueryRequest(statement="SELECT 1"))
    raise SystemExit("a wrong password did not fail")
except AuthError:
    pass

print("all good")
