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

curl -sS --fail-with-body "$SERVER_URL/validate" \
    -H "Authorization: Basic $ALTERTABLE_BASIC_AUTH_TOKEN" \
    -d '{"statement": "SELECT * FROM non_existent_table"}' | grep -q '"valid":false'
curl -sS --fail-with-body "$SERVER_URL/autocomplete" \
    -H "Authorization: Basic $ALTERTABLE_BASIC_AUTH_TOKEN" \
    -d '{
"statement": "SELECT ma",
"catalog": "my_catalog",
"schema": "public",
"max_suggestions": 20
}' | grep -q '"suggestion":"max"'
query=019d68d4-c4cb-7e40-ad50-fd4b68c2045e
curl -sS --fail-with-body "$SERVER_URL/query" \
    -H "Authorization: Basic $ALTERTABLE_BASIC_AUTH_TOKEN" \
    -d '{"statement": "SELECT 1", "query_id": "'$query'", "session_id": "pasted"}' > /dev/null
curl -sS --fail-with-body "$SERVER_URL/query/$query" \
    -H "Authorization: Basic $ALTERTABLE_BASIC_AUTH_TOKEN" | grep -q '"client_interface":"HttpQuery"'
curl -sS --fail-with-body -X DELETE "$SERVER_URL/query/$query?session_id=pasted" \
    -H "Authorization: Basic $ALTERTABLE_BASIC_AUTH_TOKEN" | grep -q '"cancelled":true'

task=$(append users '{"name": "Dora"}' | sed 's/.*"task_id" *: *"\([^"]*\)".*/\1/')
curl -sS --fail-with-body "$SERVER_URL/tasks/$task" \
    -H "Authorization: Basic $ALTERTABLE_BASIC_AUTH_TOKEN"
echo
