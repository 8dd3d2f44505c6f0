//! The ClickHouse source and settings of the user's profile: they neither change a value nor cut a result off.

use larder::domain::row::Column;

use crate::support::{
    clickhouse::ClickHouse,
    source::{open, open_within, read},
    web::WebService,
};

/// A setting, another value than the one that a model is read with, and an expression whose value differs by it.
#[rustfmt::skip]
const EXPRESSIONS: &[(&str, &str, &str)] = &[
    ("bool_true_representation", "yes", "toString(true)"),
    ("bool_false_representation", "no", "toString(false)"),
    ("cast_keep_nullable", "1", "toTypeName(cast(toNullable(1) as Int8))"),
    ("cast_string_to_dynamic_use_inference", "1", "cast('1' as Dynamic)"),
    ("count_matches_stop_at_empty_match", "1", "countMatches('foobarfoobar', 'b?')"),
    ("date_time_output_format", "simple", "toDateTime(0, 'UTC')"),
    ("date_time_overflow_behavior", "saturate", "toDate('2200-01-01'::Date32)"),
    ("enable_extended_results_for_datetime_functions", "1", "toStartOfMonth('1900-01-15'::Date32)"),
    ("enable_named_columns_in_function_tuple", "1", "tuple(number, number + 1 as b)"),
    ("formatdatetime_e_with_space_padding", "1", "formatDateTime(toDateTime(0, 'UTC'), '%e')"),
    ("formatdatetime_f_prints_scale_number_of_digits", "1",
        "formatDateTime(toDateTime64('2020-01-01', 3, 'UTC'), '%f')"),
    ("formatdatetime_f_prints_single_zero", "1", "formatDateTime(toDateTime(0, 'UTC'), '%f')"),
    ("formatdatetime_format_without_leading_zeros", "1", "formatDateTime(toDateTime(0, 'UTC'), '%c')"),
    ("formatdatetime_parsedatetime_m_is_month_name", "0", "formatDateTime(toDateTime(0, 'UTC'), '%M')"),
    ("function_json_value_return_type_allow_complex", "1", "JSON_VALUE('{\"a\":{\"b\":1}}', '$.a')"),
    ("function_json_value_return_type_allow_nullable", "1", "JSON_VALUE('{}', '$.a')"),
    ("geo_distance_returns_float64_on_float64_arguments", "0",
        "greatCircleDistance(55.7::Float64, 37.6::Float64, -55.7::Float64, -37.6::Float64)"),
    ("input_format_json_try_infer_numbers_from_strings", "1", "'{\"a\":\"01\"}'::JSON"),
    ("interval_output_format", "kusto", "interval 3 day"),
    ("json_type_escape_dots_in_keys", "1", "'{\"a.b\":1}'::JSON"),
    ("output_format_always_write_decimal_point_in_float_and_decimal", "1", "[toFloat64(1)]"),
    ("output_format_decimal_trailing_zeros", "1", "toDecimal32(1, 2)"),
    ("output_format_float_precision", "3", "1.23456789"),
    ("output_format_json_escape_forward_slashes", "1", "['/']"),
    ("output_format_json_map_as_array_of_tuples", "1", "map('a', 1)"),
    ("output_format_json_named_tuples_as_objects", "0", "(1, 2)::Tuple(a Int8, b Int8)"),
    ("output_format_json_quote_64bit_floats", "1", "[0.5]"),
    ("output_format_json_quote_64bit_integers", "1", "[1::Int64]"),
    ("output_format_json_quote_decimals", "1", "[toDecimal32(1, 2)]"),
    ("output_format_json_quote_denormals", "1", "[nan]"),
    ("output_format_json_skip_null_value_in_named_tuples", "1",
        "(1, null)::Tuple(a Int8, b Nullable(Int8))"),
    ("output_format_json_validate_utf8", "1", "unhex('ff')"),
    ("output_format_trim_fixed_string", "1", "[toFixedString('a', 3)]"),
    ("session_timezone", "Asia/Tokyo", "toString(toDateTime(0))"),
    ("splitby_max_substrings_includes_remaining_string", "1", "splitByChar(',', 'a,b,c', 2)"),
    ("transform_null_in", "1", "ifNull(null in (null), 7)"),
    ("type_json_skip_null_typed_paths", "1", "'{}'::JSON(a Nullable(Int8))"),
];
/// The same of queries: of tables `r`, whose rows a merge will replace, and `m`, with columns that `*` leaves out.
#[rustfmt::skip]
const QUERIES: &[(&str, &str, &str)] = &[
    ("limit", "1", "select number from numbers(3)"),
    ("offset", "1", "select number from numbers(3)"),
    ("aggregate_functions_null_for_empty", "1", "select sum(number) as a from numbers(0)"),
    ("empty_result_for_aggregation_by_empty_set", "1", "select sum(number) as a from numbers(0)"),
    ("any_join_distinct_right_table_keys", "1",
        "select count() as a from (select 1 as x from numbers(3)) l any inner join (select 1 as x) r using x"),
    ("asterisk_include_alias_columns", "1", "select * from m"),
    ("asterisk_include_materialized_columns", "1", "select * from m"),
    ("asterisk_include_virtual_columns", "1", "select * from m"),
    ("cast_ipv4_ipv6_default_on_conversion_error", "1", "select cast('x' as IPv4) as a"),
    ("count_distinct_implementation", "uniq", "select count(distinct number) as a from numbers(200000)"),
    ("decimal_check_overflow", "0", "select toDecimal32(999999999, 0) * toDecimal32(999999999, 0) as a"),
    ("enable_positional_arguments", "0", "select number % 2 as a from numbers(3) group by 1 order by 1"),
    ("except_default_mode", "DISTINCT",
        "select count() as a from (select 1 as x from numbers(2) except select 2)"),
    ("final", "1", "select count() as a from r"),
    ("group_by_use_nulls", "1", "select number, count() as a from numbers(1) group by rollup(number)"),
    ("intersect_default_mode", "DISTINCT",
        "select count() as a from (select 1 as x from numbers(2) intersect select 1 from numbers(2))"),
    ("join_any_take_last_row", "1",
        "select y from (select 1 as x) l any left join (select 1 as x, number as y from numbers(3)) r using x"),
    ("join_default_strictness", "ANY",
        "select count() as a from (select 1 as x) l join (select 1 as x from numbers(3)) r using x"),
    ("join_use_nulls", "1", "select y from (select 1 as x) l left join (select 2 as x, 5 as y) r using x"),
    ("prefer_column_name_to_alias", "1",
        "select sum(number + 1) as number from numbers(3) having number > 5"),
    ("type_json_skip_duplicated_paths", "1", "select '{\"a\":1,\"a\":2}'::JSON as a"),
    ("type_json_skip_invalid_typed_paths", "1", "select '{\"a\":\"x\"}'::JSON(a Int8) as a"),
    ("single_join_prefer_left_table", "0",
        "select number from numbers(1) l join (select 0 as k, 5 as number) r on l.number = r.k"),
    ("union_default_mode", "DISTINCT", "select count() as a from (select 1 as x union select 1)"),
    ("use_with_fill_by_sorting_prefix", "0",
        "select number % 2 as g, number as n from numbers(0, 6, 3) order by g, n with fill"),
];
/// A mode that makes a short result of a limit, a limit, and a query that exceeds it.
#[rustfmt::skip]
const LIMITS: &[(&str, &str, &str)] = &[
    ("result_overflow_mode = 'break'", "max_result_rows", "select number from numbers(300000)"),
    ("read_overflow_mode = 'break'", "max_rows_to_read", "select number from numbers(300000)"),
    ("read_overflow_mode_leaf = 'break'", "max_rows_to_read_leaf", "select number from numbers(300000)"),
    ("group_by_overflow_mode = 'any'", "max_rows_to_group_by",
        "select number as g from numbers(300000) group by g"),
    ("sort_overflow_mode = 'break'", "max_rows_to_sort",
        "select number from (select number from numbers(300000) order by number limit 299999)"),
    ("distinct_overflow_mode = 'break'", "max_rows_in_distinct", "select distinct number from numbers(300000)"),
    ("set_overflow_mode = 'break'", "max_rows_in_set",
        "select count() as a from numbers(300000) where number in (select number from numbers(200000))"),
    ("join_overflow_mode = 'break'", "max_rows_in_join",
        "select count() as a from numbers(300000) l join (select number from numbers(200000)) r using number"),
];

