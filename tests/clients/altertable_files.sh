# The documented curl lines for files, with the host swapped. The folder has users.csv, events.json and updates.parquet.

cd "$FILES"

curl -sS --fail-with-body "$SERVER_URL/upsert?catalog=my_catalog&schema=public&table=users&mode=create" \
-H "Authorization: Basic $ALTERTABLE_BASIC_AUTH_TOKEN" \
--data-binary @users.csv
echo
curl -sS --fail-with-body "$SERVER_URL/upsert?catalog=my_catalog&schema=public&table=events&mode=append" \
-H "Authorization: Basic $ALTERTABLE_BASIC_AUTH_TOKEN" \
--data-binary @events.json
echo
curl -sS --fail-with-body "$SERVER_URL/upsert?catalog=my_catalog&schema=public&table=users&primary_key=id" \
-H "Authorization: Basic $ALTERTABLE_BASIC_AUTH_TOKEN" \
--data-binary @updates.parquet
echo
