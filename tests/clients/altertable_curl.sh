# The documented curl lines for append, tasks and query, with the host swapped. Ends with the task's state on a line of its own.

append() {
    curl -sS --fail-with-body "$SERVER_URL/append?catalog=my_catalog&schema=public&table=$1" \
        -H "Authorization: Basic $ALTERTABLE_BASIC_AUTH_TOKEN" \
        -d "$2"
    echo
}

append users '{"name": "Alice", "age": 30, "email": "alice@example.com"}'
append users '[
{ "name": "Bob", "age": 25 },
{ "name": "Charlie", "age": 35, "email": "charlie@example.com" }
]'
append events '{"event": "signup", "user_id": 123, "timestamp": "2025-12-30T10:00:00Z"}'
append events '[
{"event": "signup", "user_id": 123, "timestamp": "2025-12-30T10:00:00Z"},
{"event": "login", "user_id": 456, "timestamp": "2025-12-30T10:01:00Z"}
]'
# A later append brings a column.
append people '{"name": "Alice", "age": 30}'
append people '{"name": "Bob", "age": 25, "email": "bob@example.com"}'

curl -sS --fail-with-body "$SERVER_URL/query" \
    -H "Authorization: Basic $ALTERTABLE_BASIC_AUTH_TOKEN" \
    -d '{
"statement": "CREATE TABLE my_catalog.main.events (event VARCHAR, user_id VARCHAR, created_at TIMESTAMP);"
}'
curl -sS --fail-with-body "$SERVER_URL/append?catalog=product_analytics&schema=main&table=events&sync=true" \
    -H "Authorization: Basic $ALTERTABLE_BASIC_AUTH_TOKEN" \
    -d '[{"event": "signup"}, {"event": "signup"}, {"event": "login"}]'
echo
curl -sS --fail-with-body "$SERVER_URL/query" \
    -H "Authorization: Basic $ALTERTABLE_BASIC_AUTH_TOKEN" \
    -d '{
"statement": "SELECT event, COUNT(*) AS count FROM product_analytics.main.events GROUP BY event"
}'

task=$(append users '{"name": "Dora"}' | sed 's/.*"task_id" *: *"\([^"]*\)".*/\1/')
curl -sS --fail-with-body "$SERVER_URL/tasks/$task" \
    -H "Authorization: Basic $ALTERTABLE_BASIC_AUTH_TOKEN"
echo
