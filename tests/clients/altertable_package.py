"""The published lakehouse client, used as its README shows, against the server in SERVER_URL."""

import os
import uuid

from altertable_lakehouse import Client
from altertable_lakehouse.errors import AuthError, BadRequestError, QueryError
from altertable_lakehouse.models import AutocompleteRequest, QueryRequest, SessionKind, TaskStatus, ValidateRequest

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

parquet = client.query_parquet(QueryRequest(statement="SELECT event FROM my_catalog.public.package_events"))
assert parquet[:4] == b"PAR1" and parquet[-4:] == b"PAR1", parquet[:8]

# The log of queries, and a session whose transaction spans requests.
query_id, session_id = str(uuid.uuid4()), str(uuid.uuid4())
begin = "BEGIN; INSERT INTO package_events (event) VALUES ('in session')"
inside = {"catalog": "my_catalog", "schema": "public", "session_id": session_id}
client.query_all(QueryRequest(statement=begin, query_id=query_id, requested_by="tests", **inside))
logged = client.get_query(query_id)
assert (logged.uuid, logged.query, logged.session_id) == (query_id, begin, session_id), logged
assert logged.client_interface == SessionKind.HTTP_QUERY and logged.error is None and logged.end_time, logged
assert logged.duration_ms >= 0 and logged.visible and logged.requested_by == "tests" and logged.user_agent, logged
counting = QueryRequest(statement="SELECT count(*) FROM package_events WHERE event = 'in session'", **inside)
assert client.query_all(counting).rows == [[1]]
client.query_all(QueryRequest(statement="ROLLBACK", **inside))
assert client.query_all(counting).rows == [[0]]

finished = client.cancel_query(query_id, session_id)
assert finished.cancelled and "finished" in finished.message, finished
assert not client.cancel_query(query_id, "another").cancelled
running = str(uuid.uuid4())
endless = "SELECT count(*) FROM range(1000000) AS a(n), range(1000000) AS b(n) WHERE (a.n * 7 + b.n) % 11 = 5"
with client._client.stream(
    "POST", "/query", json={"statement": endless, "query_id": running, "session_id": session_id}
) as response:
    lines = response.iter_lines()
    assert running in next(lines)
    assert client.get_query(running).end_time is None
    assert client.cancel_query(running, session_id).cancelled
    assert "cancelled" in list(lines)[-1]
assert "cancelled" in client.get_query(running).error

assert client.validate(ValidateRequest(statement="SELECT event FROM my_catalog.public.package_events")).valid
wrong = client.validate(ValidateRequest(statement="SELECT * FROM non_existent_table"))
assert not wrong.valid and "non_existent_table" in wrong.error and wrong.connections_errors == {}, wrong
typed = AutocompleteRequest(statement="SELECT * FROM package_ev", catalog="my_catalog", schema="public", max_suggestions=5)
completed = client.autocomplete(typed)
assert completed.statement == typed.statement and len(completed.suggestions) <= 5, completed
best = completed.suggestions[0]
assert (best.suggestion, best.suggestion_type, best.suggestion_start) == ("package_events", "table", 14), best
assert client.autocomplete(AutocompleteRequest(statement="SEL")).suggestions[0].suggestion.strip() == "SELECT"

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
