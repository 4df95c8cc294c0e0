"""What a user of definite-sdk runs: a table is made, streamed into, and read back, with nothing changed but the URL."""

import os

import requests
from definite_sdk.client import DefiniteClient

API_KEY = os.environ["API_KEY"]
API_URL = os.environ["SERVER_URL"]

client = DefiniteClient(API_KEY, api_url=API_URL)
sql_client = client.get_sql_client()

sql_client.execute("CREATE SCHEMA IF NOT EXISTS LAKE.sdk")
made = sql_client.execute("CREATE TABLE LAKE.sdk.inventory (sku VARCHAR, qty INTEGER, price DECIMAL(8,2), seen TIMESTAMP, extra JSON)")
assert made["success"] and made["columns"] == [] and made["data"] == [], made

rows = [
    {"sku": "A-1", "qty": 4, "price": 9.5, "seen": "2024-01-15T10:30:00Z", "extra": {"tags": ["x"]}},
    {"sku": "B-7", "qty": None},
]
config = {"table": "LAKE.SDK.inventory", "mode": "merge", "primary_key": ["sku"], "wait": True}
answer = requests.post(
    API_URL + "/v2/stream",
    json={"data": rows, "config": config},
    headers={"Authorization": f"Bearer {API_KEY}"},
    timeout=30,
)
answer.raise_for_status()
assert answer.json()["successful_rows"] == 2, answer.text

result = sql_client.execute("SELECT * FROM lake.sdk.INVENTORY ORDER BY sku")
assert result["columns"] == ["sku", "qty", "price", "seen", "extra"], result
first, second = result["data"]
assert first == {
    "sku": "A-1", "qty": 4, "price": 9.5, "seen": "2024-01-15T10:30:00", "extra": '{"tags":["x"]}',
}, first
assert second == {"sku": "B-7", "qty": None, "price": None, "seen": None, "extra": None}, second

inserted = sql_client.execute("INSERT INTO LAKE.sdk.inventory (sku, qty) VALUES ('C-2', 1), ('D-3', 2)")
assert inserted["data"] == [{"Count": 2}], inserted
total = sql_client.execute("SELECT COUNT(*) FROM LAKE.sdk.inventory WHERE qty IS NOT NULL", integration_id="LAKE")
assert list(total["data"][0].values()) == [3], total
names = sql_client.execute("SELECT table_schema, table_name FROM information_schema.tables WHERE table_catalog = 'LAKE' AND table_schema = 'sdk'")
assert names["data"] == [{"table_schema": "sdk", "table_name": "inventory"}], names

# A base URL that ends in a slash doubles it.
assert DefiniteClient(API_KEY, api_url=API_URL + "/").get_sql_client().execute("SELECT 1 AS one")["data"] == [{"one": 1}]

for sql, status, words in (
    ("SELECT * FROM LAKE.sdk.nowhere", 400, "does not exist"),
    ("SELEC 1", 400, "Parser Error"),
    ("", 422, "sql"),
):
    try:
        sql_client.execute(sql)
    except requests.HTTPError as error:
        assert error.response.status_code == status and words in error.response.json()["message"], error.response.text
    else:
        raise AssertionError(f"{sql!r} was accepted")
try:
    DefiniteClient("wrong", api_url=API_URL).get_sql_client().execute("SELECT 1")
except requests.HTTPError as error:
    assert error.response.status_code == 401, error.response.text
else:
    raise AssertionError("a wrong key was accepted")

print("all good")
