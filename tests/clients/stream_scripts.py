"""What a user of the stream API runs: httpx as on its page, compressed, and requests in its usual forms."""

import gzip
import json
import os

import httpx
import requests
import zstandard

API_KEY = os.environ["API_KEY"]
API_URL = os.environ["SERVER_URL"] + "/v2/stream"
AUTHORIZATION = {"Authorization": f"Bearer {API_KEY}"}


def push(table, rows):
    payload = {"data": rows, "config": {"table": table, "mode": "append"}}
    response = httpx.post(API_URL, json=payload, headers=AUTHORIZATION, timeout=30.0)
    response.raise_for_status()
    return response.json()


def upsert(table, rows, primary_key):
    payload = {"data": rows, "config": {"table": table, "mode": "merge", "primary_key": [primary_key]}}
    response = httpx.post(API_URL, json=payload, headers=AUTHORIZATION, timeout=30.0)
    response.raise_for_status()
    return response.json()


def push_compressed(table, rows, encoding, compress):
    payload = json.dumps({"data": rows, "config": {"table": table, "mode": "append"}}).encode("utf-8")
    headers = {**AUTHORIZATION, "Content-Type": "application/json", "Content-Encoding": encoding}
    response = httpx.post(API_URL, content=compress(payload), headers=headers, timeout=30.0)
    response.raise_for_status()
    return response.json()


def zstd_stream(data):
    # The streaming compressor writes frames that do not say how long they are.
    compressor = zstandard.ZstdCompressor().compressobj()
    return compressor.compress(data) + compressor.flush()


result = push(
    "bronze.events",
    [
        {"event_type": "page_view", "user_id": "123", "timestamp": "2024-01-15T10:30:00Z"},
        {"event_type": "click", "user_id": "123", "timestamp": "2024-01-15T10:31:00Z"},
    ],
)
assert result["successful_rows"] == 2 and result["table"] == "bronze.events", result

# Rows with the same id are replaced as a whole, new ones inserted.
upsert("bronze.customers", [{"id": 1, "name": "Al"}, {"id": 2, "name": "Bob", "email": "bob@example.com"}], "id")
result = upsert(
    "bronze.customers",
    [
        {"id": 1, "name": "Alice", "email": "alice@new.com"},
        {"id": 2, "name": "Bob"},
        {"id": 3, "name": "Cy", "email": "cy@example.com"},
    ],
    primary_key="id",
)
assert (result["success"], result["successful_rows"], result["errors"]) == (True, 3, []), result

many = [{"event_type": "bulk", "user_id": str(i)} for i in range(1000)]
assert push_compressed("bronze.events", many, "gzip", gzip.compress)["successful_rows"] == 1000
assert push_compressed("bronze.events", many, "zstd", zstd_stream)["accepted"] == 1000

session = requests.Session()
session.headers.update(AUTHORIZATION)
envelope = {"data": {"event_type": "one", "user_id": 7}, "config": {"table": "LAKE.bronze.events", "wait": True}}
answer = session.post(API_URL, json=envelope, timeout=30)
answer.raise_for_status()
assert isinstance(answer.json()["snapshot_id"], int), answer.text


def lines():
    for i in range(3):
        yield (json.dumps({"event_type": "generated", "user_id": i}) + "\n").encode()


answer = session.post(
    API_URL, params={"table": "bronze.events"}, data=lines(), headers={"Content-Type": "application/x-ndjson"}, timeout=30
)
assert answer.status_code == 200 and answer.json()["successful_rows"] == 3, answer.text

answer = session.post(
    API_URL,
    json={"data": [{"amount": 1.5}, {"amount": "x"}, {"amount": 2}], "config": {"table": "bronze.events"}},
    timeout=30,
)
body = answer.json()
assert (body["successful_rows"], body["rejected_rows"], len(body["errors"])) == (2, 1, 1), body

for bad, status in (
    ({"data": [], "config": {"table": "bronze.nowhere"}}, 404),
    ({"data": [{}], "config": {"table": "bronze.events", "mode": "merge"}}, 422),
    ({"config": {"table": "bronze.events"}}, 400),
):
    answer = session.post(API_URL, json=bad, timeout=30)
    assert answer.status_code == status and answer.json()["message"], (answer.status_code, answer.text)
assert requests.post(API_URL, json=envelope, headers={"Authorization": "Bearer wrong"}, timeout=30).status_code == 401
hand_made = '{"data": {"amount": NaN, "event_type": "nan"}, "config": {"table": "bronze.customers"}}'
assert session.post(API_URL, data=hand_made, headers={"Content-Type": "application/json"}, timeout=30).status_code == 200

print("all good")
