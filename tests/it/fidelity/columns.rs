//! The columns of the awkward table: what stands in them, and what Postgres itself says that a
//! record must hold.

/// What a field must be, reported by Postgres as the text of a JSON value.
#[derive(Clone, Copy)]
pub(super) enum Expected {
    /// `to_json` of the column.
    Same,
    /// `to_json` of the column with its exponents written out, which jsonb does.
    Positional,
    /// As [`Expected::Positional`], for objects, whose members jsonb puts into another order.
    Unordered,
    /// An expression that yields text, with `{}` for the column.
    Sql(&'static str),
    /// As [`FLOAT`] says. Of two decimals that are equally far from the next float, one of which
    /// is shorter, Postgres shuns the one that only an even mantissa reads back; it may be served.
    Double,
    /// The same for floats of 32 bits.
    Single,
}

/// One column.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) sql_type: &'static str,
    /// An expression over `v`, the number that a row's values follow from, and `n`, the row's own.
    pub(super) value: &'static str,
    pub(super) expected: Expected,
    /// The extension that the type comes from.
    pub(super) extension: Option<&'static str>,
    /// The first Postgres that has the type.
    pub(super) since: u32,
}

/// Types and functions that the columns need.
pub(super) const PREPARE: &str = r#"
    create function pick(v int, list text[]) returns text language sql immutable
        as $$ select list[1 + v % array_length(list, 1)] $$;
    -- Number k of all characters but NUL, from 0, round and round.
    create function character_number(k int) returns int language sql immutable
        as $$ select k % 1112063 + case when k % 1112063 + 1 >= 55296 then 2049 else 1 end $$;
    create function escaped(code int) returns text language sql immutable as $$
        select case when code < 65536 then '\u' || lpad(to_hex(code), 4, '0')
            else '\u' || to_hex(55296 + ((code - 65536) >> 10)) || '\u' || upper(to_hex(56320 + (code & 1023))) end $$;
    create type mood as enum ('sad', 'so-so', 'häppy "days"');
    create type place as (street text, "House No." int, moved timestamptz, mood mood);
    create type person as (name text, home place, others place[]);
    create domain positive as int check (value > 0);
    create domain shout as text check (value = upper(value));
    create domain moods as mood[];
    create domain document as jsonb;
"#;

const TEXTS: &str = r#"pick(v, array['plain', 'quo"te', 'it''s', E'back\\slash', E'line\nfeed', E'\ttab\r\x01\x02\x1f\x7f',
    E'\u0080\u009f\u2028\u2029\ufeff', '😀👩‍👩‍👧‍👦🇩🇪', 'שלום עולם', E'\u202eabc\u202c مرحبا', E'e\u0301 a\u030a\u0327', 'é', ' ', E' both ends\n',
    '</script><!--', '{{ liquid }}', '\u0041 not an escape', 'null', '"quoted"', '{"a":1}', E'\U0010ffff\uffff\ufffe', repeat('x', 3000), 'ﬁ İ ı ß Σς'])"#;

const FINITE: &str = "case when {}::text in ('NaN', 'Infinity', '-Infinity') then null else {}::text end";

/// Shortest digits, positional from 1e-7 to 1e21. Postgres writes the same digits in its own way.
pub(super) const FLOAT: &str = r"case when {}::text in ('NaN', 'Infinity', '-Infinity') then null
    when {} = 0 then '0'
    when abs({}) >= '1e-7' and abs({}) < '1e21' then {}::text::numeric::text
    else regexp_replace({}::text, 'e([+-])0*', 'e\1') end";

const DATE: &str = "case when {} between '0001-01-01' and '9999-12-31'
    then to_json(to_char({}, 'YYYY-MM-DD'))::text end";

