"""TPC-H and ClickBench through the server, on plain DataFusion in memory, and on DuckDB: one table of times.

    python3 -m venv target/duckdb && target/duckdb/bin/pip install duckdb==1.4.5
    target/duckdb/bin/python benches/sql/run.py

makes the data (TPC-H at scale 1, five million hits) once, builds in release mode, starts a server on an empty directory, loads the
Parquet files through /upload, runs each query three times on each of the three, one after the other, and keeps the fastest run.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import duckdb
import generate
import workloads
from client import Client

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUNS = 3


def fastest(run):
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        run()
        times.append((time.perf_counter() - started) * 1000)
    return min(times)


def data(folder, scale, hits):
    marker = folder / f"made-{scale}-{hits}"
    if not marker.exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, ROOT / "benches/sql/generate.py", folder, "--tpch", str(scale), "--hits", str(hits)], check=True)
        marker.touch()


def siltstone(binary, folder, port):
    """Times of the loads and of each query, in milliseconds."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as directory:
        server = subprocess.Popen([binary, "serve", "--data", directory, "--listen", f"127.0.0.1:{port}", "--user", "bench:bench"],
                                  stdout=subprocess.PIPE)
        try:
            server.stdout.readline()
            client, times = Client(f"http://127.0.0.1:{port}", "bench:bench"), {}
            started = time.perf_counter()
            for table in sum(workloads.TABLES.values(), []):
                client.upload(table, folder / f"{table}.parquet")
            print(f"loaded through /upload in {time.perf_counter() - started:.1f} s", flush=True)
            for workload in workloads.TABLES:
                for name, sql in workloads.queries(workload):
                    times[workload, name] = fastest(lambda: client.query(sql))
            return times
        finally:
            server.terminate()
            server.wait()


def memtable(binary, folder):
    times = {}
    for workload, tables in workloads.TABLES.items():
        with tempfile.TemporaryDirectory(dir=folder.parent) as only:
            for table in tables:
                pathlib.Path(only, f"{table}.parquet").symlink_to(folder / f"{table}.parquet")
            printed = subprocess.run([binary, only, ROOT / f"benches/sql/{workload}.sql"], check=True, stdout=subprocess.PIPE, text=True)
        for line in printed.stdout.splitlines():
            name, milliseconds = line.split()
            times[workload, name] = float(milliseconds)
    return times


def duck(folder):
    con, times = duckdb.connect(), {}
    for table in sum(workloads.TABLES.values(), []):
        con.execute(f"CREATE TABLE {table} AS FROM '{folder}/{table}.parquet'")
    for workload in workloads.TABLES:
        for name, sql in workloads.queries(workload):
            times[workload, name] = fastest(lambda: con.execute(sql).fetchall())
    return times


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "target" / "sql-bench")
    parser.add_argument("--tpch", type=float, default=1)
    parser.add_argument("--hits", type=int, default=5_000_000)
    parser.add_argument("--port", type=int, default=18790)
    parser.add_argument("--binaries", type=pathlib.Path, help="folder of siltstone and siltstone-memtable; built if it is not given")
    arguments = parser.parse_args()
    binaries = arguments.binaries
    if binaries is None:
        subprocess.run(["cargo", "build", "--release", "--bin", "siltstone", "--bin", "siltstone-memtable", "--workspace"], cwd=ROOT, check=True)
        binaries = ROOT / "target" / "release"
    folder = arguments.folder.resolve()
    data(folder, arguments.tpch, arguments.hits)
    engines = {
        "siltstone": siltstone(binaries / "siltstone", folder, arguments.port),
        "memtable": memtable(binaries / "siltstone-memtable", folder),
        "duckdb": duck(folder),
    }
    print(f"{'milliseconds':>16}" + "".join(f"{engine:>12}" for engine in engines))
    for workload in workloads.TABLES:
        for name, _ in workloads.queries(workload):
            print(f"{workload + ' ' + name:>16}" + "".join(f"{times[workload, name]:12.1f}" for times in engines.values()))
        totals = [sum(ms for (of, _), ms in times.items() if of == workload) for times in engines.values()]
        print(f"{workload + ' total':>16}" + "".join(f"{total:12.1f}" for total in totals))


if __name__ == "__main__":
    main()
