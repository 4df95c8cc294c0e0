"""TPC-H's and ClickBench's queries give DuckDB's answers: the same small data in both, all rows compared.

Rows beyond a LIMIT among equals are anybody's choice, so each query runs without its LIMIT, and rows are compared as multisets; with it,
only their number is.
"""

import collections
import datetime
import decimal
import os
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benches" / "sql"))

import duckdb  # noqa: E402
import generate  # noqa: E402
import workloads  # noqa: E402
from client import Client  # noqa: E402

LIMIT = re.compile(r"\s+LIMIT \d+( OFFSET \d+)?$")


def cell(value):
    """A value in a form that both sides share: numbers with nine significant digits, times as ISO text."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float, decimal.Decimal)):
        return f"{float(value):.9g}"
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    raise TypeError(type(value))


def multiset(rows):
    return collections.Counter(tuple(cell(value) for value in row) for row in rows)


def main():
    client = Client(os.environ["SERVER_URL"], f"{os.environ['SERVER_USER']}:{os.environ['SERVER_PASSWORD']}")
    con = duckdb.connect()
    generate.tables(con, 0.01, 50_000)
    with tempfile.TemporaryDirectory() as folder:
        for table in sum(workloads.TABLES.values(), []):
            path = f"{folder}/{table}.parquet"
            con.execute(f"COPY {table} TO '{path}' (FORMAT parquet)")
            client.upload(table, path)
    compared = with_rows = 0
    for workload in workloads.TABLES:
        for name, sql in workloads.queries(workload):
            # The table is a hundredth of what the query expects.
            sql = sql.replace("COUNT(*) > 100000", "COUNT(*) > 100")
            whole = LIMIT.sub("", sql)
            expected, (_, found) = con.execute(whole).fetchall(), client.query(whole)
            missing = multiset(expected) - multiset(found)
            surplus = multiset(found) - multiset(expected)
            assert not missing and not surplus, f"{workload} {name}: missing {missing}, surplus {surplus}"
            if whole != sql:
                expected, (_, found) = con.execute(sql).fetchall(), client.query(sql)
                assert len(expected) == len(found), f"{workload} {name}: {len(expected)} and {len(found)} rows"
            compared += 1
            with_rows += bool(expected)
    assert compared == 22 + 43, compared
    print(f"{compared} queries, {with_rows} of them with rows: all good")


if __name__ == "__main__":
    main()