const TIMESTAMP: &str = r#"case when {} >= '0001-01-01' and {} < '10000-01-01'
    then to_json(rtrim(rtrim(to_char({}, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '0'), '.'))::text end"#;

const TIMESTAMPTZ: &str = r#"case when {} >= '0001-01-01Z' and {} < '10000-01-01Z'
    then to_json(rtrim(rtrim(to_char({} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '0'), '.') || 'Z')::text end"#;

const BASE64: &str = r"to_json(replace(encode({}, 'base64'), E'\n', ''))::text";

const fn column(
    name: &'static str,
    sql_type: &'static str,
    expected: Expected,
    value: &'static str,
) -> Column {
    Column { name, sql_type, value, expected, extension: None, since: 0 }
}

/// Every column, in the order of the table.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn columns() -> Vec<Column> {
    use Expected::{Double, Positional, Same, Single, Sql, Unordered};
    vec![
        column("id", "uuid primary key", Same, "md5('id' || n)::uuid"),
        column("n", "int", Same, "n"),
        column(
            "email",
            "text",
            Same,
            r"case when v % 97 = 0 then null when v % 89 = 0 then '  '
                else pick(v, array[' User', 'ÜBER', E'\u00a0o''neil+a%/?#&', 'Σίσυφος', E'\tİx']) || v || pick(v, array['@Example.COM ', '@bücher.example']) end",
        ),
        column(
            "tags",
            "text[]",
            Same,
            r#"case when v % 53 = 0 then null when v % 59 = 0 then '{}'
                else array['tag ' || v % 500, 'Ünique/' || v, '', null, 'tag ' || v % 500, pick(v, array['a"b', 'c,d', '{e}', 'NULL', E'f\\g'])] end"#,
        ),
        column("numbers", "int[]", Same, "array[v, null, v % 100 - 100, v]"),
        column(
            "big",
            "bigint",
            Same,
            "case v % 3 when 0 then 9007199254740993 + v when 1 then -9223372036854775807 + v else 9223372036854775807 - v end",
        ),
        column("exact", "numeric(38,10)", Same, "v * 123456789012345678901234.0123456789 - v % 2 * 1e27"),
        column(
            "loose",
            "numeric",
            Sql(FINITE),
            "pick(v, '{0,-0,-0.00,1,1.0,1.50,-1e-30,1e30,123456789012345678901234567890.1234567890123456789,NaN,0.0001,10000,99999999,1e130,3e-100}')::numeric * (1 + v % 2)",
        ),
        column("loose too", "numeric", Sql(FINITE), "(sin(v)::numeric ^ 3) / (1 + v % 1000)"),
        column("whole", "numeric(20,0)", Same, "99999999999999999999 - v::numeric * 7919"),
        column(
            "float",
            "float8",
            Double,
            "pick(v, '{-0,0,1,-1,1e-7,9.9999999e-8,-1e-7,1e21,1e20,999999999999999900000,5e-324,-5e-324,2.2250738585072014e-308,1.7976931348623157e308,NaN,Infinity,-Infinity,0.1,0.30000000000000004,1e15,1e16,123456789012345680,-1.5e-300,9007199254740993,100,0.00001,1e-5,123.456}')::float8",
        ),
        column("random float", "float8", Double, "sin(v) * 10.0::float8 ^ (v % 61 - 30)"),
        column("RATIO", "float8", Double, "v / 7.0::float8"),
        column(
            "single",
            "float4",
            Single,
            "pick(v, '{-0,0.1,16777216,16777217,1e-7,1e-8,1e21,3.4028235e38,1e-45,NaN,-Infinity,33554432,1e10,0.3333333}')::float4",
        ),
        column("random.single", "float4", Single, "(cos(v) * 10.0::float8 ^ (v % 41 - 20))::float4"),
        column("yes", "boolean", Same, "case v % 3 when 0 then true when 1 then false end"),
        column("small", "smallint", Same, "v % 65536 - 32768"),
        column(
            "medium",
            "int",
            Same,
            "case v % 4 when 0 then -2147483648 when 1 then 2147483647 else -v end",
        ),
        column(
            "day",
            "date",
            Sql(DATE),
            "pick(v, array['infinity', '-infinity', '0044-03-15 BC', '0001-01-01', '0001-12-31 BC', '9999-12-31', '10000-01-01', '2024-02-29', '1900-02-28', '1582-10-10', '1969-12-31', '5874897-12-31'])::date",
        ),
        column("date", "date", Sql(DATE), "date '0001-01-01' + v * 53"),
        column(
            "at",
            "timestamp",
            Sql(TIMESTAMP),
            "pick(v, array['infinity', '-infinity', '0044-03-15 12:00 BC', '0001-01-01', '9999-12-31 23:59:59.999999', '10000-01-01', '2024-02-29 00:00:00.000001', '1969-12-31 23:59:59.1', '2016-12-31 23:59:60'])::timestamp",
        ),
        column(
            "at random",
            "timestamp",
            Sql(TIMESTAMP),
            "timestamp '1890-01-01' + v * interval '41 hours 7.123457 seconds'",
        ),
        column(
            "at zone",
            "timestamptz",
            Sql(TIMESTAMPTZ),
            "pick(v, array['infinity', '-infinity', '0001-01-01 00:00:00Z', '0001-01-01 00:00:00+01', '9999-12-31 23:59:59.999999Z', '9999-12-31 23:59:59-01', '2024-03-31 02:30:00 Europe/Berlin', '2024-01-01 00:00:00.120000+05:45', '1890-01-01 00:00:00 Europe/Amsterdam'])::timestamptz",
        ),
        column(
            "at zone random",
            "timestamptz",
            Sql(TIMESTAMPTZ),
            "timestamptz '1950-01-01Z' + v * interval '35 hours 0.000999 seconds'",
        ),
        column("text", "text", Same, TEXTS),
        column(
            "every character",
            "text",
            Same,
            "(select string_agg(chr(character_number(v * 56 + i)), '') from generate_series(0, 55) i)",
        ),
        column(
            "escaped character",
            "json",
            Sql(r#"to_json("every character")::text"#),
            r#"('"' || (select string_agg(escaped(character_number(v * 56 + i)), '') from generate_series(0, 55) i) || '"')::json"#,
        ),
        column("empty", "text", Same, "case when v % 2 = 0 then '' end"),
        column("char", "char(5)", Same, "pick(v, array['', 'a', 'ab   ', 'äöüßé', ' b'])"),
        column("varchar", "varchar(40)", Same, "md5(v::text)"),
        column(
            "bytes",
            "bytea",
            Sql(BASE64),
            "case when v % 7 = 0 then '' else substr(sha256(v::text::bytea), 1, v % 33) end",
        ),
        column(
            "doc",
            "jsonb",
            Same,
            r#"jsonb_build_object('z', v, 'a', jsonb_build_array(v / 8.0, null, true, '[]'::jsonb, '{}'::jsonb, -v::bigint * 1000000000000), 'ключ "x"', jsonb_build_object(' ', pick(v, array['1e5', '1.50', '-0', '-0.0', '1E-9', '123456789012345678901234567890'])::jsonb), '', pick(v, array['"\u00e9\ud83d\ude00"', '"\u0001\n\\"', '"</>"'])::jsonb)"#,
        ),
        column(
            "verbatim json",
            "json",
            Unordered,
            r#"pick(v, array[' { "a" : 1 , "b" : 1E2, "a" : -0.0 } ', E'[\n1.50 ,\t-0, 1e-3, 2.50e+2 ]', '{"x":{"y":1,"y":2},"x":{"z":3,"y":{"q":[],"q":{}}}}', '"\u0041\/\u00E9"', 'null', ' true', '7', '{"\u0061":1,"a":2}', '[[[[[]]]],{"":""}]'])::json"#,
        ),
        column(
            "json null or null",
            "jsonb",
            Same,
            "case v % 3 when 0 then 'null'::jsonb when 1 then '[null]'::jsonb end",
        ),
        column("jsonb text", "jsonb", Same, "to_jsonb(pick(v, array['a\"b', E'\\x01', '😀', '']))"),
        column("domain doc", "document", Same, "jsonb_build_array(v)"),
        column(
            "range",
            "int4range",
            Same,
            "case when v % 5 = 0 then 'empty'::int4range else int4range(v, v + 10, '[]') end",
        ),
        column(
            "moment range",
            "tstzrange",
            Same,
            "tstzrange(timestamptz '2024-01-01Z' + v * interval '1 hour', case when v % 2 = 0 then timestamptz '2099-01-01Z' end)",
        ),
        Column {
            since: 140_000,
            ..column(
                "ranges",
                "nummultirange",
                Same,
                "nummultirange(numrange(v, v + 0.50), numrange(v + 2, null))",
            )
        },
        column(
            "interval",
            "interval",
            Same,
            "v % 40 * interval '1 month' - v % 30 * interval '1 day' + v * interval '1.000001 second'",
        ),
        column("Mood", "mood", Same, "pick(v, array['sad', 'so-so', 'häppy \"days\"'])::mood"),
        column("positive", "positive", Same, "v + 1"),
        column("shout", "shout", Same, "'LOUD ' || v"),
        column("moods", "moods", Same, "array['sad', null, 'häppy \"days\"']::moods"),
        column(
            "person",
            "person",
            Same,
            r#"row('N "' || v, row('Straße', v, timestamptz '2024-01-01 12:00:00.5Z', 'sad'), array[row(null, null, null, null)::place])::person"#,
        ),
        column("money", "money", Same, "(v * 1234.56 - 100000)::numeric::money"),
        column(
            "inet",
            "inet",
            Same,
            "pick(v, '{10.0.0.1,10.0.0.0/8,::1,2001:db8::/32,::ffff:1.2.3.4}')::inet",
        ),
        column("cidr", "cidr", Same, "pick(v, '{10.0.0.0/8,192.168.1.0/24,2001:db8::/32}')::cidr"),
        column("macaddr", "macaddr", Same, "('08:00:2b:01:02:' || lpad(to_hex(v % 256), 2, '0'))::macaddr"),
        column("vector", "tsvector", Same, "to_tsvector('simple', 'it''s the fat \"cat\" ' || v)"),
        column("xml", "xml", Same, r#"('<a b="' || v || '">é &amp; &lt;</a>')::xml"#),
        Column {
            extension: Some("hstore"),
            ..column(
                "pairs",
                "hstore",
                Same,
                "hstore(array['long key', 'k', '\"'], array[v::text, null, 'a=>b'])",
            )
        },
        Column { extension: Some("citext"), ..column("handle", "citext", Same, "'HanDle' || v") },
        column("generated", r#"text generated always as (upper("varchar")) stored"#, Same, ""),
        column("matrix", "text[][]", Same, r#"array[['a"', null], [v::text, '{}']]"#),
        column(
            "floats",
            "float8[]",
            Positional,
            "array[0.1::float8 + 0.2::float8, v / 3.0::float8, 1e30, 1e-9, '-0', null]",
        ),
        column("odd floats", "float8[]", Same, "'{NaN,Infinity,-Infinity}'::float8[]"),
        column("numerics", "numeric[]", Same, "array[1.50, v * 1e20, 0.00, null]"),
        column("moments", "timestamptz[]", Same, "array[timestamptz '2024-06-01 12:00:00.000001+02', null]"),
        column("documents", "jsonb[]", Same, "array[jsonb_build_object('a', v), 'null', null]"),
        column("uuids", "uuid[]", Same, "array[md5(v::text)::uuid]"),
        column("bounds", "int[]", Same, "'[0:1]={1,2}'::int[]"),
        column("time", "time", Same, "time '00:00' + v * interval '3.000001 seconds'"),
        column("bits", "bit varying(8)", Same, "(v % 256)::bit(8)"),
        column("point", "point", Same, "point(v, 0.5)"),
        column("oid", "oid", Sql("{}::text"), "(4294967295 - v)::oid"),
        column("quo\"te", "text", Same, "'q' || v"),
        column("apos'trophe", "text", Same, "'a' || v"),
        column("dotted.name", "int", Same, "v"),
        column("ünï😀", "int", Same, "v"),
        column("select", "int", Same, "v"),
        column(" tab\tback\\slash $1 %s {{x}} ", "int", Same, "v"),
        column("UPPER", "int", Same, "v"),
        column("upper", "int", Same, "-v"),
        column("a_name_of_sixty_three_bytes_which_is_the_longest_that_there_can", "int", Same, "v"),
    ]
}
