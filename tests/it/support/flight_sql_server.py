"""DuckDB behind Arrow Flight SQL: `flight_sql_server.py PORT [CERTIFICATE KEY]`. It knows one user, `reader` with the
password `hunter2`. It kills itself instead of sending a batch with a row whose column `end_server` is not 0.

https://arrow.apache.org/docs/format/FlightSql.html
"""

import base64
import os
import signal
import sys

import duckdb
import pyarrow as pa
from pyarrow import compute, flight

TYPES = "type.googleapis.com/arrow.flight.protocol.sql."
TOKEN = "Bearer token-of-reader"
BASIC = "Basic " + base64.b64encode(b"reader:hunter2").decode().rstrip("=")
ROWS_OF_BATCH = 10_000


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, value):
    """A field of protobuf with bytes."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(message):
    """The fields of a message by number; of one that repeats, the last."""
    found, at = {}, 0

    def number():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = number()
        if tag & 7 == 2:
            length = number()
            found[tag >> 3] = message[at : at + length]
            at += length
        else:
            found[tag >> 3] = number()
    return found


def command(data):
    """The name of a command of Flight SQL, and its fields."""
    outer = fields(data)
    return outer[1].decode().removeprefix(TYPES), fields(outer.get(2, b""))


# Queries of the lists, and which of their columns may be null.
LISTS = {
    "CommandGetCatalogs": ("select distinct catalog_name from information_schema.schemata order by 1", []),
    "CommandGetDbSchemas": (
        "select catalog_name, schema_name as db_schema_name from information_schema.schemata order by 1, 2",
        ["catalog_name"],
    ),
    "CommandGetTables": (
        "select table_catalog as catalog_name, table_schema as db_schema_name, table_name, table_type"
        " from information_schema.tables order by 1, 2, 3",
        ["catalog_name", "db_schema_name"],
    ),
}


def strict(schema, sql):
    """The schema that the standard demands of a list."""
    nullable = next((columns for query, columns in LISTS.values() if query == sql), schema.names)
    return pa.schema([column.with_nullable(column.name in nullable) for column in schema])


class Login(flight.ServerMiddlewareFactory):
    def start_call(self, info, headers):
        said = next((values[0] for name, values in headers.items() if name.lower() == "authorization"), "")
        if said.rstrip("=") not in (TOKEN, BASIC):
            raise flight.FlightUnauthenticatedError("the password is wrong")
        return Token()


class Token(flight.ServerMiddleware):
    def sending_headers(self):
        return {"authorization": TOKEN}


class NoHandler(flight.ServerAuthHandler):
    """The middleware has checked the header of the handshake."""

    def authenticate(self, outgoing, incoming):
        pass

    def is_valid(self, token):
        return b""


class Server(flight.FlightServerBase):
    def __init__(self, location, **options):
        self.database = duckdb.connect(":memory:")
        # One thread, so that rows come in their order.
        self.database.execute("set threads = 1; set arrow_lossless_conversion = true; set timezone = 'UTC'")
        # Clients are answered from here on.
        super().__init__(location, auth_handler=NoHandler(), middleware={"login": Login()}, **options)

    def sql(self, data):
        name, parts = command(data)
        if name == "CommandStatementQuery":
            return parts[1].decode()
        if name in LISTS:
            return LISTS[name][0]
        raise NotImplementedError(name)

    def reader(self, sql):
        try:
            return self.database.cursor().sql(sql).to_arrow_reader(ROWS_OF_BATCH)
        except duckdb.CatalogException as error:
            raise KeyError(str(error)) from None
        except duckdb.Error as error:
            raise pa.ArrowInvalid(str(error)) from None

    def schema(self, sql):
        return strict(self.reader(f"select * from ({sql}\n) limit 0").schema, sql)

    def get_schema(self, context, descriptor):
        return flight.SchemaResult(self.schema(self.sql(descriptor.command)))

    def get_flight_info(self, context, descriptor):
        sql = self.sql(descriptor.command)
        ticket = field(1, f"{TYPES}TicketStatementQuery".encode()) + field(2, field(1, sql.encode()))
        endpoint = flight.FlightEndpoint(ticket, [])
        return flight.FlightInfo(self.schema(sql), descriptor, [endpoint], -1, -1)

    def do_get(self, context, ticket):
        _, parts = command(ticket.ticket)
        sql = parts[1].decode()
        reader = self.reader(sql)
        schema = strict(reader.schema, sql)
        batches = (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in reader)
        batches = map(unless_it_ends_the_server, batches)
        return flight.RecordBatchStream(pa.RecordBatchReader.from_batches(schema, batches))

    def do_put(self, context, descriptor, reader, writer):
        name, parts = command(descriptor.command)
        if name != "CommandStatementUpdate":
            raise NotImplementedError(name)
        self.database.cursor().execute(parts[1].decode())
        # A count of rows that is not known.
        writer.write(b"\x08" + varint((1 << 64) - 1))


def unless_it_ends_the_server(batch):
    if "end_server" in batch.schema.names and compute.sum(batch["end_server"]).as_py():
        os.kill(os.getpid(), signal.SIGKILL)
    return batch


def main():
    port, tls = sys.argv[1], sys.argv[2:]
    if not tls:
        server = Server(f"grpc://127.0.0.1:{port}")
    else:
        certificate, key = (open(path, "rb").read() for path in tls)
        server = Server(f"grpc+tls://127.0.0.1:{port}", tls_certificates=[(certificate, key)])
    server.serve()


main()
