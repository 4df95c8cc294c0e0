"""TPC-H and ClickBench data as Parquet files, any scale, the same every time: by DuckDB, from hashes of row numbers.

Not dbgen's data: columns have its types, ranges and dependencies, but other values. ClickBench's table has the columns that its queries
read. `python generate.py FOLDER --tpch 1 --hits 5000000`
"""

import argparse
import pathlib

import duckdb

NATIONS = """ALGERIA 0,ARGENTINA 1,BRAZIL 1,CANADA 1,EGYPT 4,ETHIOPIA 0,FRANCE 3,GERMANY 3,INDIA 2,INDONESIA 2,IRAN 4,IRAQ 4,JAPAN 2,
JORDAN 4,KENYA 0,MOROCCO 0,MOZAMBIQUE 0,PERU 1,CHINA 2,ROMANIA 3,SAUDI ARABIA 4,VIETNAM 2,RUSSIA 3,UNITED KINGDOM 3,UNITED STATES 1"""
COLORS = "almond antique aquamarine azure beige bisque black blue blush brown coral cream cyan forest frosted green honeydew ivory lace lemon"


def texts(words):
    return "[" + ", ".join(f"'{word}'" for word in words) + "]"


def pick(words, *key):
    words = list(words)
    return f"{texts(words)}[1 + {number(len(words), *key)}]"


def number(below, *key):
    """A whole number from 0 to below - 1, as SQL over the row's key and a salt.

    All in one number: DuckDB combines the hashes of several so that those of one row depend on each other."""
    whole, *rest = key
    for part in rest:
        whole = f"({whole} * 1000 + {part})"
    return f"(hash({whole}) % {below})::BIGINT"


def comment(key):
    return f"concat_ws(' ', {', '.join(pick(COLORS.split(), key, salt) for salt in (90, 91, 92))})"


def money(low, high, *key):
    """DECIMAL(15,2) between two amounts of cents."""
    return f"((({low} + {number(high - low, *key)}) / 100.0)::DECIMAL(15,2))"


