"""Writes files with DuckDB and PyArrow, and what they hold as JSON lines: an array of texts for each row."""

import datetime
import decimal
import json
import sys

import duckdb
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

directory, rows = sys.argv[1], int(sys.argv[2])


def write_expected(name, lines):
    with open(f"{directory}/{name}.expected", "w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


connection = duckdb.connect()
connection.execute("set timezone = 'UTC'")
connection.execute(
    f"""
    create table t as select
      i * 3 as id,
      (i * 1000003)::decimal(25, 0) * 0.1428571::decimal(12, 7) as amount,
      i / 7.0::double as ratio,
      timestamp '2000-01-01' + to_seconds(i * 1237) + to_microseconds(i) as seen,
      date '1900-01-01' + (i % 100000)::integer as day,
      case when i % 3 = 0 then null else 'Ærø "' || i || '" \U0001f34b' end as name,
      i % 2 = 0 as flag,
      [i, null, -i] as list,
      {{'a': i, 'b': 'x' || i, 'c': [{{'d': i % 5}}]}} as nested,
      (i * 9223372036854)::hugeint as huge,
      ('00000000-0000-4000-8000-' || lpad(i::varchar, 12, '0'))::uuid as uid,
      encode('é' || i) as bytes,
    from range({rows}) r(i)
    """
)
connection.execute(f"copy t to '{directory}/duckdb.parquet' (format parquet, compression zstd, row_group_size 30000)")
texts = """
    select id::varchar, amount::varchar, ratio::varchar, strftime(seen, '%Y-%m-%dT%H:%M:%S.%f'), day::varchar, name,
      flag::varchar, to_json(list)::varchar, to_json(nested)::varchar, huge::double::varchar, uid::varchar,
      to_base64(bytes)
    from t order by id
"""
write_expected("duckdb", connection.execute(texts).fetchall())
plain = "select id, amount, ratio, seen, day, name, flag from t"
connection.execute(f"copy ({plain}) to '{directory}/duckdb.csv.gz' (format csv, header true, nullstr '\\N')")
connection.execute(f"copy t to '{directory}/duckdb.jsonl.zst' (format json)")

utc = datetime.timezone.utc
moment = datetime.datetime(2026, 11, 23, 22, 10, 52, 4000, tzinfo=utc)
# A type, a value of it, and its text.
cases = [
    (pa.int8(), -128, "-128"),
    (pa.uint64(), 2**64 - 1, "18446744073709551615"),
    (pa.int64(), -(2**63), "-9223372036854775808"),
    (pa.float32(), 0.1, "0.1"),
    (pa.float64(), 1e300, "1e+300"),
    (pa.float16(), 1.5, "1.5"),
    (pa.bool_(), True, "true"),
    (pa.decimal128(38, 10), decimal.Decimal("-1234567890123456789012345678.5"), "-1234567890123456789012345678.5000000000"),
    (pa.decimal256(76, 0), decimal.Decimal("9" * 76), "9" * 76),
    (pa.string(), "Ærø \U0001f34b \"\n", "Ærø \U0001f34b \"\n"),
    (pa.large_string(), "", ""),
    (pa.string_view(), "a text of more than twelve bytes", "a text of more than twelve bytes"),
    (pa.binary(), b"\xfb\xff\xfe", "+//+"),
    (pa.binary(3), b"\x00\x00\x00", "AAAA"),
    (pa.date32(), datetime.date(9999, 12, 31), "9999-12-31"),
    (pa.date64(), datetime.date(1, 1, 1), "0001-01-01"),
    (pa.time32("ms"), datetime.time(10, 11, 12, 500000), "10:11:12.5"),
    (pa.time64("us"), datetime.time(23, 59, 59, 999999), "23:59:59.999999"),
    (pa.timestamp("s"), moment.replace(tzinfo=None, microsecond=0), "2026-11-23T22:10:52"),
    (pa.timestamp("ms", "Europe/Berlin"), moment, "2026-11-23T22:10:52.004Z"),
    (pa.timestamp("us", "UTC"), moment, "2026-11-23T22:10:52.004Z"),
    (pa.timestamp("ns"), moment.replace(tzinfo=None), "2026-11-23T22:10:52.004"),
    (pa.dictionary(pa.int32(), pa.string()), "é", "é"),
    (pa.list_(pa.int32()), [1, None], "[1,null]"),
    (pa.large_list(pa.string()), ["a\"b"], "[\"a\\\"b\"]"),
    (pa.list_(pa.float64(), 2), [0.5, None], "[0.5,null]"),
    (pa.struct([("a", pa.int32()), ("b", pa.list_(pa.string()))]), {"a": 1, "b": ["é"]}, "{\"a\":1,\"b\":[\"é\"]}"),
    (pa.map_(pa.string(), pa.int64()), [("k", 1), ("é", None)], "{\"k\":1,\"é\":null}"),
]
arrays = [pa.array([value, None], kind) for kind, value, _ in cases]
table = pa.table({f"c{at}": array for at, array in enumerate(arrays)})
pq.write_table(table, f"{directory}/pyarrow.parquet")
pq.write_table(table, f"{directory}/pyarrow-v2.parquet", data_page_version="2.0", compression="lz4", use_dictionary=False)
for name, compression in [("lz4", "lz4"), ("zstd", "zstd"), ("plain", None)]:
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.OSFile(f"{directory}/pyarrow-{name}.arrow", "wb") as sink, pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    with pa.OSFile(f"{directory}/pyarrow-{name}.arrows", "wb") as sink, pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
# Times of 96 bits, as Spark wrote them.
old = pa.table({"c0": pa.array([datetime.datetime(9999, 12, 31, 23, 59, 59, 999999), None], pa.timestamp("us"))})
pq.write_table(old, f"{directory}/int96.parquet", use_deprecated_int96_timestamps=True)
inside = [{"t": value} for value in old["c0"].to_pylist()[:1]]
nested = pa.table({
    "s": pa.array(inside, pa.struct([("t", pa.timestamp("us"))])),
    "l": pa.array([[datetime.datetime(1, 1, 1), None]], pa.list_(pa.timestamp("us"))),
})
pq.write_table(nested, f"{directory}/nested96.parquet", use_deprecated_int96_timestamps=True)
write_expected("pyarrow", [[text for _, _, text in cases], [None] * len(cases)])
