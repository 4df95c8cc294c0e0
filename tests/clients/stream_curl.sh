# The documented curl lines of the stream API, with host and key swapped, and their compressed variants.

curl -sS --fail-with-body -X POST "$SERVER_URL/v2/stream" \
    -H "Authorization: Bearer $API_KEY" \
    -H "Content-Type: application/json" \
    -d '{
    "data": [
      {"event_type": "signup", "user_id": "456"},
      {"event_type": "purchase", "user_id": "456", "amount": 99.99}
    ],
    "config": {
      "table": "bronze.events",
      "mode": "append"
    }
  }'

for _ in first again; do
    curl -sS --fail-with-body -X POST "$SERVER_URL/v2/stream" \
        -H "Authorization: Bearer $API_KEY" \
        -H "Content-Type: application/json" \
        -d '{
    "data": [
      {"id": 1, "user_id": "u_42", "amount": 21.50},
      {"id": 2, "user_id": "u_77", "amount":  9.00}
    ],
    "config": {
      "table": "bronze.events",
      "mode": "merge",
      "primary_key": ["id"]
    }
  }'
done

rows='{"event_type": "page_view", "user_id": "123"}
{"event_type": "click", "user_id": "123"}
{"event_type": "purchase", "user_id": "123"}'

# -d @- removes the newlines on the way, --data-binary keeps them.
echo "$rows" |
    curl -sS --fail-with-body -X POST "$SERVER_URL/v2/stream?table=bronze.events" \
        -H "Authorization: Bearer $API_KEY" \
        -H "Content-Type: application/x-ndjson" \
        -d @-
echo "$rows" |
    curl -sS --fail-with-body -X POST "$SERVER_URL/v2/stream?table=bronze.events" \
        -H "Authorization: Bearer $API_KEY" \
        -H "Content-Type: application/x-ndjson" \
        --data-binary @-
echo "$rows" | gzip |
    curl -sS --fail-with-body -X POST --http2-prior-knowledge "$SERVER_URL/v2/stream?table=bronze.events" \
        -H "Authorization: Bearer $API_KEY" \
        -H "Content-Type: application/x-ndjson" \
        -H "Content-Encoding: gzip" \
        --data-binary @-
