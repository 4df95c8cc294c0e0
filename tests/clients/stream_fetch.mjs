// What a user of Node's fetch sends: JSON as it is, gzip by hand, lines as a stream, a merge, and a refusal.

import { strict as assert } from "node:assert";
import { gzipSync } from "node:zlib";

const url = process.env.SERVER_URL + "/v2/stream";
const authorization = { Authorization: `Bearer ${process.env.API_KEY}` };

async function post(path, body, headers, options = {}) {
  const response = await fetch(path, { method: "POST", body, headers: { ...authorization, ...headers }, ...options });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

const json = { "Content-Type": "application/json" };
const rows = [
  { event_type: "page_view", user_id: "123", timestamp: new Date(Date.UTC(2024, 0, 15, 10, 30)) },
  { event_type: "purchase", user_id: "123", amount: 99.99 },
];
const envelope = (data, config = {}) => JSON.stringify({ data, config: { table: "bronze.events", ...config } });

const plain = await post(url, envelope(rows), json);
assert.equal(plain.status, 200, JSON.stringify(plain.body));
assert.equal(plain.body.successful_rows, 2);

const zipped = await post(url, gzipSync(envelope(rows, { wait: true })), { ...json, "Content-Encoding": "gzip" });
assert.equal(zipped.body.successful_rows, 2);
assert.ok(Number.isSafeInteger(zipped.body.snapshot_id));

const lines = new ReadableStream({
  start(controller) {
    for (const row of rows) controller.enqueue(new TextEncoder().encode(JSON.stringify(row) + "\n"));
    controller.close();
  },
});
const streamed = await post(url + "?table=bronze.events", lines, { "Content-Type": "application/x-ndjson" }, { duplex: "half" });
assert.equal(streamed.body.successful_rows, 2, JSON.stringify(streamed.body));

const customers = { table: "bronze.customers", mode: "merge", primary_key: ["id"] };
for (const name of ["Ann", "Anna"]) {
  const merged = await post(url, envelope([{ id: 77, name }], customers), { ...json, "Idempotency-Key": `customer-77-${name}` });
  assert.equal(merged.status, 200, JSON.stringify(merged.body));
}
const replayed = await post(url, envelope([{ id: 77, name: "Anna" }], customers), { ...json, "Idempotency-Key": "customer-77-Anna" });
assert.equal(replayed.headers.get("idempotent-replayed"), "true");

const refused = await post(url, envelope([{ id: 1 }, { id: "1" }], customers), json);
assert.equal(refused.status, 422);
assert.equal(refused.body.code, "duplicate_primary_key");

console.log("all good");
