"""Clients that go on when they are told to wait: httpx-retry against a key that may send one request per second, and a batch merged by httpx."""

import json
import os
import time

import httpx
from httpx_retry import RetryPolicy, RetryTransport

API_KEY = os.environ["API_KEY"]
API_URL = os.environ["SERVER_URL"] + "/v2/stream"
HEADERS = {"Authorization": f"Bearer {API_KEY}"}


def envelope(name):
    return {
        "data": [{"id": 1, "name": name}],
        "config": {"table": "bronze.customers", "mode": "merge", "primary_key": ["id"], "wait": True},
    }


waits = []


def note(response):
    if response.status_code == 429:
        assert response.read() and json.loads(response.content)["code"] == "rate_limited", response.text
        waits.append(int(response.headers["retry-after"]))


transport = RetryTransport(policy=RetryPolicy(max_retries=8, initial_delay=0.3, multiplier=1.5, retry_on=[429, 500, 502, 503, 504]))
started = time.monotonic()
with httpx.Client(transport=transport, headers=HEADERS, timeout=30) as client:
    for n in range(4):
        answer = client.post(API_URL, json=envelope(f"name {n}"))
        assert answer.status_code == 200 and answer.json()["successful_rows"] == 1, answer.text
assert time.monotonic() - started > 0.9, "two at once, then two per second"

with httpx.Client(headers=HEADERS, timeout=30, event_hooks={"response": [note]}) as client:
    for _ in range(6):
        client.post(API_URL, json=envelope("hurried"))
assert waits and min(waits) >= 1, waits
print("all good")
