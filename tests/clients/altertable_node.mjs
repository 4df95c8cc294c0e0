// The published JavaScript client, as it comes from the registry, against the server in SERVER_URL. Its entry point is missing from
// the package, so it is imported by path. Its query() expects plain column names where the service sends objects: it says so, and the
// reply is read with its other parts.

import { strict as assert } from "node:assert";
import { randomUUID } from "node:crypto";
import { pathToFileURL } from "node:url";

const entry = `${process.env.NODE_PACKAGES}/@altertable/lakehouse/dist/src/index.js`;
const { AltertableLakehouseClient, ApiError, AuthError, BadRequestError, ParseError } = await import(pathToFileURL(entry));

const options = {
  baseUrl: process.env.SERVER_URL + "/",
  username: process.env.SERVER_USER,
  password: process.env.SERVER_PASSWORD,
  userAgentSuffix: "tests",
};
const client = new AltertableLakehouseClient(options);
const table = { catalog: "my_catalog", schema: "public", table: "node_events" };

// append: one row, several, one that does not fit.
const one = await client.append({ ...table, body: { event: "signup", user_id: 1, tags: ["a", { b: 1 }] } });
assert.equal(one.ok, true, JSON.stringify(one));
assert.match(one.task_id, /^[0-9a-f-]{36}$/);
const several = await client.append({ ...table, body: [{ event: "login", user_id: 2 }, { event: "login", user_id: 3 }] });
assert.equal(several.ok, true);
const refused = await client.append({ ...table, body: { user_id: "no number" } });
assert.deepEqual([refused.ok, refused.error_code, refused.task_id], [false, "incompatible-schema", null]);

// upsert: the modes its types name, from text, bytes and a Blob, without any content type of its own.
const users = { catalog: "my_catalog", schema: "public", table: "node_users" };
await client.upsert({ ...users, mode: "create" }, "id,name\n1,Ann\n2,Bob\n");
await client.upsert({ ...users, mode: "append" }, new TextEncoder().encode("id,name\n3,Cy\n"));
await client.upsert({ ...users, mode: "upsert", primary_key: "id" }, new Blob(['[{"id": 2, "name": "Bea"}, {"id": 4, "name": "Dan"}]']));
await assert.rejects(client.upsert({ ...users, mode: "create" }, "id\n1\n"), (error) => error instanceof ApiError || error instanceof BadRequestError);
const logs = { catalog: "my_catalog", schema: "public", table: "node_logs" };
await client.upsert({ ...logs, mode: "overwrite" }, '{"a": 1}\n{"a": 2}\n');
await client.upsert({ ...logs, mode: "overwrite" }, '{"a": 3}\n');

// query and queryAll: what the client makes of columns as objects.
const id = randomUUID();
const statement = "SELECT id, name FROM my_catalog.public.node_users ORDER BY id";
for (const ask of [() => client.query({ statement, query_id: id }), () => client.queryAll({ statement })]) {
  await assert.rejects(ask, (error) => error instanceof ParseError && error.lineIndex === 1 && error.rawLine.includes('"name":"id"'));
}
const response = await client.request({ operation: "query", method: "POST", path: "/query", body: { statement, limit: 3 } });
const [metadata, columns, ...rows] = (await response.text()).trim().split("\n").map((line) => JSON.parse(line));
assert.equal(metadata.statement, statement);
assert.deepEqual(columns, [{ name: "id", type: "BIGINT" }, { name: "name", type: "VARCHAR" }]);
assert.deepEqual(rows, [[1, "Ann"], [2, "Bea"], [3, "Cy"]]);

// getQuery and cancelQuery.
const logged = await client.getQuery(id);
assert.deepEqual([logged.uuid, logged.query, logged.client_interface, logged.error ?? null], [id, statement, "HttpQuery", null]);
assert.match(logged.user_agent, /^altertable-lakehouse-js\/0\.2\.2 tests$/);
const running = { statement: "SELECT count(*) FROM range(1000000) AS a(n), range(1000000) AS b(n) WHERE (a.n * 7 + b.n) % 11 = 5", query_id: randomUUID(), session_id: randomUUID() };
const pending = await client.request({ operation: "query", method: "POST", path: "/query", body: running });
const cancelled = await client.cancelQuery(running.query_id, running.session_id);
assert.equal(cancelled.cancelled, true, JSON.stringify(cancelled));
assert.match((await pending.text()).trim().split("\n").at(-1), /cancelled/i);
assert.equal((await client.cancelQuery(running.query_id, "another")).cancelled, false);

// validate.
const valid = await client.validate({ statement });
assert.deepEqual([valid.valid, valid.statement, valid.connections_errors], [true, statement, {}]);
const wrong = await client.validate({ statement: "SELECT * FROM nowhere" });
assert.ok(!wrong.valid && wrong.error.includes("nowhere"), JSON.stringify(wrong));

// Errors.
await assert.rejects(new AltertableLakehouseClient({ ...options, password: "wrong" }).validate({ statement }), AuthError);
await assert.rejects(client.validate({}), BadRequestError);
await assert.rejects(client.getQuery(randomUUID()), (error) => error instanceof ApiError && error.statusCode === 404);

console.log("all good");