def tpch(con, scale):
    """The eight tables, as name and query."""
    suppliers, parts = max(10, int(10_000 * scale)), max(40, int(200_000 * scale))
    customers, orders = max(30, int(150_000 * scale)), max(300, int(1_500_000 * scale))
    nations = [nation.strip().rsplit(" ", 1) for nation in NATIONS.replace("\n", "").split(",")]
    rows = ", ".join(f"({i}, '{name}', {region}, 'nation {i}')" for i, (name, region) in enumerate(nations))
    types = f"{pick('STANDARD SMALL MEDIUM LARGE ECONOMY PROMO'.split(), 'i', 1)} || ' ' || " \
            f"{pick('ANODIZED BURNISHED PLATED POLISHED BRUSHED'.split(), 'i', 2)} || ' ' || {pick('TIN NICKEL BRASS STEEL COPPER'.split(), 'i', 3)}"
    containers = f"{pick('SM LG MED JUMBO WRAP'.split(), 'i', 4)} || ' ' || {pick('CASE BOX BAG JAR PKG PACK CAN DRUM'.split(), 'i', 5)}"
    name = " || ' ' || ".join(pick(COLORS.split(), "i", salt) for salt in (6, 7, 8))
    phone = lambda salt: f"format('{{}}-{{:03d}}-{{:03d}}-{{:04d}}', nation + 10, 100 + {number(900, 'i', salt)}, " \
                         f"100 + {number(900, 'i', salt + 1)}, 1000 + {number(9000, 'i', salt + 2)})"
    supplier_of = f"(p + (k * ({suppliers} // 4 + (p - 1) // {suppliers}))) % {suppliers} + 1"
    con.execute(f"""CREATE TEMP TABLE raw_lines AS SELECT o, line, DATE '1992-01-01' + {number(2406, 'o', 20)}::INTEGER AS ordered,
        1 + {number(parts, 'o', 'line', 21)} AS p, {number(4, 'o', 'line', 22)} AS k, 1 + {number(50, 'o', 'line', 23)} AS quantity
        FROM range(1, {orders + 1}) t(o), range(1, 8) u(line) WHERE line <= 1 + {number(7, 'o', 24)}""")
    retail = "(90000 + (p // 10) % 20001 + 100 * (p % 1000))"
    con.execute(f"""CREATE TEMP TABLE lines AS SELECT *, ordered + (1 + {number(121, 'o', 'line', 25)})::INTEGER AS shipped,
        ordered + (30 + {number(61, 'o', 'line', 26)})::INTEGER AS committed, (quantity * {retail} / 100.0)::DECIMAL(15,2) AS price,
        ({number(11, 'o', 'line', 27)} / 100.0)::DECIMAL(15,2) AS discount, ({number(9, 'o', 'line', 28)} / 100.0)::DECIMAL(15,2) AS tax,
        FROM raw_lines""")
    return {
        "region": "SELECT * FROM (VALUES (0, 'AFRICA', 'r'), (1, 'AMERICA', 'r'), (2, 'ASIA', 'r'), (3, 'EUROPE', 'r'), "
                  "(4, 'MIDDLE EAST', 'r')) t(r_regionkey, r_name, r_comment)",
        "nation": f"SELECT * FROM (VALUES {rows}) t(n_nationkey, n_name, n_regionkey, n_comment)",
        "supplier": f"""SELECT i::INTEGER AS s_suppkey, format('Supplier#{{:09d}}', i) AS s_name, 'address ' || hash(i * 1000 + 9) % 100000 AS s_address,
            nation::INTEGER AS s_nationkey, {phone(10)} AS s_phone, {money(-99_999, 999_999, 'i', 13)} AS s_acctbal,
            CASE WHEN i % 7 = 3 THEN 'Customer slow Complaints' ELSE {comment('i')} END AS s_comment
            FROM (SELECT i, {number(25, 'i', 14)} AS nation FROM range(1, {suppliers + 1}) t(i))""",
        "part": f"""SELECT i::INTEGER AS p_partkey, {name} AS p_name, 'Manufacturer#' || (brand // 5 + 1) AS p_mfgr,
            'Brand#' || (brand // 5 + 1) || (brand % 5 + 1) AS p_brand, {types} AS p_type, (1 + {number(50, 'i', 15)})::INTEGER AS p_size,
            {containers} AS p_container, ((90000 + (i // 10) % 20001 + 100 * (i % 1000)) / 100.0)::DECIMAL(15,2) AS p_retailprice,
            {comment('i')} AS p_comment FROM (SELECT i, {number(25, 'i', 16)} AS brand FROM range(1, {parts + 1}) t(i))""",
        "partsupp": f"""SELECT p::INTEGER AS ps_partkey, ({supplier_of})::INTEGER AS ps_suppkey,
            (1 + {number(9999, 'p', 'k', 17)})::INTEGER AS ps_availqty, {money(100, 100_000, 'p', 'k', 18)} AS ps_supplycost,
            {comment('p')} AS ps_comment FROM range(1, {parts + 1}) t(p), range(4) u(k)""",
        "customer": f"""SELECT i::INTEGER AS c_custkey, format('Customer#{{:09d}}', i) AS c_name, 'address ' || hash(i * 1000 + 30) % 100000 AS c_address,
            nation::INTEGER AS c_nationkey, {phone(31)} AS c_phone, {money(-99_999, 999_999, 'i', 34)} AS c_acctbal,
            {pick('AUTOMOBILE BUILDING FURNITURE MACHINERY HOUSEHOLD'.split(), 'i', 35)} AS c_mktsegment, {comment('i')} AS c_comment
            FROM (SELECT i, {number(25, 'i', 36)} AS nation FROM range(1, {customers + 1}) t(i))""",
        "orders": f"""SELECT o::INTEGER AS o_orderkey, (1 + {number(customers, 'o', 40)} // 3 * 3 % {customers})::INTEGER AS o_custkey,
            CASE WHEN max(shipped) <= DATE '1995-06-17' THEN 'F' WHEN min(shipped) > DATE '1995-06-17' THEN 'O' ELSE 'P' END AS o_orderstatus,
            sum(price * (1 + tax) * (1 - discount))::DECIMAL(15,2) AS o_totalprice, any_value(ordered) AS o_orderdate,
            {pick(['1-URGENT', '2-HIGH', '3-MEDIUM', '4-NOT SPECIFIED', '5-LOW'], 'o', 41)} AS o_orderpriority,
            format('Clerk#{{:09d}}', {number(1000, 'o', 42)}) AS o_clerk, 0 AS o_shippriority,
            CASE WHEN hash(o * 1000 + 43) % 20 = 0 THEN 'some special packed requests' ELSE {comment('o')} END AS o_comment
            FROM lines GROUP BY o ORDER BY o""",
        "lineitem": f"""SELECT o::INTEGER AS l_orderkey, p::INTEGER AS l_partkey, ({supplier_of})::INTEGER AS l_suppkey,
            line::INTEGER AS l_linenumber, quantity::DECIMAL(15,2) AS l_quantity, price AS l_extendedprice, discount AS l_discount,
            tax AS l_tax, CASE WHEN shipped + (1 + {number(30, 'o', 'line', 50)})::INTEGER > DATE '1995-06-17' THEN 'N'
              ELSE {pick('RA', 'o', 'line', 51)} END AS l_returnflag,
            CASE WHEN shipped > DATE '1995-06-17' THEN 'O' ELSE 'F' END AS l_linestatus, shipped AS l_shipdate, committed AS l_commitdate,
            shipped + (1 + {number(30, 'o', 'line', 50)})::INTEGER AS l_receiptdate,
            {pick(['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'], 'o', 'line', 52)} AS l_shipinstruct,
            {pick(['REG AIR', 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB', 'AIR REG'], 'o', 'line', 53)} AS l_shipmode,
            {comment('o')} AS l_comment FROM lines ORDER BY o, line""",
    }


