"""The lakehouse package's ibis backend against the server in SERVER_URL: every expression here is also run by ibis's own DuckDB
backend on the same rows, and both must give the same names, types and rows.
"""

import collections
import datetime
import decimal
import os

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa
from altertable_lakehouse import Client
from altertable_lakehouse.models import QueryRequest
from ibis import _

# Both sides make these tables themselves, from the same text.
TABLES = [
    """CREATE TABLE events (id BIGINT, kind VARCHAR, user_id INTEGER, ts TIMESTAMP, day DATE, amount DOUBLE,
       price DECIMAL(12,3), ok BOOLEAN, tags VARCHAR[], place STRUCT(city VARCHAR, zip INTEGER), extra JSON, seen TIMESTAMPTZ)""",
    """INSERT INTO events VALUES
       (1, 'view', 10, '2024-01-15 10:30:00.25', '2024-01-15', 1.5, 10.500, true, ['a', 'b'], {'city': 'Oslo', 'zip': 150}, '{"a": {"b": 1}, "s": "x"}', '2024-01-15 10:30:00+00'),
       (2, 'view', 11, '2024-01-31 23:59:59', '2024-01-31', -2.25, 0.001, false, ['b'], {'city': 'Rome', 'zip': 186}, '{"a": {"b": 2}, "s": null}', '2024-01-31 23:59:59+00'),
       (3, 'buy', 10, '2024-02-29 00:00:00', '2024-02-29', 99.99, 99.990, true, [], {'city': 'Oslo', 'zip': NULL}, '[1, 2, 3]', '2024-02-29 00:00:00+00'),
       (4, 'buy', 12, '2024-03-10 12:00:00', '2024-03-10', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
       (5, NULL, NULL, NULL, NULL, 0.0, 7.000, true, ['c', NULL], {'city': NULL, 'zip': 1}, '{}', '2024-06-30 01:02:03+00'),
       (6, 'Refund', 12, '2023-12-31 06:07:08.123456', '2023-12-31', 250.0, 250.125, false, ['a', 'a'], {'city': 'Bern', 'zip': 3000}, '{"a": {}}', '2023-12-31 06:07:08+00'),
       (7, 'view', 10, '2024-07-04 18:45:30', '2024-07-04', 12.125, 12.125, true, ['z', 'b', 'a'], {'city': 'Oslo', 'zip': 151}, '"text"', '2024-07-04 18:45:30+00')""",
    "CREATE TABLE users (user_id INTEGER, name VARCHAR, joined DATE, score DOUBLE)",
    """INSERT INTO users VALUES (10, 'Ann Lee', '2023-01-01', 3.5), (11, ' bob ', '2023-06-15', -1.0), (13, 'Čeněk', '2024-01-01', NULL),
       (14, NULL, NULL, 0.25)""",
    "CREATE TABLE prices (kind VARCHAR, since TIMESTAMP, price INTEGER)",
    """INSERT INTO prices VALUES ('view', '2024-01-01 00:00:00', 1), ('view', '2024-01-20 00:00:00', 2), ('buy', '2024-02-01 00:00:00', 3),
       ('buy', '2024-03-10 12:00:00', 4)""",
]


