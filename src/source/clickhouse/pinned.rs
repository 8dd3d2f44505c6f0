//! Settings that each query is sent with, so that a record depends on its row alone, whatever the user's profile has.
//!
//! Not among them: settings whose default differs between releases, which stay the server's own, filters that may be the
//! user's row security (`additional_table_filters`, `additional_result_filter`, `filter`), and limits. A limit ends a query
//! with an error, because every overflow mode is `throw`.

use std::sync::{Mutex, PoisonError};

/// Names and values; unless Larder's format needs another one, the default that ClickHouse documents.
const SETTINGS: &[(&str, &str)] = &[
    // Limits that would cut a result off without a word.
    ("distinct_overflow_mode", "throw"),
    ("group_by_overflow_mode", "throw"),
    ("join_overflow_mode", "throw"),
    ("read_overflow_mode", "throw"),
    ("read_overflow_mode_leaf", "throw"),
    ("result_overflow_mode", "throw"),
    ("set_overflow_mode", "throw"),
    ("sort_overflow_mode", "throw"),
    ("timeout_overflow_mode", "throw"),
    ("timeout_overflow_mode_leaf", "throw"),
    ("transfer_overflow_mode", "throw"),
    // Which rows and columns a query has.
    ("apply_deleted_mask", "1"),
    ("apply_mutations_on_fly", "0"),
    ("apply_patch_parts", "1"),
    ("asterisk_include_alias_columns", "0"),
    ("asterisk_include_materialized_columns", "0"),
    ("asterisk_include_virtual_columns", "0"),
    ("distributed_group_by_no_merge", "0"),
    ("do_not_merge_across_partitions_select_final", "0"),
    ("final", "0"),
    ("ignore_cold_parts_seconds", "0"),
    ("limit", "0"),
    ("offset", "0"),
    ("partial_result_on_first_cancel", "0"),
    ("skip_unavailable_shards", "0"),
    ("use_query_cache", "0"),
    ("use_skip_indexes_if_final_exact_mode", "1"),
    // What a query means.
    ("aggregate_functions_null_for_empty", "0"),
    ("any_join_distinct_right_table_keys", "0"),
    ("cast_ipv4_ipv6_default_on_conversion_error", "0"),
    ("cast_keep_nullable", "0"),
    ("cast_string_to_dynamic_use_inference", "0"),
    ("count_distinct_implementation", "uniqExact"),
    ("count_matches_stop_at_empty_match", "0"),
    ("date_time_overflow_behavior", "ignore"),
    ("decimal_check_overflow", "1"),
    ("empty_result_for_aggregation_by_constant_keys_on_empty_set", "1"),
    ("empty_result_for_aggregation_by_empty_set", "0"),
    ("enable_extended_results_for_datetime_functions", "0"),
    ("enable_named_columns_in_function_tuple", "0"),
    ("enable_positional_arguments", "1"),
    ("except_default_mode", "ALL"),
    ("external_table_functions_use_nulls", "1"),
    ("function_json_value_return_type_allow_complex", "0"),
    ("function_json_value_return_type_allow_nullable", "0"),
    ("geo_distance_returns_float64_on_float64_arguments", "1"),
    ("group_by_use_nulls", "0"),
    ("input_format_json_try_infer_numbers_from_strings", "0"),
    ("intersect_default_mode", "ALL"),
    ("join_any_take_last_row", "0"),
    ("join_default_strictness", "ALL"),
    ("join_use_nulls", "0"),
    ("optimize_trivial_approximate_count_query", "0"),
    ("prefer_column_name_to_alias", "0"),
    ("session_timezone", ""),
    ("single_join_prefer_left_table", "1"),
    ("splitby_max_substrings_includes_remaining_string", "0"),
    ("totals_mode", "after_having_exclusive"),
    ("transform_null_in", "0"),
    ("type_json_skip_duplicated_paths", "0"),
    ("type_json_skip_invalid_typed_paths", "0"),
    ("union_default_mode", ""),
    ("use_with_fill_by_sorting_prefix", "1"),
    // How a value is printed.
    ("bool_false_representation", "false"),
    ("bool_true_representation", "true"),
    ("date_time_64_output_format_cut_trailing_zeros_align_to_groups_of_thousands", "0"),
    ("date_time_output_format", "iso"),
    ("formatdatetime_e_with_space_padding", "0"),
    ("formatdatetime_f_prints_scale_number_of_digits", "0"),
    ("formatdatetime_f_prints_single_zero", "0"),
    ("formatdatetime_format_without_leading_zeros", "0"),
    ("formatdatetime_parsedatetime_m_is_month_name", "1"),
    ("http_write_exception_in_output_format", "0"),
    ("interval_output_format", "numeric"),
    ("json_type_escape_dots_in_keys", "0"),
    ("output_format_always_write_decimal_point_in_float_and_decimal", "0"),
    ("output_format_decimal_trailing_zeros", "0"),
    ("output_format_float_precision", "0"),
    ("output_format_json_escape_forward_slashes", "0"),
    ("output_format_json_map_as_array_of_tuples", "0"),
    ("output_format_json_named_tuples_as_objects", "1"),
    ("output_format_json_quote_64bit_floats", "0"),
    ("output_format_json_quote_64bit_integers", "0"),
    ("output_format_json_quote_decimals", "0"),
    ("output_format_json_quote_denormals", "0"),
    ("output_format_json_skip_null_value_in_named_tuples", "0"),
    ("output_format_json_validate_utf8", "0"),
    ("output_format_trim_fixed_string", "0"),
    ("type_json_skip_null_typed_paths", "0"),
];

/// The timeout of a query.
pub(super) const TIMEOUT: &str = "max_execution_time";
/// The code of a setting that the server does not have.
const UNKNOWN_SETTING: &str = "Code: 115.";

/// The settings that a server lacks, because its release is older.
#[derive(Debug, Default)]
pub(super) struct Lacking(Mutex<Vec<&'static str>>);

impl Lacking {
    /// The settings that the server has, as far as is known.
    pub(super) fn settings(&self) -> Vec<(&'static str, &'static str)> {
        let lacking = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        SETTINGS.iter().copied().filter(|(name, _)| !lacking.contains(name)).collect()
    }

    /// Whether `refusal` refuses one of `sent` because the server lacks it. It is left out from now on.
    pub(super) fn learn(&self, refusal: &[u8], sent: &[(&'static str, &'static str)]) -> bool {
        let refusal = String::from_utf8_lossy(refusal);
        let Some((_, words)) = refusal.split_once(UNKNOWN_SETTING) else { return false };
        let is_sent = |name: &&str| sent.iter().any(|(sent, _)| sent == name);
        let Some(name) = named(words).filter(is_sent) else { return false };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(name);
        true
    }
}

/// The first setting of ours that a message names.
pub(super) fn named(message: &str) -> Option<&'static str> {
    let mut words = message.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
    let ours = || SETTINGS.iter().map(|(name, _)| *name).chain([TIMEOUT]);
    words.find_map(|word| ours().find(|name| *name == word))
}