def hits(rows):
    """ClickBench's table: few of many values are frequent, most texts are empty."""
    skewed = lambda n, salt: f"(pow({number(1_000_000, 'i', salt)} / 1e6, 4) * {n})::BIGINT"
    searched = f"hash(i * 1000 + 1) % 8 = 0"
    return f"""SELECT hash(i * 1000 + 2)::HUGEINT % 9223372036854775807 AS w, i, (hash(i * 1000 + 2) >> 1)::BIGINT AS WatchID,
        CASE WHEN hash(i * 1000 + 3) % 5 = 0 THEN '' WHEN hash(i * 1000 + 3) % 50 = 1 THEN 'Google page ' || {skewed(1000, 4)}
          ELSE 'Title of page ' || {skewed(20_000, 4)} END AS Title,
        TIMESTAMP '2013-07-01 00:00:00' + to_seconds((i * 31 % 2592000)::INTEGER) AS EventTime,
        (TIMESTAMP '2013-07-01 00:00:00' + to_seconds((i * 31 % 2592000)::INTEGER))::DATE AS EventDate,
        CASE WHEN hash(i * 1000 + 5) % 10 = 0 THEN 62 ELSE {skewed(6000, 6)} END::INTEGER AS CounterID, {skewed(2_000_000, 7)}::INTEGER AS ClientIP,
        {skewed(5000, 8)}::INTEGER AS RegionID, CASE WHEN i % 400000 = 7 THEN 435090932899640449 ELSE (hash({skewed(900_000, 9)}) >> 1)::BIGINT END AS UserID,
        CASE WHEN hash(i * 1000 + 10) % 100 = 0 THEN 'http://www.google.com/q=' || {skewed(5000, 11)} ELSE 'http://site' || {skewed(3000, 12)} || '.ru/page/'
          || {skewed(60_000, 13)} END AS URL,
        CASE WHEN hash(i * 1000 + 14) % 4 = 0 THEN '' ELSE 'https://www.ref' || {skewed(40, 15)} || '.com/path/' || {skewed(50_000, 16)} END AS Referer,
        (hash(i * 1000 + 17) % 10 = 0)::SMALLINT AS IsRefresh, {number(9, 'i', 18)}::SMALLINT - 1 AS TraficSourceID,
        {pick([1024, 1280, 1366, 1440, 1600, 1920, 0], 'i', 19)}::SMALLINT AS ResolutionWidth, {number(2000, 'i', 20)}::SMALLINT AS WindowClientWidth,
        {number(1200, 'i', 21)}::SMALLINT AS WindowClientHeight, {skewed(100, 22)}::SMALLINT AS MobilePhone,
        CASE WHEN hash(i * 1000 + 23) % 12 = 0 THEN 'Phone ' || {skewed(160, 24)} ELSE '' END AS MobilePhoneModel,
        CASE WHEN {searched} THEN {number(20, 'i', 25)} ELSE 0 END::SMALLINT AS SearchEngineID,
        CASE WHEN {searched} THEN 'search for ' || {skewed(300_000, 26)} ELSE '' END AS SearchPhrase,
        CASE WHEN hash(i * 1000 + 27) % 40 = 0 THEN {number(30, 'i', 28)} ELSE 0 END::SMALLINT AS AdvEngineID, (hash(i * 1000 + 29) % 6 = 0)::SMALLINT AS IsLink,
        (hash(i * 1000 + 30) % 60 = 0)::SMALLINT AS IsDownload, (hash(i * 1000 + 31) % 30 = 0)::SMALLINT AS DontCountHits,
        CASE WHEN hash(i * 1000 + 32) % 20 = 0 THEN 2868770270353813622 ELSE (hash(i % 5000 * 1000 + 33) >> 1)::BIGINT END AS URLHash,
        CASE WHEN hash(i * 1000 + 34) % 20 = 0 THEN 3594120000172545465 ELSE (hash(i % 7000 * 1000 + 35) >> 1)::BIGINT END AS RefererHash
        FROM range({rows}) t(i)"""


def tables(con, scale, rows):
    """Makes them in a DuckDB connection."""
    for name, query in tpch(con, scale).items():
        con.execute(f"CREATE TABLE {name} AS {query}")
    con.execute(f"CREATE TABLE hits AS SELECT * EXCLUDE (w, i) FROM ({hits(rows)})")
    con.execute("DROP TABLE raw_lines; DROP TABLE lines")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--tpch", type=float, default=1)
    parser.add_argument("--hits", type=int, default=5_000_000)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    con = duckdb.connect()
    tables(con, arguments.tpch, arguments.hits)
    for (name,) in con.execute("SELECT table_name FROM duckdb_tables() WHERE NOT temporary").fetchall():
        con.execute(f"COPY {name} TO '{arguments.folder}/{name}.parquet' (FORMAT parquet, COMPRESSION zstd)")


if __name__ == "__main__":
    main()