def expressions(con):
    """Pairs of a name and an expression over the tables of a connection."""
    t, u, p = con.table("events"), con.table("users"), con.table("prices")
    once = t.filter(_.id == 1)

    # Whole tables, filters, projections.
    yield "table", t
    yield "filter", t.filter((_.amount > 1) & (_.kind == "view"))
    yield "filter or", t.filter((_.amount > 50) | _.ok.isnull())
    yield "filter isin", t.filter(_.kind.isin(["buy", "Refund"]))
    yield "filter notin", t.filter(_.kind.notin(["buy", "Refund"]))
    yield "filter isin subquery", t.filter(_.user_id.isin(u.user_id))
    yield "filter isin nothing", t.filter(_.kind.isin([]))
    yield "filter between", t.filter(_.id.between(2, 4))
    yield "filter between dates", t.filter(_.day.between("2024-01-20", "2024-03-01"))
    yield "filter timestamp", t.filter(_.ts >= ibis.timestamp("2024-02-01 00:00:00"))
    yield "filter null", t.filter(_.kind.isnull() | _.amount.notnull())
    yield "filter scalar subquery", t.filter(_.amount > t.amount.mean())
    yield "filter negated", t.filter(~_.ok)
    yield "filter startswith", t.filter(_.kind.startswith("v"))
    yield "select", t.select("id", "kind", double=_.amount * 2)
    yield "mutate", t.select("id", "amount").mutate(half=_.amount / 2, whole=_.id // 2, rest=_.id % 3)
    yield "drop", t.drop("extra", "tags", "place")
    yield "rename", u.rename(uid="user_id", who="name")
    yield "relocate", u.relocate("score")
    yield "literal columns", once.select(
        i=ibis.literal(1), f=ibis.literal(1.5), s=ibis.literal("it's"), b=ibis.literal(True),
        d=ibis.date("2024-05-06"), t=ibis.timestamp("2024-05-06 07:08:09"), dec=ibis.literal(decimal.Decimal("1.25")),
    )
    yield "casts", t.select(
        "id", s=_.id.cast("string"), f=_.id.cast("float64"), i=_.amount.cast("int64"), small=_.id.cast("int8"),
        d=_.ts.cast("date"), t=_.day.cast("timestamp"), dec=_.amount.cast("decimal(10, 2)"), b=_.id.cast("boolean"),
    )
    yield "try_cast", t.select("id", n=_.kind.try_cast("int64"), m=_.id.cast("string").try_cast("int32"))
    yield "limit and order", t.order_by(_.id.desc()).limit(3).select("id", "kind")
    yield "offset", t.order_by("id").limit(2, offset=3).select("id")
    yield "order nulls first", t.order_by(ibis.desc("amount", nulls_first=True), "id").select("id", "amount")
    yield "order by expression", t.order_by(t.amount.abs(), "id").select("id")
    yield "head", t.order_by("id").head(1).select("id", "ts", "seen")
    yield "distinct", t.select("kind").distinct()
    yield "distinct on", t.distinct(on="kind", keep="first").select("kind").order_by("kind")
    yield "dropna", u.drop_null(["name"])
    yield "fill_null", t.select("id", kind=_.kind.fill_null("?"), amount=_.amount.fill_null(0))
    yield "case", t.select(
        "id", size=ibis.cases((t.amount > 100, "big"), (t.amount > 1, "middle"), else_="small"),
    )
    yield "simple case", t.select("id", n=_.kind.cases(("view", 1), ("buy", 2), else_=0))
    yield "ifelse", t.select("id", x=(_.amount > 0).ifelse("plus", "minus"))
    yield "coalesce", t.select("id", x=ibis.coalesce(_.kind, "none"), y=_.amount.nullif(0))
    yield "greatest and least", t.select("id", g=ibis.greatest(_.id, 4), l=ibis.least(_.id, 4))
    yield "identical_to", t.select("id", x=_.kind.identical_to(ibis.null("string")))
    yield "booleans of booleans", t.select("id", x=(_.ok & (_.id > 1)) | ~_.ok, y=_.ok ^ (_.id > 2))

    # Numbers.
    yield "arithmetic", t.select(
        "id", a=_.amount + 1, b=_.amount - _.id, c=_.amount * _.amount, d=_.amount / 3, e=-_.amount, f=_.id**2,
    )
    yield "decimals", t.select("id", a=_.price + 1, b=_.price * 2, c=-_.price, d=_.price.round(1), e=_.price.cast("float64"))
    yield "rounding", t.select(
        "id", a=_.amount.round(), b=_.amount.round(1), c=_.amount.ceil(), d=_.amount.floor(), e=_.amount.abs(), f=_.amount.sign(),
    )
    yield "functions of numbers", t.filter(_.amount > 0).select(
        "id", a=_.amount.sqrt(), b=_.amount.ln(), c=_.amount.log2(), d=_.amount.log10(), e=_.amount.log(3), f=(_.amount / 100).exp(),
    )
    yield "trigonometry", t.select(
        "id", a=_.amount.sin(), b=_.amount.cos(), c=_.amount.tan(), d=_.amount.atan(), e=_.amount.degrees(), f=_.amount.radians(),
        g=_.amount.atan2(2), h=ibis.pi, i=(_.amount + 1000).cot(),
    )
    yield "clip", t.select("id", x=_.amount.clip(lower=0, upper=10))
    yield "bits", t.select("id", a=_.id & 3, b=_.id | 8, c=_.id ^ 1, d=_.id << 2, e=_.id >> 1, f=~_.id)
    yield "nan and inf", t.select("id", a=_.amount.isnan(), b=_.amount.isinf(), c=ibis.literal(float("inf")), d=ibis.literal(float("nan")).isnan())
    yield "division by zero", t.filter(_.id < 3).select("id", x=_.amount / 0)
    yield "buckets", t.select("id", x=_.amount.bucket([0, 10, 100]), y=_.amount.histogram(base=-3.0, binwidth=60.0))

    # Text.
    yield "case of text", u.select("user_id", a=_.name.upper(), b=_.name.lower(), c=_.name.capitalize(), d=_.name.length())
    yield "trims and pads", u.select(
        "user_id", a=_.name.strip(), b=_.name.lstrip(), c=_.name.rstrip(), d=_.name.lpad(8, "*"), e=_.name.rpad(8, "*"),
    )
    yield "parts of text", u.select(
        "user_id", a=_.name.substr(1, 3), c=_.name.left(2), d=_.name.right(2), e=_.name[1], f=_.name.reverse(),
    )
    yield "finding text", u.select(
        "user_id", a=_.name.find("e"), b=_.name.contains("e"), c=_.name.startswith("A"), d=_.name.endswith("e"),
    )
    yield "like", u.select("user_id", a=_.name.like("A%"), b=_.name.ilike("%LEE"), c=_.name.like(["A%", "%o%"]), d=_.name.rlike("^.[a-z]"))
    yield "replacing text", u.select("user_id", a=_.name.replace("e", "E"), b=_.name.re_replace("[aeiou]", "_"), c=_.name.translate("eb", "EB"))
    yield "patterns", u.select("user_id", a=_.name.re_search("e+"), b=_.name.re_extract("(.)e", 1), c=_.name.re_split(" "))
    yield "concatenation", u.select("user_id", a=_.name + "!", b=_.name.concat("-", "x"), c=_.name.repeat(2), d=ibis.literal("-").join([u.name, "z"]))
    yield "splits", u.select("user_id", a=_.name.split(" "), b=_.name.split(" ")[0], c=_.name.ascii_str(), d=ibis.literal("kitten").levenshtein("sitting"))
    yield "hashes", u.select("user_id", a=_.name.hexdigest("md5"), b=_.name.hexdigest("sha256"))

    # Dates and times.
    yield "parts of times", t.select(
        "id", y=_.ts.year(), m=_.ts.month(), d=_.ts.day(), h=_.ts.hour(), mi=_.ts.minute(), s=_.ts.second(), ms=_.ts.millisecond(),
        us=_.ts.microsecond(), q=_.ts.quarter(), w=_.ts.week_of_year(), doy=_.ts.day_of_year(), i=_.ts.iso_year(),
    )
    yield "parts of dates", t.select("id", y=_.day.year(), m=_.day.month(), d=_.day.day(), q=_.day.quarter(), w=_.day.week_of_year())
    yield "weekdays", t.select("id", a=_.ts.day_of_week.index(), b=_.ts.day_of_week.full_name(), c=_.day.day_of_week.index())
    yield "truncation", t.select(
        "id", y=_.ts.truncate("Y"), q=_.ts.truncate("Q"), m=_.ts.truncate("M"), w=_.ts.truncate("W"), d=_.ts.truncate("D"),
        h=_.ts.truncate("h"), mi=_.ts.truncate("m"), s=_.ts.truncate("s"), ms=_.ts.truncate("ms"),
    )
    yield "truncation of dates", t.select("id", y=_.day.truncate("Y"), m=_.day.truncate("M"), w=_.day.truncate("W"))
    yield "times from times", t.select("id", d=_.ts.date(), t=_.ts.time(), s=_.ts.strftime("%Y-%m"), u=_.day.strftime("%d/%m/%y"))
    yield "adding intervals", t.select(
        "id", a=_.ts + ibis.interval(days=1), b=_.ts - ibis.interval(hours=3), c=_.day + ibis.interval(months=1),
        d=_.ts + ibis.interval(years=1, months=2), e=_.day - ibis.interval(weeks=2),
    )
    yield "adding computed intervals", t.select("id", a=_.ts + _.id.as_interval("D"), b=_.day + _.id.as_interval("D"))
    yield "differences", t.select(
        "id", a=_.ts.delta(ibis.timestamp("2024-01-01 00:00:00"), unit="day"), b=_.ts.delta(ibis.timestamp("2024-01-01 00:00:00"), unit="hour"),
        c=_.day.delta(ibis.date("2024-01-01"), unit="month"),
    )
    yield "buckets of time", t.select("id", a=_.ts.bucket(minutes=15), b=_.ts.bucket(days=7), c=_.ts.bucket(hours=6, offset=ibis.interval(hours=1)))
    yield "made times", once.select(
        a=ibis.date(2024, 2, 3), b=ibis.timestamp(2024, 2, 3, 4, 5, 6), c=ibis.time(4, 5, 6),
        d=ibis.literal("2024-05-06").as_date("%Y-%m-%d"), e=ibis.literal("06.05.2024 07:08").as_timestamp("%d.%m.%Y %H:%M"),
        f=ibis.literal(1700000000).as_timestamp("s"),
    )
    yield "time comparisons", t.select("id", a=_.ts > _.day.cast("timestamp"), b=_.ts.between("2024-01-01", "2024-02-01"), c=_.day == "2024-02-29")
    yield "times with zones", t.select("id", a=_.seen.date(), b=_.seen.hour(), c=_.seen.truncate("D"), d=_.seen.strftime("%H:%M"))
    yield "last days", t.select("id", a=_.day.truncate("M") + ibis.interval(months=1) - ibis.interval(days=1))

    # Aggregates.
    yield "count", t.count().name("n").as_table()
    yield "count of rows", t.aggregate(n=_.count(), k=_.kind.count(), d=_.kind.nunique(), a=_.user_id.approx_nunique())
    yield "aggregates", t.aggregate(
        s=_.amount.sum(), m=_.amount.mean(), lo=_.amount.min(), hi=_.amount.max(), sd=_.amount.std(), v=_.amount.var(),
        sdp=_.amount.std(how="pop"), vp=_.amount.var(how="pop"),
    )
    yield "aggregates of whole numbers", t.aggregate(s=_.id.sum(), m=_.id.mean(), lo=_.id.min(), u=_.user_id.sum(), md=_.id.median())
    yield "aggregates of decimals", t.aggregate(s=_.price.sum(), m=_.price.mean(), lo=_.price.min())
    yield "aggregates of times", t.aggregate(lo=_.ts.min(), hi=_.day.max(), z=_.seen.max())
    yield "aggregates of text", t.aggregate(lo=_.kind.min(), hi=_.kind.max())
    yield "booleans", t.aggregate(a=_.ok.any(), b=_.ok.all(), s=_.ok.sum(), m=_.ok.mean(), n=(~_.ok).any())
    yield "filtered aggregates", t.aggregate(a=_.amount.sum(where=_.ok), b=_.count(where=_.kind == "view"), c=_.kind.nunique(where=_.id > 2))
    yield "quantiles", t.aggregate(a=_.amount.quantile(0.25), b=_.amount.median(), c=_.amount.quantile(0.9))
    yield "several quantiles", t.aggregate(a=_.amount.quantile([0.25, 0.5]))
    yield "group_concat", t.order_by("id").group_by("ok").aggregate(a=_.kind.group_concat(sep="|", order_by=_.id))
    yield "collect", t.group_by("ok").aggregate(a=_.kind.collect(order_by=_.id), b=_.id.collect(order_by=_.id.desc()))
    yield "first and last", t.group_by("user_id").aggregate(a=_.id.first(order_by=_.ts), b=_.id.last(order_by=_.ts))
    yield "arg", t.aggregate(a=_.kind.argmax(_.amount), b=_.id.argmin(_.amount), c=_.kind.arbitrary().isnull())
    yield "mode", t.aggregate(a=_.kind.mode())
    yield "correlation", t.aggregate(a=_.amount.corr(_.price.cast("float64"), how="pop"), b=_.amount.cov(_.id.cast("float64")), c=_.amount.cov(_.id.cast("float64"), how="pop"))
    yield "bit aggregates", t.aggregate(a=_.id.bit_and(), b=_.id.bit_or(), c=_.id.bit_xor())
    yield "group by", t.group_by("kind").aggregate(n=_.count(), s=_.amount.sum())
    yield "group by two", t.group_by("kind", "ok").aggregate(n=_.count()).order_by("kind", "ok")
    yield "group by expression", t.group_by(month=_.ts.truncate("M")).aggregate(n=_.count(), s=_.amount.sum())
    yield "group by text of time", t.group_by(m=_.ts.strftime("%Y-%m")).aggregate(n=_.count())
    yield "having", t.group_by("kind").having(_.count() > 1).aggregate(n=_.count())
    yield "filter after group", t.group_by("kind").aggregate(n=_.count()).filter(_.n > 1)
    yield "value_counts", t.kind.value_counts()
    yield "topk", t.kind.topk(1)
    yield "group_by mutate", t.select("id", "kind", "amount").group_by("kind").mutate(share=_.amount / _.amount.sum())
    yield "whole rows", t.select("kind", "ok").distinct().count().name("n").as_table()
    yield "describe", t.select("id", "amount", "kind").describe()
    yield "info", u.info()

    # Windows.
    w = ibis.window(group_by="kind", order_by="id")
    yield "row_number", t.select("id", a=ibis.row_number().over(order_by=t.id), b=ibis.row_number().over(w))
    yield "ranks", t.select(
        "id", a=ibis.rank().over(order_by=t.amount), b=ibis.dense_rank().over(order_by=t.kind), c=ibis.ntile(3).over(order_by=t.id),
        d=ibis.percent_rank().over(order_by=t.amount), e=ibis.cume_dist().over(order_by=t.amount),
    )
    yield "lag and lead", t.select("id", a=_.amount.lag().over(w), b=_.amount.lead(2, default=-1.0).over(w), c=_.id.lag(1).over(order_by=t.id))
    yield "running", t.select("id", a=_.amount.cumsum(order_by=_.id), b=_.amount.cummax(order_by=_.id), c=_.id.sum().over(ibis.cumulative_window(order_by=t.id)))
    yield "frames", t.select(
        "id", a=_.amount.sum().over(rows=(-1, 1), order_by=t.id), b=_.amount.mean().over(rows=(-2, 0), order_by=t.id),
        c=_.id.max().over(ibis.window(preceding=1, following=0, order_by=t.id)), d=_.id.count().over(range=(-2, 0), order_by=t.id),
    )
    yield "first and last value", t.select("id", a=_.amount.first().over(w), b=_.amount.last().over(w), c=_.id.nth(1).over(w))
    yield "window of aggregate", t.group_by("kind").aggregate(n=_.count()).mutate(share=_.n / _.n.sum())
    yield "filter by window", t.filter(ibis.row_number().over(ibis.window(group_by=t.kind, order_by=t.id.desc())) == 0).select("id", "kind")

    # Joins.
    yield "inner join", t.select("id", "user_id").join(u, "user_id")
    yield "left join", t.select("id", "user_id").left_join(u, "user_id")
    yield "right join", t.select("id", "user_id").right_join(u, "user_id")
    yield "outer join", t.select("id", "user_id").outer_join(u, "user_id")
    yield "semi join", t.select("id", "user_id").semi_join(u, "user_id")
    yield "anti join", t.select("id", "user_id").anti_join(u, "user_id")
    yield "cross join", t.select("id").cross_join(u.select("name"))
    yield "join on predicate", t.select("id", "user_id", "day").join(u, [t.user_id == u.user_id, t.day > u.joined])
    yield "join by inequality", t.select("id", "amount").inner_join(u.select("name", "score"), [_.amount < u.score])
    yield "self join", t.select("id", "kind").join(t.select("id", "kind").view(), "kind", rname="{name}_2")
    yield "join of aggregates", u.left_join(t.group_by("user_id").aggregate(n=_.count(), s=_.amount.sum()), "user_id").select("name", "n", "s")
    yield "three joins", t.select("id", "user_id", "kind").join(u.select("user_id", "name"), "user_id").join(p.group_by("kind").aggregate(top=_.price.max()), "kind")
    yield "exists", t.filter((u.user_id == t.user_id).any()).select("id")
    yield "not exists", t.filter(~(u.user_id == t.user_id).any()).select("id")

    # Sets.
    a, b = t.select("kind"), p.select("kind")
    yield "union", ibis.union(a, b)
    yield "union distinct", ibis.union(a, b, distinct=True)
    yield "intersect", ibis.intersect(a, b)
    yield "intersect all", ibis.intersect(a, b, distinct=False)
    yield "difference", ibis.difference(a, b)
    yield "difference all", ibis.difference(a, b, distinct=False)
    yield "union of three", ibis.union(a, b, a).group_by("kind").aggregate(n=_.count())

    # Arrays, structs, JSON.
    yield "arrays", t.select("id", n=_.tags.length(), first=_.tags[0], last=_.tags[-1], has=_.tags.contains("a"), where=_.tags.index("b"))
    yield "array functions", t.select(
        "id", a=_.tags.sort(), b=_.tags.unique().length(), c=_.tags + ["q"], e=_.tags[0:1], f=_.tags.remove("a"), g=_.tags.repeat(2),
    )
    yield "array sets", t.select("id", a=_.tags.union(["a"]).sort(), b=_.tags.intersect(["a", "b"]).sort())
    yield "array lambdas", t.select("id", a=_.tags.map(lambda x: x.upper()), b=_.tags.filter(lambda x: x != "a"))
    yield "array aggregates", once.select(
        a=ibis.array([1, 2, 3]).sums(), b=ibis.array([1, 2, 3]).means(), c=ibis.array([1, 2, 3]).maxs(), d=ibis.array([3, 1]).mins(),
        e=ibis.array([True, False]).anys(), f=ibis.array([True, False]).alls(), g=ibis.array(["x", "y", "x"]).modes(),
    )
    yield "made arrays", once.select(a=ibis.array([1, 2]), b=ibis.array([_.id, 7]), c=ibis.range(0, 5, 2), d=ibis.array(["x"]).concat(["y"]))
    yield "flatten and zip", once.select(a=ibis.array([[1], [2, 3]]).flatten(), b=ibis.array([1, 2]).zip(ibis.array(["a", "b"])))
    yield "unnest", t.select("id", tag=_.tags.unnest())
    yield "structs", t.select("id", city=_.place.city, zip=_.place["zip"])
    yield "filter by struct", t.filter(_.place.city == "Oslo").select("id", "place")
    yield "made structs", t.select("id", s=ibis.struct({"a": _.id, "b": _.kind}))
    yield "unpack", t.select("id", "place").unpack("place")
    yield "json", t.select("id", a=_.extra["a"]["b"], s=_.extra["s"].str, n=_.extra["a"]["b"].int, i=_.extra[1], u=_.extra["s"].unwrap_as("string"))
    yield "maps", once.select(a=ibis.map({"a": 1, "b": 2})["b"], b=ibis.map({"a": 1}).length(), c=ibis.map({"a": 1}).keys())

    # Reshaping.
    yield "pivot_longer", u.select("user_id", "score").mutate(other=_.score * 2).pivot_longer(["score", "other"], names_to="what", values_to="value")
    yield "pivot_wider", t.select("user_id", "kind", "amount").pivot_wider(
        id_cols="user_id", names_from="kind", values_from="amount", names=["buy", "view"], values_agg="sum",
    )
    yield "cte", t.group_by("kind").aggregate(n=_.count()).pipe(lambda g: g.join(g.view(), "kind"))
    yield "sql on top", con.sql("SELECT kind, count(*) AS n FROM events GROUP BY kind")
    yield "uuid and random", once.select(a=ibis.uuid().cast("string").length(), b=(ibis.random() < 1))
    yield "now", once.select(a=ibis.now() > ibis.timestamp("2020-01-01 00:00:00"), b=ibis.today() > ibis.date("2020-01-01"))
    yield "typeof", once.select(a=_.kind.typeof(), b=_.amount.typeof(), c=_.tags.typeof())
    yield "range table", ibis.range(0, 4).unnest().name("i").as_table()
    yield "type of sum", t.aggregate(s=_.id.sum()).mutate(h=_.s / 2)


def plain(value):
    """A cell in a form that both sides share: numbers with twelve significant digits, lists and structs within as well."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float, decimal.Decimal)):
        return f"{float(value):.12g}"
    if isinstance(value, (list, tuple)):
        return tuple(plain(item) for item in value)
    if isinstance(value, dict):
        return tuple((key, plain(item)) for key, item in value.items())
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    raise TypeError(type(value))


def rows(table):
    return collections.Counter(tuple(plain(row[name]) for name in table.column_names) for row in table.to_pylist())


def duckdb_side():
    con = ibis.duckdb.connect()
    con.raw_sql("SET TimeZone = 'UTC'")
    for statement in TABLES:
        con.raw_sql(statement)
    return con


def server_side():
    options = {"base_url": os.environ["SERVER_URL"], "username": os.environ["SERVER_USER"], "password": os.environ["SERVER_PASSWORD"]}
    client = Client(**options)
    client.query_all(QueryRequest(statement="CREATE SCHEMA my_catalog.ibis"))
    for statement in TABLES:
        client.query_all(QueryRequest(statement=statement, catalog="my_catalog", schema="ibis"))
    client.query_all(QueryRequest(statement="CREATE VIEW recent AS SELECT id, kind FROM events WHERE id > 5", catalog="my_catalog", schema="ibis"))
    return ibis.altertable.connect(catalog="my_catalog", database="ibis", **options)


def check_metadata(con, duck):
    """What the backend asks besides expressions."""
    assert con.version.startswith("v1."), con.version
    assert (con.current_catalog, con.current_database) == ("my_catalog", "ibis")
    assert "my_catalog" in con.list_catalogs() and con.list_catalogs(like="my_cat") == ["my_catalog"]
    assert {"ibis", "main"} <= set(con.list_databases()), con.list_databases()
    assert sorted(con.list_tables()) == ["events", "prices", "recent", "users"], con.list_tables()
    assert con.list_tables(like="ev") == ["events"] and con.list_tables(database=("my_catalog", "main")) == []
    for name in ("events", "users", "prices"):
        ours, theirs = con.table(name).schema(), duck.table(name).schema()
        assert ours == theirs, f"{name}: {ours} and {theirs}"
    assert con.table("recent").count().execute() == 2
    assert con.table("events", database=("my_catalog", "ibis")).count().to_pyarrow().as_py() == 7
    frame = con.table("users").order_by("user_id").to_pandas()
    assert list(frame["name"].iloc[:2]) == ["Ann Lee", " bob "] and str(frame["joined"].iloc[0])[:10] == "2023-01-01", frame
    assert sum(batch.num_rows for batch in con.table("events").to_pyarrow_batches(chunk_size=2)) == 7
    try:
        con.table("nowhere")
    except Exception as error:  # noqa: BLE001 - the client's own error for what SQL says
        assert "nowhere" in str(error), error
    else:
        raise AssertionError("a table that does not exist was found")


def main():
    con, duck = server_side(), duckdb_side()
    check_metadata(con, duck)
    faults, compared = [], 0
    for (name, ours), (_, theirs) in zip(expressions(con), expressions(duck), strict=True):
        compared += 1
        expected = theirs.to_pyarrow()
        try:
            found = ours.to_pyarrow()
        except Exception as error:  # noqa: BLE001 - reported with all others
            faults.append(f"{name}: {error}\n{ibis.to_sql(ours, dialect='duckdb')}")
            continue
        expected, found = (side if isinstance(side, pa.Table) else pa.table({"value": side}) for side in (expected, found))
        if expected.schema != found.schema:
            faults.append(f"{name}: types {found.schema} and not {expected.schema}")
        missing, surplus = rows(expected) - rows(found), rows(found) - rows(expected)
        if missing or surplus:
            faults.append(f"{name}: missing {dict(missing)}, surplus {dict(surplus)}\n{ibis.to_sql(ours, dialect='duckdb')}")
    print("\n\n".join(faults))
    print(f"{compared} expressions, {len(faults)} of them wrong")
    assert not faults
    print("all good")


if __name__ == "__main__":
    main()