/// Names and types.
fn types(columns: &[Column]) -> Vec<(String, String)> {
    columns.iter().map(|column| (column.name.clone(), column.type_name.clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn values_do_not_depend_on_settings_of_the_user() {
    let (usual, altered) = (ClickHouse::database().await, ClickHouse::alone().await);
    for database in [&usual, &altered] {
        for sql in [
            "create table r (id UInt64, v UInt64) engine = ReplacingMergeTree(v) order by id",
            "system stop merges r",
            "insert into r values (1, 1)",
            "insert into r values (1, 2)",
            "create table m (id UInt64, x UInt64 materialized id + 1, y UInt64 alias id) engine = MergeTree order by id",
            "insert into m values (1)",
        ] {
            database.run(sql).await;
        }
    }
    let settings = EXPRESSIONS.iter().chain(QUERIES).map(|(name, value, _)| format!("{name} = '{value}'"));
    altered.run(&format!("set {}", settings.collect::<Vec<_>>().join(", "))).await;
    let (usual, source) = (open(&usual.section()), open(&altered.section()));
    let expressions = EXPRESSIONS.iter().enumerate().map(|(at, (.., sql))| format!("{sql} as c{at}"));
    let expressions = format!("select {} from numbers(1)", expressions.collect::<Vec<_>>().join(", "));
    let (expected, found) =
        (read(&usual, &expressions).await.unwrap(), read(&source, &expressions).await.unwrap());
    let (expected_rows, rows) = (expected.rows(), found.rows());
    let (expected_types, types_found) = (types(&expected.columns), types(&found.columns));
    for (at, (setting, ..)) in EXPRESSIONS.iter().enumerate() {
        assert_eq!(types_found[at], expected_types[at], "{setting}");
        assert_eq!(rows[0][at], expected_rows[0][at], "{setting}");
    }
    for (setting, _, sql) in QUERIES {
        let (expected, found) = (read(&usual, sql).await, read(&source, sql).await);
        let [expected, found] = [expected, found].map(|read| {
            read.map(|table| (types(&table.columns), table.rows())).map_err(|error| error.code())
        });
        assert_eq!(found, expected, "{setting}");
    }

    for (mode, limit, sql) in LIMITS {
        altered.run(&format!("set {mode}, {limit} = 1")).await;
        let error = read(&source, sql).await.expect_err(mode);
        assert_eq!(error.code(), "source_query_failed", "{mode}: {error}");
        altered.run(&format!("set {limit} = 0")).await;
    }
    altered.run("set timeout_overflow_mode = 'break'").await;
    let slow = open_within(&altered.section(), "1s", "5s");
    let error = read(&slow, "select count() as a from numbers(1000000000000)").await.unwrap_err();
    assert_eq!(error.code(), "source_statement_timeout", "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn user_that_may_not_change_settings_needs_a_profile_with_them() {
    let database = ClickHouse::alone().await;
    database
        .run(
            "set date_time_output_format = 'iso', output_format_json_escape_forward_slashes = 0, \
             max_execution_time = 3600, readonly = 1",
        )
        .await;
    let source = open_within(&database.section(), "1h", "5s");
    assert_eq!(
        read(&source, "select toDateTime(0, 'UTC') as a").await.unwrap().rows()[0][0].1,
        "1970-01-01T00:00:00Z"
    );
    let error = read(&open_within(&database.section(), "1m", "5s"), "select 1 as a").await.unwrap_err();
    assert_eq!(error.code(), "source_permission_denied", "{error}");
    assert!(error.to_string().contains("max_execution_time"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_an_older_server_lacks_are_left_out() {
    const LACKING: [&str; 2] = ["timeout_overflow_mode_leaf", "output_format_float_precision"];
    let server = WebService::start(|got| {
        let unknown = LACKING.iter().find(|name| got.target.contains(&format!("&{name}=")));
        let refusal = |name| {
            format!(
                "Code: 115. DB::Exception: Unknown setting '{name}'. Maybe you meant ['timeout_overflow_mode']. \
                 (UNKNOWN_SETTING) (version 24.8.1.1 (official build))\n"
            )
        };
        match unknown {
            Some(name) => (404, vec![], refusal(name)),
            None => (200, vec![], "[\"a\"]\n[\"UInt8\"]\n[1]\n".to_owned()),
        }
    })
    .await;
    let source = open(&format!("type = \"clickhouse\"\nurl = {:?}\n", server.url()));
    for _ in 0..2 {
        assert_eq!(read(&source, "select 1 as a").await.unwrap().rows().len(), 1);
    }
    let requests = server.requests();
    let refused =
        |name: &str| requests.iter().filter(|got| got.target.contains(&format!("&{name}="))).count();
    assert_eq!(LACKING.map(refused), [1, 2]);
    assert!(requests.iter().all(|got| got.target.contains("timeout_overflow_mode=throw")));
}
