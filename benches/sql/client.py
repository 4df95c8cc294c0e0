"""A server's API as the SQL benchmark and the comparison with DuckDB need it: the standard library is enough."""

import base64
import decimal
import json
import urllib.parse
import urllib.request


class Client:
    def __init__(self, url, user_and_password):
        self.url = url
        token = base64.b64encode(user_and_password.encode()).decode()
        self.headers = {"Authorization": f"Basic {token}"}

    def _post(self, path, body):
        request = urllib.request.Request(self.url + path, body, self.headers)
        return urllib.request.urlopen(request, timeout=3600)

    def upload(self, table, path):
        """Makes a table of a Parquet file."""
        parameters = {"catalog": "LAKE", "schema": "main", "table": table, "mode": "create", "format": "parquet"}
        with open(path, "rb") as file:
            reply = json.load(self._post("/upload?" + urllib.parse.urlencode(parameters), file.read()))
        return reply

    def query(self, sql):
        """Columns and rows; numbers with a point are decimals, so that none loses digits."""
        lines = self._post("/query", json.dumps({"statement": sql}).encode()).read().splitlines()
        parsed = [json.loads(line, parse_float=decimal.Decimal) for line in lines]
        for line in parsed[1:]:
            if isinstance(line, dict):
                raise RuntimeError(f"{line['error']}\n{sql}")
        return parsed[1], parsed[2:]
