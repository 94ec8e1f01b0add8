/**
 * The functions a statement may call; any other name is refused. DuckDB 0.9.1's own list (`duckdb_functions()`), less
 * what tells of the engine or reaches outside the statement (settings, catalogs, privileges, sequences, users, seeds),
 * and functions of our own.
 */
import { FUNCTION_DOCS } from "../functions/function-docs.ts";

/** Functions in the place of a table. Whatever reads files, hosts or catalogs is a function, and none of them is here. */
export const TABLE_FUNCTIONS: ReadonlySet<string> = new Set(["unnest", "range", "generate_series"]);

/** Functions of values, aggregates and windows. */
export const FUNCTIONS: ReadonlySet<string> = new Set([
  ...FUNCTION_DOCS.map(({ name }) => name),
  ...`
  abs acos add age aggregate alias any_value apply approx_count_distinct approx_quantile arbitrary arg_max
  arg_min argmax argmin array_agg array_aggr array_aggregate array_append array_apply array_cat array_concat
  array_contains array_distinct array_extract array_filter array_has array_has_all array_has_any array_indexof
  array_intersect array_length array_pop_back array_pop_front array_position array_prepend array_push_back
  array_push_front array_resize array_reverse array_reverse_sort array_slice array_sort array_to_string
  array_transform array_unique ascii asin atan atan2 avg bar base64 bin bit_and bit_count bit_length bit_or
  bit_position bit_xor bitstring bitstring_agg bool_and bool_or cardinality cbrt ceil ceiling century chr
  coalesce columns combine concat concat_ws constant_or_null contains corr cos cot count count_if count_star
  covar_pop covar_samp cume_dist current_date damerau_levenshtein date_add date_diff date_part date_sub
  date_trunc datediff datepart datesub datetrunc day dayname dayofmonth dayofweek dayofyear decade decode
  degrees dense_rank divide editdist3 element_at encode ends_with entropy enum_code enum_first enum_last
  enum_range enum_range_boundary epoch epoch_ms epoch_ns epoch_us era error even exp factorial favg fdiv
  filter finalize first first_value flatten floor fmod format format_bytes format_pg_type format_type
  formatreadabledecimalsize from_base64 from_binary from_hex fsum gamma gcd gen_random_uuid generate_series
  geomean geometric_mean get_bit grouping grouping_id get_current_time get_current_timestamp greatest greatest_common_divisor
  group_concat hamming hash hex histogram hour if iff ifnull ilike_escape instr isfinite isinf isnan isodow
  isoyear jaccard jaro_similarity jaro_winkler_similarity julian kahan_sum kurtosis lag last last_day
  last_value lcase lcm lead least least_common_multiple left left_grapheme len length length_grapheme
  levenshtein lgamma like_escape list list_aggr list_aggregate list_any_value list_append list_apply
  list_approx_count_distinct list_avg list_bit_and list_bit_or list_bit_xor list_bool_and list_bool_or
  list_cat list_concat list_contains list_cosine_similarity list_count list_distance list_distinct
  list_dot_product list_element list_entropy list_extract list_filter list_first list_has list_has_all
  list_has_any list_histogram list_indexof list_inner_product list_intersect list_kurtosis list_last list_mad
  list_max list_median list_min list_mode list_pack list_position list_prepend list_product list_resize
  list_reverse list_reverse_sort list_sem list_skewness list_slice list_sort list_stddev_pop list_stddev_samp
  list_string_agg list_sum list_transform list_unique list_value list_var_pop list_var_samp ln log log10 log2
  lower lpad ltrim mad make_date make_time make_timestamp map map_concat map_entries map_extract
  map_from_entries map_keys map_values max max_by md5 md5_number md5_number_lower md5_number_upper mean median
  microsecond millennium millisecond min min_by minute mismatches mod mode month monthname multiply nextafter
  nfc_normalize not_ilike_escape not_like_escape now nth_value ntile nullif octet_length ord percent_rank
  pg_typeof pi position pow power prefix printf product quantile quantile_cont quantile_disc quarter radians
  random range rank rank_dense regexp_extract regexp_extract_all regexp_full_match regexp_matches
  regexp_replace regexp_split_to_array regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope
  regr_sxx regr_sxy regr_syy repeat replace reservoir_quantile reverse right right_grapheme round round_even
  roundbankers row row_number rpad rtrim second sem set_bit sha256 sign signbit sin skewness split split_part
  sqrt starts_with stddev stddev_pop stddev_samp stem str_split str_split_regex strftime string_agg
  string_split string_split_regex string_to_array strip_accents strlen strpos strptime struct_extract
  struct_insert struct_pack substr substring substring_grapheme subtract suffix sum sum_no_overflow sumkahan
  tan time_bucket timezone timezone_hour timezone_minute to_base to_base64 to_binary to_days to_hex to_hours
  to_microseconds to_milliseconds to_minutes to_months to_seconds to_timestamp to_years today
  transaction_timestamp translate trim trunc try_strptime typeof ucase unbin unhex unicode union_extract
  union_tag union_value unnest upper uuid var_pop var_samp variance week weekday weekofyear xor year yearweek
`
    .trim()
    .split(/\s+/),
]);
