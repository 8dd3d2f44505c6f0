"""Writes a table as a lake of Delta and of Iceberg, then changes both; prints the rows that are in both, as JSON lines."""

import datetime
import decimal
import json
import os
import sys

import deltalake
import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog

directory, step = sys.argv[1], sys.argv[2]
delta, iceberg = f"{directory}/delta", f"{directory}/iceberg"
first = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
schema = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("name", pa.string()),
        pa.field("amount", pa.decimal128(30, 4)),
        pa.field("seen", pa.timestamp("us", "UTC")),
        pa.field("day", pa.date32()),
        pa.field("flag", pa.bool_()),
        pa.field("tags", pa.list_(pa.string())),
        pa.field("address", pa.struct([("city", pa.string()), ("floor", pa.int32())])),
    ]
)


def row(i, name):
    return {
        "id": i,
        "name": None if i % 5 == 0 else f"{name} é\U0001f34b {i}",
        "amount": decimal.Decimal(i * 10**20 + i).scaleb(-4),
        "seen": first + datetime.timedelta(minutes=i, microseconds=i),
        "day": datetime.date(1900, 1, 1) + datetime.timedelta(days=i),
        "flag": None if i % 3 == 0 else i % 2 == 0,
        "tags": None if i % 7 == 0 else [f"t{i % 4}", None][: i % 3],
        "address": {"city": f"Zürich \"{i}\"", "floor": i % 9 if i % 2 else None},
    }


def rows(ids, name):
    return pa.Table.from_pylist([row(i, name) for i in ids], schema=schema)


def catalog():
    os.makedirs(iceberg, exist_ok=True)
    return SqlCatalog("lake", uri=f"sqlite:///{iceberg}/catalog.db", warehouse=f"file://{iceberg}")


def write():
    table = rows(range(1, 5001), "first")
    deltalake.write_deltalake(delta, table)
    lake = catalog()
    lake.create_namespace("shop")
    created = lake.create_table("shop.customers", schema=schema)
    created.append(table)
    return created


def change():
    """Deletes 1,000 rows, writes 500 again, adds 250."""
    changed = pa.concat_tables([rows(range(1001, 1501), "changed"), rows(range(5001, 5251), "new")])
    gone = "id <= 1000 or (id > 1000 and id <= 1500)"
    deltalake.DeltaTable(delta).delete(gone)
    deltalake.write_deltalake(delta, changed, mode="append")
    table = catalog().load_table("shop.customers")
    table.delete(gone)
    table.append(changed)
    return table


def text(value):
    """A value as JSON, with the digits of decimals and moments in UTC."""
    match value:
        case dict():
            return "{" + ",".join(f"{json.dumps(key)}:{text(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ",".join(map(text, value)) + "]"
        case decimal.Decimal():
            return f"{value:f}"
        case datetime.datetime():
            moment = value.astimezone(datetime.timezone.utc).isoformat().removesuffix("+00:00")
            return json.dumps((moment.rstrip("0") if "." in moment else moment) + "Z")
        case datetime.date():
            return json.dumps(value.isoformat())
        case _:
            return json.dumps(value, ensure_ascii=False)


table = write() if step == "write" else change()
# Where DuckDB finds the table's newest metadata without a catalog.
hint = os.path.basename(table.metadata_location).removesuffix(".metadata.json")
with open(f"{iceberg}/shop/customers/metadata/version-hint.text", "w", encoding="utf-8") as file:
    file.write(hint)
lines = [sorted(map(text, found.to_pylist())) for found in (table.scan().to_arrow(), deltalake.DeltaTable(delta).to_pyarrow_table())]
assert lines[0] == lines[1], "both lakes have the same rows"
print("\n".join(lines[0]))
