"""TPC-H's 22 queries and ClickBench's 43 on Siltstone, DuckDB, and DataFusion over memory: right answers, and time.

    cargo build --release -p siltstone && cargo build --release -p siltstone-benches --example memtable
    python3 -m venv /tmp/analytics && /tmp/analytics/bin/pip install -r benches/analytics/requirements.txt
    /tmp/analytics/bin/python benches/analytics/run.py --work /tmp/analytics-data

Tables are generated once as Parquet under --work, and loaded into a fresh server through POST /upload. Every query runs RUNS times; the
table shows the fastest run of each engine. Rows are compared with DuckDB's, floats to nine digits.
"""

import argparse
import base64
import datetime
import decimal
import http.client
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.parse

import duckdb

HERE = pathlib.Path(__file__).parent
CREDENTIALS = "Basic " + base64.b64encode(b"bench:bench").decode()
TPCH = ["nation", "region", "supplier", "customer", "part", "partsupp", "orders", "lineitem"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder for generated data")
    parser.add_argument("--target", type=pathlib.Path, default=pathlib.Path("target/release"), help="where the binaries are")
    parser.add_argument("--scale", type=float, default=1, help="TPC-H scale factor")
    parser.add_argument("--hits", type=int, default=5_000_000, help="rows of ClickBench's table")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--suite", choices=["tpch", "clickbench"], action="append")
    args = parser.parse_args()
    wrong = 0
    for suite in args.suite or ["tpch", "clickbench"]:
        folder = args.work / (f"tpch-{args.scale:g}" if suite == "tpch" else f"hits-{args.hits}")
        if not folder.exists():
            generate(suite, folder, args)
        wrong += compare(suite, folder, args)
    sys.exit(1 if wrong else 0)


def generate(suite, folder, args):
    """Writes a suite's tables as Parquet; the same arguments give the same rows."""
    draft = folder.with_name(folder.name + ".draft")
    draft.mkdir(parents=True, exist_ok=True)
    if suite == "tpch":
        tool = pathlib.Path(sys.executable).parent / "tpchgen-cli"
        subprocess.run([tool, "parquet", "-s", f"{args.scale:g}", f"--output-dir={draft}"], check=True)
    else:
        database = duckdb.connect()
        database.execute("CREATE MACRO h(x, n) AS (hash(x, n) >> 1)::BIGINT")
        query = (HERE / "hits.sql").read_text().replace("$rows", str(args.hits))
        database.execute(f"COPY ({query}) TO '{draft}/hits.parquet' (FORMAT parquet, COMPRESSION zstd)")
    draft.rename(folder)


def statements(path):
    code = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("--"))
    return [part.strip().rstrip(";") for part in code.split(";\n") if part.strip()]


class Siltstone:
    """A server process of its own on a fresh data directory."""

    def __init__(self, binary, data):
        self.process = subprocess.Popen(
            [binary, "serve", "--data", data, "--listen", "127.0.0.1:0", "--user", "bench:bench"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.process.stdout:
            if "listening on" in line:
                self.address = line.split("http://")[-1].split()[0].rstrip("/")
                break
        else:
            raise SystemExit("the server did not start")

    def request(self, path, body):
        connection = http.client.HTTPConnection(self.address, timeout=600)
        connection.request("POST", path, body, {"Authorization": CREDENTIALS})
        response = connection.getresponse()
        return response.status, response.read()

    def upload(self, schema, path):
        query = urllib.parse.urlencode({"catalog": "LAKE", "schema": schema, "table": path.stem, "mode": "create"})
        with path.open("rb") as file:
            status, body = self.request(f"/upload?{query}", file)
        if status != 200:
            raise SystemExit(f"upload of {path}: {status} {body[:500]}")

    def query(self, schema, statement):
        """Columns' types and the rows."""
        status, body = self.request("/query", json.dumps({"statement": statement, "schema": schema}))
        lines = body.split(b"\n")
        if status != 200 or b'"error"' in lines[1][:9]:
            raise RuntimeError(body[-300:].decode())
        types = [column["type"] for column in json.loads(lines[1])]
        return types, [json.loads(line, parse_float=decimal.Decimal) for line in lines[2:] if line]

    def peak_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024

    def stop(self):
        self.process.terminate()
        self.process.wait()


def plain(value):
    """A value as both engines can say it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float, decimal.Decimal)):
        return None if isinstance(value, float) and not math.isfinite(value) else float(value)
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=None).isoformat()
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)


def same(left, right):
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    return left == right


def differs(ours, theirs):
    """What is different between two lists of rows; empty if nothing is."""
    if len(ours) != len(theirs):
        return f"{len(ours)} rows, DuckDB has {len(theirs)}"
    for number, (left, right) in enumerate(zip(ours, theirs)):
        left, right = [plain(value) for value in left], [plain(value) for value in right]
        if len(left) != len(right) or not all(same(a, b) for a, b in zip(left, right)):
            return f"row {number}: {left} but DuckDB has {right}"
    return ""


def timed(run, runs):
    best, result = math.inf, None
    for _ in range(runs):
        started = time.perf_counter()
        result = run()
        best = min(best, time.perf_counter() - started)
    return best, result


def compare(suite, folder, args):
    queries = statements(HERE / f"{suite}.sql")
    files = sorted(folder.glob("*.parquet"))
    with tempfile.TemporaryDirectory(dir=args.work) as data:
        server = Siltstone(args.target / "siltstone", data)
        try:
            started = time.perf_counter()
            for path in files:
                server.upload(suite, path)
            loaded = time.perf_counter() - started
            peak = server.peak_mib()
            ours = []
            for query in queries:
                try:
                    ours.append(timed(lambda: server.query(suite, query)[1], args.runs))
                except RuntimeError as error:
                    ours.append((math.nan, str(error)))
        finally:
            server.stop()
    database = duckdb.connect()
    database.execute(f"SET threads = {os.cpu_count()}")
    for path in files:
        database.execute(f"CREATE TABLE {path.stem} AS FROM '{path}'")
    theirs = [timed(lambda: database.execute(query).fetchall(), args.runs) for query in queries]
    database.close()
    command = [args.target / "examples" / "memtable", HERE / f"{suite}.sql", folder, str(args.runs)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    memory = [min(json.loads(line)) for line in output.splitlines()]

    size = sum(path.stat().st_size for path in files) / 1e6
    print(f"\n## {suite}: {size:.0f} MB of Parquet loaded in {loaded:.1f} s, server at {peak:.0f} MiB at most by then\n")
    print("| query | Siltstone ms | DataFusion in memory ms | DuckDB ms | answer |\n|---|---|---|---|---|")
    wrong = 0
    for number, ((mine, rows), memtable, (duck, expected)) in enumerate(zip(ours, memory, theirs), 1):
        verdict = rows if isinstance(rows, str) else differs(rows, expected) or "same"
        wrong += verdict != "same"
        print(f"| {number} | {mine * 1000:.1f} | {memtable * 1000:.1f} | {duck * 1000:.1f} | {verdict} |")
    totals = [sum(entry[0] for entry in ours), sum(memory), sum(entry[0] for entry in theirs)]
    print(f"| all | {totals[0] * 1000:.0f} | {totals[1] * 1000:.0f} | {totals[2] * 1000:.0f} | {len(queries) - wrong} of {len(queries)} same |")
    return wrong


if __name__ == "__main__":
    main()
