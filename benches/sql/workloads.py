"""The queries of the two workloads beside this file, and their tables."""

import pathlib
import re

TABLES = {
    "tpch": ["region", "nation", "supplier", "part", "partsupp", "customer", "orders", "lineitem"],
    "clickbench": ["hits"],
}


def queries(workload):
    """Name and SQL of each query, in order."""
    text = pathlib.Path(__file__).with_name(f"{workload}.sql").read_text()
    parts = re.split(r"^-- (q\d+)\n", text, flags=re.MULTILINE)[1:]
    return [(name, sql.strip()) for name, sql in zip(parts[::2], parts[1::2])]
