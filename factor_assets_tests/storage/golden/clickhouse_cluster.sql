CREATE DATABASE IF NOT EXISTS `factor_assets` ON CLUSTER `prod`;

CREATE TABLE IF NOT EXISTS `factor_assets`.`commits` ON CLUSTER `prod`
(
    table_name LowCardinality(String),
    number UInt64 CODEC(Delta, ZSTD(1)),
    batch UInt64 CODEC(Delta, ZSTD(1)),
    operation LowCardinality(String),
    slice_start Nullable(String),
    slice_end Nullable(String),
    slice_tickers Array(String) CODEC(ZSTD(1)),
    n_rows UInt64,
    digest String,
    source LowCardinality(String),
    provenance String CODEC(ZSTD(1)),
    column_names Array(String) CODEC(ZSTD(1)),
    live Array(UInt64) CODEC(ZSTD(1)),
    hidden_batches Array(UInt64) CODEC(ZSTD(1)),
    hidden_starts Array(Int32) CODEC(ZSTD(1)),
    hidden_ends Array(Int32) CODEC(ZSTD(1)),
    hidden_tickers Array(Array(String)) CODEC(ZSTD(1)),
    deleted Array(UInt64) CODEC(ZSTD(1)),
    previous_at DateTime64(6, 'UTC'),
    committed_at DateTime64(6, 'UTC') DEFAULT greatest(now64(6, 'UTC'), previous_at + toIntervalMicrosecond(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/commits', '{shard}-{replica}')
ORDER BY (table_name, number)
SETTINGS replicated_deduplication_window = 100000, replicated_deduplication_window_seconds = 604800;

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_corporate_actions` ON CLUSTER `prod`
(
    `date` Date32 CODEC(Delta, ZSTD(1)),
    `ticker` LowCardinality(String) CODEC(ZSTD(1)),
    `dividend` Nullable(Float64) CODEC(ZSTD(1)),
    `split` Nullable(Float64) CODEC(ZSTD(1)),
    `implied_adjustment` Nullable(Float64) CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYear(`date`)
PRIMARY KEY (`date`, `ticker`)
ORDER BY (`date`, `ticker`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_corporate_actions` ON CLUSTER `prod` AS `factor_assets`.`local_rows_corporate_actions`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_corporate_actions`, cityHash64(`ticker`));

CREATE OR REPLACE VIEW `factor_assets`.`corporate_actions` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'corporate_actions' GROUP BY table_name)) AS _state
SELECT rows.`date` AS `date`, rows.`ticker` AS `ticker`, rows.`dividend` AS `dividend`, rows.`split` AS `split`, rows.`implied_adjustment` AS `implied_adjustment`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_corporate_actions` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'corporate_actions' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND toInt32(rows.`date`) >= _part.2 AND toInt32(rows.`date`) < _part.3 AND (empty(_part.4) OR has(_part.4, rows.`ticker`)), _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_document_scores` ON CLUSTER `prod`
(
    `date` Date32 CODEC(Delta, ZSTD(1)),
    `ticker` LowCardinality(String) CODEC(ZSTD(1)),
    `news_sentiment` Nullable(Float64) CODEC(ZSTD(1)),
    `rating_ceo_statement` Nullable(Float64) CODEC(ZSTD(1)),
    `rating_esg_initiatives` Nullable(Float64) CODEC(ZSTD(1)),
    `rating_market_trends` Nullable(Float64) CODEC(ZSTD(1)),
    `rating_risk_factors` Nullable(Float64) CODEC(ZSTD(1)),
    `rating_strategic_priorities` Nullable(Float64) CODEC(ZSTD(1)),
    `filing_similarity` Nullable(Float64) CODEC(ZSTD(1)),
    `filing_length` Nullable(Float64) CODEC(ZSTD(1)),
    `filing_tone` Nullable(Float64) CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYear(`date`)
PRIMARY KEY (`date`, `ticker`)
ORDER BY (`date`, `ticker`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_document_scores` ON CLUSTER `prod` AS `factor_assets`.`local_rows_document_scores`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_document_scores`, cityHash64(`ticker`));

CREATE OR REPLACE VIEW `factor_assets`.`document_scores` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'document_scores' GROUP BY table_name)) AS _state
SELECT rows.`date` AS `date`, rows.`ticker` AS `ticker`, rows.`news_sentiment` AS `news_sentiment`, rows.`rating_ceo_statement` AS `rating_ceo_statement`, rows.`rating_esg_initiatives` AS `rating_esg_initiatives`, rows.`rating_market_trends` AS `rating_market_trends`, rows.`rating_risk_factors` AS `rating_risk_factors`, rows.`rating_strategic_priorities` AS `rating_strategic_priorities`, rows.`filing_similarity` AS `filing_similarity`, rows.`filing_length` AS `filing_length`, rows.`filing_tone` AS `filing_tone`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_document_scores` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'document_scores' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND toInt32(rows.`date`) >= _part.2 AND toInt32(rows.`date`) < _part.3 AND (empty(_part.4) OR has(_part.4, rows.`ticker`)), _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_factor_correlations` ON CLUSTER `prod`
(
    `factor_name` LowCardinality(String) CODEC(ZSTD(1)),
    `factor_type` LowCardinality(String) CODEC(ZSTD(1)),
    `other_name` LowCardinality(String) CODEC(ZSTD(1)),
    `other_type` LowCardinality(String) CODEC(ZSTD(1)),
    `return_correlation` Nullable(Float64) CODEC(ZSTD(1)),
    `rank_correlation` Nullable(Float64) CODEC(ZSTD(1)),
    `cluster` Nullable(Int64) CODEC(ZSTD(1)),
    `place` Nullable(Int64) CODEC(ZSTD(1)),
    `universe` String CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PRIMARY KEY (`factor_type`, `factor_name`, `other_type`, `other_name`)
ORDER BY (`factor_type`, `factor_name`, `other_type`, `other_name`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_factor_correlations` ON CLUSTER `prod` AS `factor_assets`.`local_rows_factor_correlations`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_factor_correlations`, 0);

CREATE OR REPLACE VIEW `factor_assets`.`factor_correlations` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'factor_correlations' GROUP BY table_name)) AS _state
SELECT rows.`factor_name` AS `factor_name`, rows.`factor_type` AS `factor_type`, rows.`other_name` AS `other_name`, rows.`other_type` AS `other_type`, rows.`return_correlation` AS `return_correlation`, rows.`rank_correlation` AS `rank_correlation`, rows.`cluster` AS `cluster`, rows.`place` AS `place`, rows.`universe` AS `universe`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_factor_correlations` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'factor_correlations' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch, _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_factor_details` ON CLUSTER `prod`
(
    `factor_name` LowCardinality(String) CODEC(ZSTD(1)),
    `factor_type` LowCardinality(String) CODEC(ZSTD(1)),
    `test_date` Date32 CODEC(Delta, ZSTD(1)),
    `ticker` LowCardinality(String) CODEC(ZSTD(1)),
    `alpha` Nullable(Float64) CODEC(ZSTD(1)),
    `beta` Nullable(Float64) CODEC(ZSTD(1)),
    `tstat` Nullable(Float64) CODEC(ZSTD(1)),
    `pvalue` Nullable(Float64) CODEC(ZSTD(1)),
    `rsquared` Nullable(Float64) CODEC(ZSTD(1)),
    `conf_int_lower` Nullable(Float64) CODEC(ZSTD(1)),
    `conf_int_upper` Nullable(Float64) CODEC(ZSTD(1)),
    `n_observations` Nullable(Int64) CODEC(ZSTD(1)),
    `alpha_tstat` Nullable(Float64) CODEC(ZSTD(1)),
    `newey_west_tstat` Nullable(Float64) CODEC(ZSTD(1)),
    `newey_west_pvalue` Nullable(Float64) CODEC(ZSTD(1)),
    `start_date` Nullable(Date32) CODEC(ZSTD(1)),
    `end_date` Nullable(Date32) CODEC(ZSTD(1)),
    `universe` String CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PRIMARY KEY (`ticker`, `factor_type`, `factor_name`)
ORDER BY (`ticker`, `factor_type`, `factor_name`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_factor_details` ON CLUSTER `prod` AS `factor_assets`.`local_rows_factor_details`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_factor_details`, cityHash64(`ticker`));

CREATE OR REPLACE VIEW `factor_assets`.`factor_details` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'factor_details' GROUP BY table_name)) AS _state
SELECT rows.`factor_name` AS `factor_name`, rows.`factor_type` AS `factor_type`, rows.`test_date` AS `test_date`, rows.`ticker` AS `ticker`, rows.`alpha` AS `alpha`, rows.`beta` AS `beta`, rows.`tstat` AS `tstat`, rows.`pvalue` AS `pvalue`, rows.`rsquared` AS `rsquared`, rows.`conf_int_lower` AS `conf_int_lower`, rows.`conf_int_upper` AS `conf_int_upper`, rows.`n_observations` AS `n_observations`, rows.`alpha_tstat` AS `alpha_tstat`, rows.`newey_west_tstat` AS `newey_west_tstat`, rows.`newey_west_pvalue` AS `newey_west_pvalue`, rows.`start_date` AS `start_date`, rows.`end_date` AS `end_date`, rows.`universe` AS `universe`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_factor_details` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'factor_details' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND (empty(_part.4) OR has(_part.4, rows.`ticker`)), _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_factor_event_curves` ON CLUSTER `prod`
(
    `factor_name` LowCardinality(String) CODEC(ZSTD(1)),
    `factor_type` LowCardinality(String) CODEC(ZSTD(1)),
    `offset` Int64 CODEC(ZSTD(1)),
    `top_curve` Nullable(Float64) CODEC(ZSTD(1)),
    `bottom_curve` Nullable(Float64) CODEC(ZSTD(1)),
    `n_sorts` Nullable(Int64) CODEC(ZSTD(1)),
    `universe` String CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PRIMARY KEY (`factor_type`, `factor_name`, `offset`)
ORDER BY (`factor_type`, `factor_name`, `offset`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_factor_event_curves` ON CLUSTER `prod` AS `factor_assets`.`local_rows_factor_event_curves`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_factor_event_curves`, 0);

CREATE OR REPLACE VIEW `factor_assets`.`factor_event_curves` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'factor_event_curves' GROUP BY table_name)) AS _state
SELECT rows.`factor_name` AS `factor_name`, rows.`factor_type` AS `factor_type`, rows.`offset` AS `offset`, rows.`top_curve` AS `top_curve`, rows.`bottom_curve` AS `bottom_curve`, rows.`n_sorts` AS `n_sorts`, rows.`universe` AS `universe`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_factor_event_curves` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'factor_event_curves' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch, _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_factor_evidence` ON CLUSTER `prod`
(
    `factor_name` LowCardinality(String) CODEC(ZSTD(1)),
    `factor_type` LowCardinality(String) CODEC(ZSTD(1)),
    `horizon` Int64 CODEC(ZSTD(1)),
    `test_date` Date32 CODEC(Delta, ZSTD(1)),
    `start_date` Nullable(Date32) CODEC(ZSTD(1)),
    `end_date` Nullable(Date32) CODEC(ZSTD(1)),
    `has_holdout` Bool CODEC(ZSTD(1)),
    `n_sessions` Nullable(Int64) CODEC(ZSTD(1)),
    `mean_ic` Nullable(Float64) CODEC(ZSTD(1)),
    `mean_rank_ic` Nullable(Float64) CODEC(ZSTD(1)),
    `icir` Nullable(Float64) CODEC(ZSTD(1)),
    `mean_rank_ic_tstat` Nullable(Float64) CODEC(ZSTD(1)),
    `rank_ic_pvalue` Nullable(Float64) CODEC(ZSTD(1)),
    `bonferroni_pvalue` Nullable(Float64) CODEC(ZSTD(1)),
    `holm_pvalue` Nullable(Float64) CODEC(ZSTD(1)),
    `fdr_pvalue` Nullable(Float64) CODEC(ZSTD(1)),
    `fdr_any_pvalue` Nullable(Float64) CODEC(ZSTD(1)),
    `n_trials` Nullable(Int64) CODEC(ZSTD(1)),
    `hit_rate` Nullable(Float64) CODEC(ZSTD(1)),
    `monotonicity_pvalue` Nullable(Float64) CODEC(ZSTD(1)),
    `session_sharpe_ratio` Nullable(Float64) CODEC(ZSTD(1)),
    `probabilistic_sharpe_ratio` Nullable(Float64) CODEC(ZSTD(1)),
    `deflated_sharpe_ratio` Nullable(Float64) CODEC(ZSTD(1)),
    `min_track_record` Nullable(Float64) CODEC(ZSTD(1)),
    `mean_rank_autocorrelation` Nullable(Float64) CODEC(ZSTD(1)),
    `mean_turnover` Nullable(Float64) CODEC(ZSTD(1)),
    `mean_coverage` Nullable(Float64) CODEC(ZSTD(1)),
    `median_capacity` Nullable(Float64) CODEC(ZSTD(1)),
    `fama_macbeth_premium` Nullable(Float64) CODEC(ZSTD(1)),
    `fama_macbeth_tstat` Nullable(Float64) CODEC(ZSTD(1)),
    `random_portfolio_pvalue` Nullable(Float64) CODEC(ZSTD(1)),
    `closest_factor` Nullable(String) CODEC(ZSTD(1)),
    `closest_correlation` Nullable(Float64) CODEC(ZSTD(1)),
    `neutralised_on` Nullable(String) CODEC(ZSTD(1)),
    `marginal_rank_ic` Nullable(Float64) CODEC(ZSTD(1)),
    `marginal_rank_ic_tstat` Nullable(Float64) CODEC(ZSTD(1)),
    `reason` Nullable(String) CODEC(ZSTD(1)),
    `universe` String CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PRIMARY KEY (`factor_type`, `factor_name`, `horizon`)
ORDER BY (`factor_type`, `factor_name`, `horizon`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_factor_evidence` ON CLUSTER `prod` AS `factor_assets`.`local_rows_factor_evidence`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_factor_evidence`, 0);

CREATE OR REPLACE VIEW `factor_assets`.`factor_evidence` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'factor_evidence' GROUP BY table_name)) AS _state
SELECT rows.`factor_name` AS `factor_name`, rows.`factor_type` AS `factor_type`, rows.`horizon` AS `horizon`, rows.`test_date` AS `test_date`, rows.`start_date` AS `start_date`, rows.`end_date` AS `end_date`, rows.`has_holdout` AS `has_holdout`, rows.`n_sessions` AS `n_sessions`, rows.`mean_ic` AS `mean_ic`, rows.`mean_rank_ic` AS `mean_rank_ic`, rows.`icir` AS `icir`, rows.`mean_rank_ic_tstat` AS `mean_rank_ic_tstat`, rows.`rank_ic_pvalue` AS `rank_ic_pvalue`, rows.`bonferroni_pvalue` AS `bonferroni_pvalue`, rows.`holm_pvalue` AS `holm_pvalue`, rows.`fdr_pvalue` AS `fdr_pvalue`, rows.`fdr_any_pvalue` AS `fdr_any_pvalue`, rows.`n_trials` AS `n_trials`, rows.`hit_rate` AS `hit_rate`, rows.`monotonicity_pvalue` AS `monotonicity_pvalue`, rows.`session_sharpe_ratio` AS `session_sharpe_ratio`, rows.`probabilistic_sharpe_ratio` AS `probabilistic_sharpe_ratio`, rows.`deflated_sharpe_ratio` AS `deflated_sharpe_ratio`, rows.`min_track_record` AS `min_track_record`, rows.`mean_rank_autocorrelation` AS `mean_rank_autocorrelation`, rows.`mean_turnover` AS `mean_turnover`, rows.`mean_coverage` AS `mean_coverage`, rows.`median_capacity` AS `median_capacity`, rows.`fama_macbeth_premium` AS `fama_macbeth_premium`, rows.`fama_macbeth_tstat` AS `fama_macbeth_tstat`, rows.`random_portfolio_pvalue` AS `random_portfolio_pvalue`, rows.`closest_factor` AS `closest_factor`, rows.`closest_correlation` AS `closest_correlation`, rows.`neutralised_on` AS `neutralised_on`, rows.`marginal_rank_ic` AS `marginal_rank_ic`, rows.`marginal_rank_ic_tstat` AS `marginal_rank_ic_tstat`, rows.`reason` AS `reason`, rows.`universe` AS `universe`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_factor_evidence` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'factor_evidence' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch, _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_factor_information` ON CLUSTER `prod`
(
    `factor_name` LowCardinality(String) CODEC(ZSTD(1)),
    `factor_type` LowCardinality(String) CODEC(ZSTD(1)),
    `date` Date32 CODEC(Delta, ZSTD(1)),
    `horizon` Int64 CODEC(ZSTD(1)),
    `ic` Nullable(Float64) CODEC(ZSTD(1)),
    `rank_ic` Nullable(Float64) CODEC(ZSTD(1)),
    `n_pairs` Nullable(Int64) CODEC(ZSTD(1)),
    `universe` String CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYear(`date`)
PRIMARY KEY (`date`, `factor_type`, `factor_name`, `horizon`)
ORDER BY (`date`, `factor_type`, `factor_name`, `horizon`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_factor_information` ON CLUSTER `prod` AS `factor_assets`.`local_rows_factor_information`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_factor_information`, 0);

CREATE OR REPLACE VIEW `factor_assets`.`factor_information` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'factor_information' GROUP BY table_name)) AS _state
SELECT rows.`factor_name` AS `factor_name`, rows.`factor_type` AS `factor_type`, rows.`date` AS `date`, rows.`horizon` AS `horizon`, rows.`ic` AS `ic`, rows.`rank_ic` AS `rank_ic`, rows.`n_pairs` AS `n_pairs`, rows.`universe` AS `universe`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_factor_information` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'factor_information' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND toInt32(rows.`date`) >= _part.2 AND toInt32(rows.`date`) < _part.3, _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_factor_quantiles` ON CLUSTER `prod`
(
    `factor_name` LowCardinality(String) CODEC(ZSTD(1)),
    `factor_type` LowCardinality(String) CODEC(ZSTD(1)),
    `date` Date32 CODEC(Delta, ZSTD(1)),
    `quantile` Int64 CODEC(ZSTD(1)),
    `quantile_return` Nullable(Float64) CODEC(ZSTD(1)),
    `n_tickers` Nullable(Int64) CODEC(ZSTD(1)),
    `universe` String CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYear(`date`)
PRIMARY KEY (`date`, `factor_type`, `factor_name`, `quantile`)
ORDER BY (`date`, `factor_type`, `factor_name`, `quantile`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_factor_quantiles` ON CLUSTER `prod` AS `factor_assets`.`local_rows_factor_quantiles`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_factor_quantiles`, 0);

CREATE OR REPLACE VIEW `factor_assets`.`factor_quantiles` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'factor_quantiles' GROUP BY table_name)) AS _state
SELECT rows.`factor_name` AS `factor_name`, rows.`factor_type` AS `factor_type`, rows.`date` AS `date`, rows.`quantile` AS `quantile`, rows.`quantile_return` AS `quantile_return`, rows.`n_tickers` AS `n_tickers`, rows.`universe` AS `universe`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_factor_quantiles` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'factor_quantiles' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND toInt32(rows.`date`) >= _part.2 AND toInt32(rows.`date`) < _part.3, _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_factor_rolling_betas` ON CLUSTER `prod`
(
    `factor_name` LowCardinality(String) CODEC(ZSTD(1)),
    `factor_type` LowCardinality(String) CODEC(ZSTD(1)),
    `date` Date32 CODEC(Delta, ZSTD(1)),
    `ticker` LowCardinality(String) CODEC(ZSTD(1)),
    `rolling_beta` Nullable(Float64) CODEC(ZSTD(1)),
    `rolling_beta_tstat` Nullable(Float64) CODEC(ZSTD(1)),
    `rolling_rsquared` Nullable(Float64) CODEC(ZSTD(1)),
    `n_observations` Nullable(Int64) CODEC(ZSTD(1)),
    `universe` String CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PRIMARY KEY (`ticker`, `factor_type`, `factor_name`, `date`)
ORDER BY (`ticker`, `factor_type`, `factor_name`, `date`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_factor_rolling_betas` ON CLUSTER `prod` AS `factor_assets`.`local_rows_factor_rolling_betas`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_factor_rolling_betas`, cityHash64(`ticker`));

CREATE OR REPLACE VIEW `factor_assets`.`factor_rolling_betas` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'factor_rolling_betas' GROUP BY table_name)) AS _state
SELECT rows.`factor_name` AS `factor_name`, rows.`factor_type` AS `factor_type`, rows.`date` AS `date`, rows.`ticker` AS `ticker`, rows.`rolling_beta` AS `rolling_beta`, rows.`rolling_beta_tstat` AS `rolling_beta_tstat`, rows.`rolling_rsquared` AS `rolling_rsquared`, rows.`n_observations` AS `n_observations`, rows.`universe` AS `universe`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_factor_rolling_betas` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'factor_rolling_betas' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND toInt32(rows.`date`) >= _part.2 AND toInt32(rows.`date`) < _part.3 AND (empty(_part.4) OR has(_part.4, rows.`ticker`)), _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_factor_selection` ON CLUSTER `prod`
(
    `scope` LowCardinality(String) CODEC(ZSTD(1)),
    `n_factors` Nullable(Int64) CODEC(ZSTD(1)),
    `n_sessions` Nullable(Int64) CODEC(ZSTD(1)),
    `start_date` Nullable(Date32) CODEC(ZSTD(1)),
    `end_date` Nullable(Date32) CODEC(ZSTD(1)),
    `best_factor` Nullable(String) CODEC(ZSTD(1)),
    `best_sharpe_ratio` Nullable(Float64) CODEC(ZSTD(1)),
    `overfitting_probability` Nullable(Float64) CODEC(ZSTD(1)),
    `degradation_slope` Nullable(Float64) CODEC(ZSTD(1)),
    `loss_probability` Nullable(Float64) CODEC(ZSTD(1)),
    `superior_ability_pvalue` Nullable(Float64) CODEC(ZSTD(1)),
    `superior_ability_pvalue_lower` Nullable(Float64) CODEC(ZSTD(1)),
    `superior_ability_pvalue_upper` Nullable(Float64) CODEC(ZSTD(1)),
    `grs_statistic` Nullable(Float64) CODEC(ZSTD(1)),
    `grs_pvalue` Nullable(Float64) CODEC(ZSTD(1)),
    `n_trials` Nullable(Int64) CODEC(ZSTD(1)),
    `reason` Nullable(String) CODEC(ZSTD(1)),
    `universe` String CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PRIMARY KEY (`scope`)
ORDER BY (`scope`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_factor_selection` ON CLUSTER `prod` AS `factor_assets`.`local_rows_factor_selection`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_factor_selection`, 0);

CREATE OR REPLACE VIEW `factor_assets`.`factor_selection` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'factor_selection' GROUP BY table_name)) AS _state
SELECT rows.`scope` AS `scope`, rows.`n_factors` AS `n_factors`, rows.`n_sessions` AS `n_sessions`, rows.`start_date` AS `start_date`, rows.`end_date` AS `end_date`, rows.`best_factor` AS `best_factor`, rows.`best_sharpe_ratio` AS `best_sharpe_ratio`, rows.`overfitting_probability` AS `overfitting_probability`, rows.`degradation_slope` AS `degradation_slope`, rows.`loss_probability` AS `loss_probability`, rows.`superior_ability_pvalue` AS `superior_ability_pvalue`, rows.`superior_ability_pvalue_lower` AS `superior_ability_pvalue_lower`, rows.`superior_ability_pvalue_upper` AS `superior_ability_pvalue_upper`, rows.`grs_statistic` AS `grs_statistic`, rows.`grs_pvalue` AS `grs_pvalue`, rows.`n_trials` AS `n_trials`, rows.`reason` AS `reason`, rows.`universe` AS `universe`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_factor_selection` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'factor_selection' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch, _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_factor_spanning` ON CLUSTER `prod`
(
    `factor_name` LowCardinality(String) CODEC(ZSTD(1)),
    `factor_type` LowCardinality(String) CODEC(ZSTD(1)),
    `benchmark` LowCardinality(String) CODEC(ZSTD(1)),
    `coefficient` LowCardinality(String) CODEC(ZSTD(1)),
    `loading` Nullable(Float64) CODEC(ZSTD(1)),
    `loading_tstat` Nullable(Float64) CODEC(ZSTD(1)),
    `loading_pvalue` Nullable(Float64) CODEC(ZSTD(1)),
    `spanning_rsquared` Nullable(Float64) CODEC(ZSTD(1)),
    `n_sessions` Nullable(Int64) CODEC(ZSTD(1)),
    `start_date` Nullable(Date32) CODEC(ZSTD(1)),
    `end_date` Nullable(Date32) CODEC(ZSTD(1)),
    `reason` Nullable(String) CODEC(ZSTD(1)),
    `universe` String CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PRIMARY KEY (`factor_type`, `factor_name`, `benchmark`, `coefficient`)
ORDER BY (`factor_type`, `factor_name`, `benchmark`, `coefficient`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_factor_spanning` ON CLUSTER `prod` AS `factor_assets`.`local_rows_factor_spanning`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_factor_spanning`, 0);

CREATE OR REPLACE VIEW `factor_assets`.`factor_spanning` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'factor_spanning' GROUP BY table_name)) AS _state
SELECT rows.`factor_name` AS `factor_name`, rows.`factor_type` AS `factor_type`, rows.`benchmark` AS `benchmark`, rows.`coefficient` AS `coefficient`, rows.`loading` AS `loading`, rows.`loading_tstat` AS `loading_tstat`, rows.`loading_pvalue` AS `loading_pvalue`, rows.`spanning_rsquared` AS `spanning_rsquared`, rows.`n_sessions` AS `n_sessions`, rows.`start_date` AS `start_date`, rows.`end_date` AS `end_date`, rows.`reason` AS `reason`, rows.`universe` AS `universe`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_factor_spanning` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'factor_spanning' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch, _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_factor_summary` ON CLUSTER `prod`
(
    `factor_name` LowCardinality(String) CODEC(ZSTD(1)),
    `factor_type` LowCardinality(String) CODEC(ZSTD(1)),
    `test_date` Date32 CODEC(Delta, ZSTD(1)),
    `start_date` Nullable(Date32) CODEC(ZSTD(1)),
    `end_date` Nullable(Date32) CODEC(ZSTD(1)),
    `avg_beta` Nullable(Float64) CODEC(ZSTD(1)),
    `avg_tstat` Nullable(Float64) CODEC(ZSTD(1)),
    `avg_rsquared` Nullable(Float64) CODEC(ZSTD(1)),
    `significant_stocks` Nullable(Int64) CODEC(ZSTD(1)),
    `total_stocks` Nullable(Int64) CODEC(ZSTD(1)),
    `annualized_return` Nullable(Float64) CODEC(ZSTD(1)),
    `annualized_volatility` Nullable(Float64) CODEC(ZSTD(1)),
    `sharpe_ratio` Nullable(Float64) CODEC(ZSTD(1)),
    `max_drawdown` Nullable(Float64) CODEC(ZSTD(1)),
    `description` Nullable(String) CODEC(ZSTD(1)),
    `mean_factor_return` Nullable(Float64) CODEC(ZSTD(1)),
    `factor_return_tstat` Nullable(Float64) CODEC(ZSTD(1)),
    `mean_rank_ic` Nullable(Float64) CODEC(ZSTD(1)),
    `rank_ic_tstat` Nullable(Float64) CODEC(ZSTD(1)),
    `mean_coverage` Nullable(Float64) CODEC(ZSTD(1)),
    `mean_turnover` Nullable(Float64) CODEC(ZSTD(1)),
    `n_sessions` Nullable(Int64) CODEC(ZSTD(1)),
    `n_null_sessions` Nullable(Int64) CODEC(ZSTD(1)),
    `universe` String CODEC(ZSTD(1)),
    `membership` String CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PRIMARY KEY (`factor_type`, `factor_name`)
ORDER BY (`factor_type`, `factor_name`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_factor_summary` ON CLUSTER `prod` AS `factor_assets`.`local_rows_factor_summary`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_factor_summary`, 0);

CREATE OR REPLACE VIEW `factor_assets`.`factor_summary` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'factor_summary' GROUP BY table_name)) AS _state
SELECT rows.`factor_name` AS `factor_name`, rows.`factor_type` AS `factor_type`, rows.`test_date` AS `test_date`, rows.`start_date` AS `start_date`, rows.`end_date` AS `end_date`, rows.`avg_beta` AS `avg_beta`, rows.`avg_tstat` AS `avg_tstat`, rows.`avg_rsquared` AS `avg_rsquared`, rows.`significant_stocks` AS `significant_stocks`, rows.`total_stocks` AS `total_stocks`, rows.`annualized_return` AS `annualized_return`, rows.`annualized_volatility` AS `annualized_volatility`, rows.`sharpe_ratio` AS `sharpe_ratio`, rows.`max_drawdown` AS `max_drawdown`, rows.`description` AS `description`, rows.`mean_factor_return` AS `mean_factor_return`, rows.`factor_return_tstat` AS `factor_return_tstat`, rows.`mean_rank_ic` AS `mean_rank_ic`, rows.`rank_ic_tstat` AS `rank_ic_tstat`, rows.`mean_coverage` AS `mean_coverage`, rows.`mean_turnover` AS `mean_turnover`, rows.`n_sessions` AS `n_sessions`, rows.`n_null_sessions` AS `n_null_sessions`, rows.`universe` AS `universe`, rows.`membership` AS `membership`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_factor_summary` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'factor_summary' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch, _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_factor_timeseries` ON CLUSTER `prod`
(
    `factor_name` LowCardinality(String) CODEC(ZSTD(1)),
    `factor_type` LowCardinality(String) CODEC(ZSTD(1)),
    `date` Date32 CODEC(Delta, ZSTD(1)),
    `factor_value` Nullable(Float64) CODEC(ZSTD(1)),
    `high_portfolio_return` Nullable(Float64) CODEC(ZSTD(1)),
    `low_portfolio_return` Nullable(Float64) CODEC(ZSTD(1)),
    `n_ranked` Nullable(Int64) CODEC(ZSTD(1)),
    `n_high` Nullable(Int64) CODEC(ZSTD(1)),
    `n_low` Nullable(Int64) CODEC(ZSTD(1)),
    `n_missing_returns` Nullable(Int64) CODEC(ZSTD(1)),
    `n_missing_market_caps` Nullable(Int64) CODEC(ZSTD(1)),
    `reason` Nullable(String) CODEC(ZSTD(1)),
    `rank_ic` Nullable(Float64) CODEC(ZSTD(1)),
    `coverage` Nullable(Float64) CODEC(ZSTD(1)),
    `turnover` Nullable(Float64) CODEC(ZSTD(1)),
    `universe` String CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYear(`date`)
PRIMARY KEY (`date`, `factor_type`, `factor_name`)
ORDER BY (`date`, `factor_type`, `factor_name`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_factor_timeseries` ON CLUSTER `prod` AS `factor_assets`.`local_rows_factor_timeseries`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_factor_timeseries`, 0);

CREATE OR REPLACE VIEW `factor_assets`.`factor_timeseries` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'factor_timeseries' GROUP BY table_name)) AS _state
SELECT rows.`factor_name` AS `factor_name`, rows.`factor_type` AS `factor_type`, rows.`date` AS `date`, rows.`factor_value` AS `factor_value`, rows.`high_portfolio_return` AS `high_portfolio_return`, rows.`low_portfolio_return` AS `low_portfolio_return`, rows.`n_ranked` AS `n_ranked`, rows.`n_high` AS `n_high`, rows.`n_low` AS `n_low`, rows.`n_missing_returns` AS `n_missing_returns`, rows.`n_missing_market_caps` AS `n_missing_market_caps`, rows.`reason` AS `reason`, rows.`rank_ic` AS `rank_ic`, rows.`coverage` AS `coverage`, rows.`turnover` AS `turnover`, rows.`universe` AS `universe`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_factor_timeseries` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'factor_timeseries' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND toInt32(rows.`date`) >= _part.2 AND toInt32(rows.`date`) < _part.3, _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_factor_trading` ON CLUSTER `prod`
(
    `factor_name` LowCardinality(String) CODEC(ZSTD(1)),
    `factor_type` LowCardinality(String) CODEC(ZSTD(1)),
    `date` Date32 CODEC(Delta, ZSTD(1)),
    `rank_autocorrelation` Nullable(Float64) CODEC(ZSTD(1)),
    `turnover` Nullable(Float64) CODEC(ZSTD(1)),
    `capacity` Nullable(Float64) CODEC(ZSTD(1)),
    `universe` String CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYear(`date`)
PRIMARY KEY (`date`, `factor_type`, `factor_name`)
ORDER BY (`date`, `factor_type`, `factor_name`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_factor_trading` ON CLUSTER `prod` AS `factor_assets`.`local_rows_factor_trading`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_factor_trading`, 0);

CREATE OR REPLACE VIEW `factor_assets`.`factor_trading` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'factor_trading' GROUP BY table_name)) AS _state
SELECT rows.`factor_name` AS `factor_name`, rows.`factor_type` AS `factor_type`, rows.`date` AS `date`, rows.`rank_autocorrelation` AS `rank_autocorrelation`, rows.`turnover` AS `turnover`, rows.`capacity` AS `capacity`, rows.`universe` AS `universe`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_factor_trading` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'factor_trading' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND toInt32(rows.`date`) >= _part.2 AND toInt32(rows.`date`) < _part.3, _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_factor_variants` ON CLUSTER `prod`
(
    `factor_name` LowCardinality(String) CODEC(ZSTD(1)),
    `factor_type` LowCardinality(String) CODEC(ZSTD(1)),
    `date` Date32 CODEC(Delta, ZSTD(1)),
    `variant` LowCardinality(String) CODEC(ZSTD(1)),
    `variant_return` Nullable(Float64) CODEC(ZSTD(1)),
    `variant_turnover` Nullable(Float64) CODEC(ZSTD(1)),
    `reason` Nullable(String) CODEC(ZSTD(1)),
    `universe` String CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYear(`date`)
PRIMARY KEY (`date`, `factor_type`, `factor_name`, `variant`)
ORDER BY (`date`, `factor_type`, `factor_name`, `variant`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_factor_variants` ON CLUSTER `prod` AS `factor_assets`.`local_rows_factor_variants`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_factor_variants`, 0);

CREATE OR REPLACE VIEW `factor_assets`.`factor_variants` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'factor_variants' GROUP BY table_name)) AS _state
SELECT rows.`factor_name` AS `factor_name`, rows.`factor_type` AS `factor_type`, rows.`date` AS `date`, rows.`variant` AS `variant`, rows.`variant_return` AS `variant_return`, rows.`variant_turnover` AS `variant_turnover`, rows.`reason` AS `reason`, rows.`universe` AS `universe`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_factor_variants` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'factor_variants' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND toInt32(rows.`date`) >= _part.2 AND toInt32(rows.`date`) < _part.3, _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_facts` ON CLUSTER `prod`
(
    `ticker` LowCardinality(String) CODEC(ZSTD(1)),
    `cik` String CODEC(ZSTD(1)),
    `concept` LowCardinality(String) CODEC(ZSTD(1)),
    `period_start` Nullable(Date32) CODEC(ZSTD(1)),
    `period_end` Date32 CODEC(Delta, ZSTD(1)),
    `duration` Nullable(String) CODEC(ZSTD(1)),
    `fact_value` Nullable(Float64) CODEC(ZSTD(1)),
    `fact_unit` LowCardinality(String) CODEC(ZSTD(1)),
    `fiscal_year` Nullable(Int64) CODEC(ZSTD(1)),
    `fiscal_quarter` Nullable(Int64) CODEC(ZSTD(1)),
    `form` Nullable(String) CODEC(ZSTD(1)),
    `accession` LowCardinality(String) CODEC(ZSTD(1)),
    `filed` Date32 CODEC(Delta, ZSTD(1)),
    `accepted_at` Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)),
    `known_from` Nullable(Date32) CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PRIMARY KEY (`ticker`, `concept`, `fact_unit`, `period_end`, `period_start`, `filed`, `accession`)
ORDER BY (`ticker`, `concept`, `fact_unit`, `period_end`, `period_start`, `filed`, `accession`, _batch, _row)
SETTINGS replicated_deduplication_window = 100, allow_nullable_key = 1;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_facts` ON CLUSTER `prod` AS `factor_assets`.`local_rows_facts`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_facts`, cityHash64(`ticker`));

CREATE OR REPLACE VIEW `factor_assets`.`facts` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'facts' GROUP BY table_name)) AS _state
SELECT rows.`ticker` AS `ticker`, rows.`cik` AS `cik`, rows.`concept` AS `concept`, rows.`period_start` AS `period_start`, rows.`period_end` AS `period_end`, rows.`duration` AS `duration`, rows.`fact_value` AS `fact_value`, rows.`fact_unit` AS `fact_unit`, rows.`fiscal_year` AS `fiscal_year`, rows.`fiscal_quarter` AS `fiscal_quarter`, rows.`form` AS `form`, rows.`accession` AS `accession`, rows.`filed` AS `filed`, rows.`accepted_at` AS `accepted_at`, rows.`known_from` AS `known_from`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_facts` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'facts' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND (empty(_part.4) OR has(_part.4, rows.`ticker`)), _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_filing_texts` ON CLUSTER `prod`
(
    `ticker` LowCardinality(String) CODEC(ZSTD(1)),
    `accession` LowCardinality(String) CODEC(ZSTD(1)),
    `form` Nullable(String) CODEC(ZSTD(1)),
    `report_date` Nullable(Date32) CODEC(ZSTD(1)),
    `filed` Date32 CODEC(Delta, ZSTD(1)),
    `known_from` Nullable(Date32) CODEC(ZSTD(1)),
    `document_id` Nullable(String) CODEC(ZSTD(1)),
    `n_words` Nullable(Int64) CODEC(ZSTD(1)),
    `similarity_cosine` Nullable(Float64) CODEC(ZSTD(1)),
    `similarity_jaccard` Nullable(Float64) CODEC(ZSTD(1)),
    `tone` Nullable(Float64) CODEC(ZSTD(1)),
    `negative_share` Nullable(Float64) CODEC(ZSTD(1)),
    `previous_accession` Nullable(String) CODEC(ZSTD(1)),
    `error` Nullable(String) CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PRIMARY KEY (`ticker`, `accession`)
ORDER BY (`ticker`, `accession`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_filing_texts` ON CLUSTER `prod` AS `factor_assets`.`local_rows_filing_texts`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_filing_texts`, cityHash64(`ticker`));

CREATE OR REPLACE VIEW `factor_assets`.`filing_texts` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'filing_texts' GROUP BY table_name)) AS _state
SELECT rows.`ticker` AS `ticker`, rows.`accession` AS `accession`, rows.`form` AS `form`, rows.`report_date` AS `report_date`, rows.`filed` AS `filed`, rows.`known_from` AS `known_from`, rows.`document_id` AS `document_id`, rows.`n_words` AS `n_words`, rows.`similarity_cosine` AS `similarity_cosine`, rows.`similarity_jaccard` AS `similarity_jaccard`, rows.`tone` AS `tone`, rows.`negative_share` AS `negative_share`, rows.`previous_accession` AS `previous_accession`, rows.`error` AS `error`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_filing_texts` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'filing_texts' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND (empty(_part.4) OR has(_part.4, rows.`ticker`)), _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_filings` ON CLUSTER `prod`
(
    `ticker` LowCardinality(String) CODEC(ZSTD(1)),
    `cik` String CODEC(ZSTD(1)),
    `accession` LowCardinality(String) CODEC(ZSTD(1)),
    `form` Nullable(String) CODEC(ZSTD(1)),
    `filed` Date32 CODEC(Delta, ZSTD(1)),
    `accepted_at` Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)),
    `report_date` Nullable(Date32) CODEC(ZSTD(1)),
    `primary_document` Nullable(String) CODEC(ZSTD(1)),
    `known_from` Nullable(Date32) CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PRIMARY KEY (`ticker`, `accession`)
ORDER BY (`ticker`, `accession`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_filings` ON CLUSTER `prod` AS `factor_assets`.`local_rows_filings`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_filings`, cityHash64(`ticker`));

CREATE OR REPLACE VIEW `factor_assets`.`filings` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'filings' GROUP BY table_name)) AS _state
SELECT rows.`ticker` AS `ticker`, rows.`cik` AS `cik`, rows.`accession` AS `accession`, rows.`form` AS `form`, rows.`filed` AS `filed`, rows.`accepted_at` AS `accepted_at`, rows.`report_date` AS `report_date`, rows.`primary_document` AS `primary_document`, rows.`known_from` AS `known_from`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_filings` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'filings' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND (empty(_part.4) OR has(_part.4, rows.`ticker`)), _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_fundamentals` ON CLUSTER `prod`
(
    `date` Date32 CODEC(Delta, ZSTD(1)),
    `ticker` LowCardinality(String) CODEC(ZSTD(1)),
    `fundamentals_period_end` Nullable(Date32) CODEC(ZSTD(1)),
    `fundamentals_known_from` Nullable(Date32) CODEC(ZSTD(1)),
    `shares_filed` Nullable(Float64) CODEC(ZSTD(1)),
    `reporting_currency` Nullable(String) CODEC(ZSTD(1)),
    `assets` Nullable(Float64) CODEC(ZSTD(1)),
    `assets_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `current_assets` Nullable(Float64) CODEC(ZSTD(1)),
    `current_assets_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `cash` Nullable(Float64) CODEC(ZSTD(1)),
    `cash_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `receivables` Nullable(Float64) CODEC(ZSTD(1)),
    `receivables_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `inventory` Nullable(Float64) CODEC(ZSTD(1)),
    `inventory_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `property_plant_equipment` Nullable(Float64) CODEC(ZSTD(1)),
    `property_plant_equipment_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `liabilities` Nullable(Float64) CODEC(ZSTD(1)),
    `liabilities_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `current_liabilities` Nullable(Float64) CODEC(ZSTD(1)),
    `current_liabilities_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `short_term_debt` Nullable(Float64) CODEC(ZSTD(1)),
    `short_term_debt_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `long_term_debt` Nullable(Float64) CODEC(ZSTD(1)),
    `long_term_debt_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `book_equity` Nullable(Float64) CODEC(ZSTD(1)),
    `book_equity_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `retained_earnings` Nullable(Float64) CODEC(ZSTD(1)),
    `retained_earnings_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `revenue_ttm` Nullable(Float64) CODEC(ZSTD(1)),
    `revenue_ttm_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `cost_of_revenue_ttm` Nullable(Float64) CODEC(ZSTD(1)),
    `cost_of_revenue_ttm_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `gross_profit_ttm` Nullable(Float64) CODEC(ZSTD(1)),
    `gross_profit_ttm_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `operating_income_ttm` Nullable(Float64) CODEC(ZSTD(1)),
    `operating_income_ttm_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `interest_expense_ttm` Nullable(Float64) CODEC(ZSTD(1)),
    `interest_expense_ttm_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `pretax_income_ttm` Nullable(Float64) CODEC(ZSTD(1)),
    `pretax_income_ttm_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `income_tax_ttm` Nullable(Float64) CODEC(ZSTD(1)),
    `income_tax_ttm_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `net_income_ttm` Nullable(Float64) CODEC(ZSTD(1)),
    `net_income_ttm_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `operating_cash_flow_ttm` Nullable(Float64) CODEC(ZSTD(1)),
    `operating_cash_flow_ttm_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `capital_expenditure_ttm` Nullable(Float64) CODEC(ZSTD(1)),
    `capital_expenditure_ttm_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `depreciation_ttm` Nullable(Float64) CODEC(ZSTD(1)),
    `depreciation_ttm_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `research_development_ttm` Nullable(Float64) CODEC(ZSTD(1)),
    `research_development_ttm_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `selling_general_administrative_ttm` Nullable(Float64) CODEC(ZSTD(1)),
    `selling_general_administrative_ttm_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `dividends_paid_ttm` Nullable(Float64) CODEC(ZSTD(1)),
    `dividends_paid_ttm_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `stock_issued_ttm` Nullable(Float64) CODEC(ZSTD(1)),
    `stock_issued_ttm_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `stock_repurchased_ttm` Nullable(Float64) CODEC(ZSTD(1)),
    `stock_repurchased_ttm_year_ago` Nullable(Float64) CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYear(`date`)
PRIMARY KEY (`date`, `ticker`)
ORDER BY (`date`, `ticker`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_fundamentals` ON CLUSTER `prod` AS `factor_assets`.`local_rows_fundamentals`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_fundamentals`, cityHash64(`ticker`));

CREATE OR REPLACE VIEW `factor_assets`.`fundamentals` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'fundamentals' GROUP BY table_name)) AS _state
SELECT rows.`date` AS `date`, rows.`ticker` AS `ticker`, rows.`fundamentals_period_end` AS `fundamentals_period_end`, rows.`fundamentals_known_from` AS `fundamentals_known_from`, rows.`shares_filed` AS `shares_filed`, rows.`reporting_currency` AS `reporting_currency`, rows.`assets` AS `assets`, rows.`assets_year_ago` AS `assets_year_ago`, rows.`current_assets` AS `current_assets`, rows.`current_assets_year_ago` AS `current_assets_year_ago`, rows.`cash` AS `cash`, rows.`cash_year_ago` AS `cash_year_ago`, rows.`receivables` AS `receivables`, rows.`receivables_year_ago` AS `receivables_year_ago`, rows.`inventory` AS `inventory`, rows.`inventory_year_ago` AS `inventory_year_ago`, rows.`property_plant_equipment` AS `property_plant_equipment`, rows.`property_plant_equipment_year_ago` AS `property_plant_equipment_year_ago`, rows.`liabilities` AS `liabilities`, rows.`liabilities_year_ago` AS `liabilities_year_ago`, rows.`current_liabilities` AS `current_liabilities`, rows.`current_liabilities_year_ago` AS `current_liabilities_year_ago`, rows.`short_term_debt` AS `short_term_debt`, rows.`short_term_debt_year_ago` AS `short_term_debt_year_ago`, rows.`long_term_debt` AS `long_term_debt`, rows.`long_term_debt_year_ago` AS `long_term_debt_year_ago`, rows.`book_equity` AS `book_equity`, rows.`book_equity_year_ago` AS `book_equity_year_ago`, rows.`retained_earnings` AS `retained_earnings`, rows.`retained_earnings_year_ago` AS `retained_earnings_year_ago`, rows.`revenue_ttm` AS `revenue_ttm`, rows.`revenue_ttm_year_ago` AS `revenue_ttm_year_ago`, rows.`cost_of_revenue_ttm` AS `cost_of_revenue_ttm`, rows.`cost_of_revenue_ttm_year_ago` AS `cost_of_revenue_ttm_year_ago`, rows.`gross_profit_ttm` AS `gross_profit_ttm`, rows.`gross_profit_ttm_year_ago` AS `gross_profit_ttm_year_ago`, rows.`operating_income_ttm` AS `operating_income_ttm`, rows.`operating_income_ttm_year_ago` AS `operating_income_ttm_year_ago`, rows.`interest_expense_ttm` AS `interest_expense_ttm`, rows.`interest_expense_ttm_year_ago` AS `interest_expense_ttm_year_ago`, rows.`pretax_income_ttm` AS `pretax_income_ttm`, rows.`pretax_income_ttm_year_ago` AS `pretax_income_ttm_year_ago`, rows.`income_tax_ttm` AS `income_tax_ttm`, rows.`income_tax_ttm_year_ago` AS `income_tax_ttm_year_ago`, rows.`net_income_ttm` AS `net_income_ttm`, rows.`net_income_ttm_year_ago` AS `net_income_ttm_year_ago`, rows.`operating_cash_flow_ttm` AS `operating_cash_flow_ttm`, rows.`operating_cash_flow_ttm_year_ago` AS `operating_cash_flow_ttm_year_ago`, rows.`capital_expenditure_ttm` AS `capital_expenditure_ttm`, rows.`capital_expenditure_ttm_year_ago` AS `capital_expenditure_ttm_year_ago`, rows.`depreciation_ttm` AS `depreciation_ttm`, rows.`depreciation_ttm_year_ago` AS `depreciation_ttm_year_ago`, rows.`research_development_ttm` AS `research_development_ttm`, rows.`research_development_ttm_year_ago` AS `research_development_ttm_year_ago`, rows.`selling_general_administrative_ttm` AS `selling_general_administrative_ttm`, rows.`selling_general_administrative_ttm_year_ago` AS `selling_general_administrative_ttm_year_ago`, rows.`dividends_paid_ttm` AS `dividends_paid_ttm`, rows.`dividends_paid_ttm_year_ago` AS `dividends_paid_ttm_year_ago`, rows.`stock_issued_ttm` AS `stock_issued_ttm`, rows.`stock_issued_ttm_year_ago` AS `stock_issued_ttm_year_ago`, rows.`stock_repurchased_ttm` AS `stock_repurchased_ttm`, rows.`stock_repurchased_ttm_year_ago` AS `stock_repurchased_ttm_year_ago`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_fundamentals` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'fundamentals' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND toInt32(rows.`date`) >= _part.2 AND toInt32(rows.`date`) < _part.3 AND (empty(_part.4) OR has(_part.4, rows.`ticker`)), _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_language_model_calls` ON CLUSTER `prod`
(
    `call_id` LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    `called_at` DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    `purpose` Nullable(String) CODEC(ZSTD(1)),
    `document_id` Nullable(String) CODEC(ZSTD(1)),
    `prompt_version` Nullable(String) CODEC(ZSTD(1)),
    `model` String CODEC(ZSTD(1)),
    `parameters` Nullable(String) CODEC(ZSTD(1)),
    `input_tokens` Nullable(Int64) CODEC(ZSTD(1)),
    `output_tokens` Nullable(Int64) CODEC(ZSTD(1)),
    `cost` Nullable(Float64) CODEC(ZSTD(1)),
    `latency` Nullable(Float64) CODEC(ZSTD(1)),
    `error` Nullable(String) CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PRIMARY KEY (`called_at`, `call_id`)
ORDER BY (`called_at`, `call_id`, _batch, _row)
SETTINGS replicated_deduplication_window = 100, allow_nullable_key = 1;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_language_model_calls` ON CLUSTER `prod` AS `factor_assets`.`local_rows_language_model_calls`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_language_model_calls`, 0);

CREATE OR REPLACE VIEW `factor_assets`.`language_model_calls` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'language_model_calls' GROUP BY table_name)) AS _state
SELECT rows.`call_id` AS `call_id`, rows.`called_at` AS `called_at`, rows.`purpose` AS `purpose`, rows.`document_id` AS `document_id`, rows.`prompt_version` AS `prompt_version`, rows.`model` AS `model`, rows.`parameters` AS `parameters`, rows.`input_tokens` AS `input_tokens`, rows.`output_tokens` AS `output_tokens`, rows.`cost` AS `cost`, rows.`latency` AS `latency`, rows.`error` AS `error`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_language_model_calls` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'language_model_calls' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch, _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_news` ON CLUSTER `prod`
(
    `date` Date32 CODEC(Delta, ZSTD(1)),
    `ticker` LowCardinality(String) CODEC(ZSTD(1)),
    `document_id` LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    `published_at` Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)),
    `published_on` Nullable(Date32) CODEC(ZSTD(1)),
    `title` Nullable(String) CODEC(ZSTD(1)),
    `url` Nullable(String) CODEC(ZSTD(1)),
    `content` Nullable(String) CODEC(ZSTD(1)),
    `provider` String CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYear(`date`)
PRIMARY KEY (`date`, `ticker`, `document_id`)
ORDER BY (`date`, `ticker`, `document_id`, _batch, _row)
SETTINGS replicated_deduplication_window = 100, allow_nullable_key = 1;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_news` ON CLUSTER `prod` AS `factor_assets`.`local_rows_news`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_news`, cityHash64(`ticker`));

CREATE OR REPLACE VIEW `factor_assets`.`news` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'news' GROUP BY table_name)) AS _state
SELECT rows.`date` AS `date`, rows.`ticker` AS `ticker`, rows.`document_id` AS `document_id`, rows.`published_at` AS `published_at`, rows.`published_on` AS `published_on`, rows.`title` AS `title`, rows.`url` AS `url`, rows.`content` AS `content`, rows.`provider` AS `provider`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_news` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'news' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND toInt32(rows.`date`) >= _part.2 AND toInt32(rows.`date`) < _part.3 AND (empty(_part.4) OR has(_part.4, rows.`ticker`)), _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_news_sentiments` ON CLUSTER `prod`
(
    `date` Date32 CODEC(Delta, ZSTD(1)),
    `ticker` LowCardinality(String) CODEC(ZSTD(1)),
    `sentiment` Nullable(Float64) CODEC(ZSTD(1)),
    `confidence` Nullable(Float64) CODEC(ZSTD(1)),
    `justification` Nullable(String) CODEC(ZSTD(1)),
    `n_articles` Nullable(Int64) CODEC(ZSTD(1)),
    `error` Nullable(String) CODEC(ZSTD(1)),
    `model` String CODEC(ZSTD(1)),
    `prompt_version` Nullable(String) CODEC(ZSTD(1)),
    `call_id` Nullable(String) CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYear(`date`)
PRIMARY KEY (`date`, `ticker`)
ORDER BY (`date`, `ticker`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_news_sentiments` ON CLUSTER `prod` AS `factor_assets`.`local_rows_news_sentiments`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_news_sentiments`, cityHash64(`ticker`));

CREATE OR REPLACE VIEW `factor_assets`.`news_sentiments` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'news_sentiments' GROUP BY table_name)) AS _state
SELECT rows.`date` AS `date`, rows.`ticker` AS `ticker`, rows.`sentiment` AS `sentiment`, rows.`confidence` AS `confidence`, rows.`justification` AS `justification`, rows.`n_articles` AS `n_articles`, rows.`error` AS `error`, rows.`model` AS `model`, rows.`prompt_version` AS `prompt_version`, rows.`call_id` AS `call_id`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_news_sentiments` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'news_sentiments' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND toInt32(rows.`date`) >= _part.2 AND toInt32(rows.`date`) < _part.3 AND (empty(_part.4) OR has(_part.4, rows.`ticker`)), _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_price_history` ON CLUSTER `prod`
(
    `ticker` LowCardinality(String) CODEC(ZSTD(1)),
    `date` Date32 CODEC(Delta, ZSTD(1)),
    `open` Nullable(Float64) CODEC(ZSTD(1)),
    `high` Nullable(Float64) CODEC(ZSTD(1)),
    `low` Nullable(Float64) CODEC(ZSTD(1)),
    `close` Nullable(Float64) CODEC(ZSTD(1)),
    `volume` Nullable(Float64) CODEC(ZSTD(1)),
    `dividend` Nullable(Float64) CODEC(ZSTD(1)),
    `split` Nullable(Float64) CODEC(ZSTD(1)),
    `adjusted_close` Nullable(Float64) CODEC(ZSTD(1)),
    `shares_outstanding` Nullable(Float64) CODEC(ZSTD(1)),
    `sector` Nullable(String) CODEC(ZSTD(1)),
    `issue` Nullable(String) CODEC(ZSTD(1)),
    `fetched_at` Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PRIMARY KEY (`ticker`, `date`, `fetched_at`)
ORDER BY (`ticker`, `date`, `fetched_at`, _batch, _row)
SETTINGS replicated_deduplication_window = 100, allow_nullable_key = 1;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_price_history` ON CLUSTER `prod` AS `factor_assets`.`local_rows_price_history`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_price_history`, cityHash64(`ticker`));

CREATE OR REPLACE VIEW `factor_assets`.`price_history` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'price_history' GROUP BY table_name)) AS _state
SELECT rows.`ticker` AS `ticker`, rows.`date` AS `date`, rows.`open` AS `open`, rows.`high` AS `high`, rows.`low` AS `low`, rows.`close` AS `close`, rows.`volume` AS `volume`, rows.`dividend` AS `dividend`, rows.`split` AS `split`, rows.`adjusted_close` AS `adjusted_close`, rows.`shares_outstanding` AS `shares_outstanding`, rows.`sector` AS `sector`, rows.`issue` AS `issue`, rows.`fetched_at` AS `fetched_at`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_price_history` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'price_history' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND toInt32(rows.`date`) >= _part.2 AND toInt32(rows.`date`) < _part.3 AND (empty(_part.4) OR has(_part.4, rows.`ticker`)), _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_prices` ON CLUSTER `prod`
(
    `date` Date32 CODEC(Delta, ZSTD(1)),
    `ticker` LowCardinality(String) CODEC(ZSTD(1)),
    `open` Nullable(Float64) CODEC(ZSTD(1)),
    `high` Nullable(Float64) CODEC(ZSTD(1)),
    `low` Nullable(Float64) CODEC(ZSTD(1)),
    `close` Nullable(Float64) CODEC(ZSTD(1)),
    `volume` Nullable(Float64) CODEC(ZSTD(1)),
    `total_return_factor` Nullable(Float64) CODEC(ZSTD(1)),
    `split_factor` Nullable(Float64) CODEC(ZSTD(1)),
    `shares_outstanding` Nullable(Float64) CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYear(`date`)
PRIMARY KEY (`date`, `ticker`)
ORDER BY (`date`, `ticker`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_prices` ON CLUSTER `prod` AS `factor_assets`.`local_rows_prices`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_prices`, cityHash64(`ticker`));

CREATE OR REPLACE VIEW `factor_assets`.`prices` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'prices' GROUP BY table_name)) AS _state
SELECT rows.`date` AS `date`, rows.`ticker` AS `ticker`, rows.`open` AS `open`, rows.`high` AS `high`, rows.`low` AS `low`, rows.`close` AS `close`, rows.`volume` AS `volume`, rows.`total_return_factor` AS `total_return_factor`, rows.`split_factor` AS `split_factor`, rows.`shares_outstanding` AS `shares_outstanding`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_prices` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'prices' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND toInt32(rows.`date`) >= _part.2 AND toInt32(rows.`date`) < _part.3 AND (empty(_part.4) OR has(_part.4, rows.`ticker`)), _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_promoted_factors` ON CLUSTER `prod`
(
    `factor_name` LowCardinality(String) CODEC(ZSTD(1)),
    `factor_type` LowCardinality(String) CODEC(ZSTD(1)),
    `promoted` Bool CODEC(ZSTD(1)),
    `reasons` Nullable(String) CODEC(ZSTD(1)),
    `test_date` Date32 CODEC(Delta, ZSTD(1)),
    `mean_rank_ic` Nullable(Float64) CODEC(ZSTD(1)),
    `holm_pvalue` Nullable(Float64) CODEC(ZSTD(1)),
    `deflated_sharpe_ratio` Nullable(Float64) CODEC(ZSTD(1)),
    `mean_turnover` Nullable(Float64) CODEC(ZSTD(1)),
    `median_capacity` Nullable(Float64) CODEC(ZSTD(1)),
    `mean_coverage` Nullable(Float64) CODEC(ZSTD(1)),
    `closest_factor` Nullable(String) CODEC(ZSTD(1)),
    `closest_correlation` Nullable(Float64) CODEC(ZSTD(1)),
    `n_trials` Nullable(Int64) CODEC(ZSTD(1)),
    `universe` String CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PRIMARY KEY (`factor_type`, `factor_name`)
ORDER BY (`factor_type`, `factor_name`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_promoted_factors` ON CLUSTER `prod` AS `factor_assets`.`local_rows_promoted_factors`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_promoted_factors`, 0);

CREATE OR REPLACE VIEW `factor_assets`.`promoted_factors` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'promoted_factors' GROUP BY table_name)) AS _state
SELECT rows.`factor_name` AS `factor_name`, rows.`factor_type` AS `factor_type`, rows.`promoted` AS `promoted`, rows.`reasons` AS `reasons`, rows.`test_date` AS `test_date`, rows.`mean_rank_ic` AS `mean_rank_ic`, rows.`holm_pvalue` AS `holm_pvalue`, rows.`deflated_sharpe_ratio` AS `deflated_sharpe_ratio`, rows.`mean_turnover` AS `mean_turnover`, rows.`median_capacity` AS `median_capacity`, rows.`mean_coverage` AS `mean_coverage`, rows.`closest_factor` AS `closest_factor`, rows.`closest_correlation` AS `closest_correlation`, rows.`n_trials` AS `n_trials`, rows.`universe` AS `universe`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_promoted_factors` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'promoted_factors' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch, _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_report_ratings` ON CLUSTER `prod`
(
    `ticker` LowCardinality(String) CODEC(ZSTD(1)),
    `report_date` Nullable(Date32) CODEC(ZSTD(1)),
    `topic` LowCardinality(String) CODEC(ZSTD(1)),
    `rating` Nullable(Float64) CODEC(ZSTD(1)),
    `justification` Nullable(String) CODEC(ZSTD(1)),
    `key_figures` Nullable(String) CODEC(ZSTD(1)),
    `year_over_year` Nullable(String) CODEC(ZSTD(1)),
    `confidence` Nullable(Float64) CODEC(ZSTD(1)),
    `error` Nullable(String) CODEC(ZSTD(1)),
    `model` String CODEC(ZSTD(1)),
    `prompt_version` Nullable(String) CODEC(ZSTD(1)),
    `call_id` Nullable(String) CODEC(ZSTD(1)),
    `document_key` String CODEC(ZSTD(1)),
    `document_id` Nullable(String) CODEC(ZSTD(1)),
    `known_from` Nullable(Date32) CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PRIMARY KEY (`ticker`, `report_date`, `topic`)
ORDER BY (`ticker`, `report_date`, `topic`, _batch, _row)
SETTINGS replicated_deduplication_window = 100, allow_nullable_key = 1;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_report_ratings` ON CLUSTER `prod` AS `factor_assets`.`local_rows_report_ratings`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_report_ratings`, cityHash64(`ticker`));

CREATE OR REPLACE VIEW `factor_assets`.`report_ratings` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'report_ratings' GROUP BY table_name)) AS _state
SELECT rows.`ticker` AS `ticker`, rows.`report_date` AS `report_date`, rows.`topic` AS `topic`, rows.`rating` AS `rating`, rows.`justification` AS `justification`, rows.`key_figures` AS `key_figures`, rows.`year_over_year` AS `year_over_year`, rows.`confidence` AS `confidence`, rows.`error` AS `error`, rows.`model` AS `model`, rows.`prompt_version` AS `prompt_version`, rows.`call_id` AS `call_id`, rows.`document_key` AS `document_key`, rows.`document_id` AS `document_id`, rows.`known_from` AS `known_from`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_report_ratings` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'report_ratings' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND (empty(_part.4) OR has(_part.4, rows.`ticker`)), _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_reports` ON CLUSTER `prod`
(
    `ticker` LowCardinality(String) CODEC(ZSTD(1)),
    `report_date` Nullable(Date32) CODEC(ZSTD(1)),
    `document_key` LowCardinality(String) CODEC(ZSTD(1)),
    `etag` Nullable(String) CODEC(ZSTD(1)),
    `document_id` Nullable(String) CODEC(ZSTD(1)),
    `n_pages` Nullable(Int64) CODEC(ZSTD(1)),
    `n_words` Nullable(Int64) CODEC(ZSTD(1)),
    `n_sections` Nullable(Int64) CODEC(ZSTD(1)),
    `known_from` Nullable(Date32) CODEC(ZSTD(1)),
    `error` Nullable(String) CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PRIMARY KEY (`ticker`, `report_date`, `document_key`)
ORDER BY (`ticker`, `report_date`, `document_key`, _batch, _row)
SETTINGS replicated_deduplication_window = 100, allow_nullable_key = 1;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_reports` ON CLUSTER `prod` AS `factor_assets`.`local_rows_reports`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_reports`, cityHash64(`ticker`));

CREATE OR REPLACE VIEW `factor_assets`.`reports` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'reports' GROUP BY table_name)) AS _state
SELECT rows.`ticker` AS `ticker`, rows.`report_date` AS `report_date`, rows.`document_key` AS `document_key`, rows.`etag` AS `etag`, rows.`document_id` AS `document_id`, rows.`n_pages` AS `n_pages`, rows.`n_words` AS `n_words`, rows.`n_sections` AS `n_sections`, rows.`known_from` AS `known_from`, rows.`error` AS `error`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_reports` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'reports' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND (empty(_part.4) OR has(_part.4, rows.`ticker`)), _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_style_returns` ON CLUSTER `prod`
(
    `date` Date32 CODEC(Delta, ZSTD(1)),
    `portfolio` LowCardinality(String) CODEC(ZSTD(1)),
    `portfolio_return` Nullable(Float64) CODEC(ZSTD(1)),
    `n_tickers` Nullable(Int64) CODEC(ZSTD(1)),
    `universe` String CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYear(`date`)
PRIMARY KEY (`date`, `portfolio`)
ORDER BY (`date`, `portfolio`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_style_returns` ON CLUSTER `prod` AS `factor_assets`.`local_rows_style_returns`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_style_returns`, 0);

CREATE OR REPLACE VIEW `factor_assets`.`style_returns` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'style_returns' GROUP BY table_name)) AS _state
SELECT rows.`date` AS `date`, rows.`portfolio` AS `portfolio`, rows.`portfolio_return` AS `portfolio_return`, rows.`n_tickers` AS `n_tickers`, rows.`universe` AS `universe`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_style_returns` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'style_returns' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND toInt32(rows.`date`) >= _part.2 AND toInt32(rows.`date`) < _part.3, _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_trials` ON CLUSTER `prod`
(
    `trial_id` LowCardinality(String) CODEC(ZSTD(1)),
    `tried_at` DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    `tried_by` Nullable(String) CODEC(ZSTD(1)),
    `factor_name` String CODEC(ZSTD(1)),
    `factor_type` String CODEC(ZSTD(1)),
    `formula` Nullable(String) CODEC(ZSTD(1)),
    `code_version` Nullable(String) CODEC(ZSTD(1)),
    `universe` String CODEC(ZSTD(1)),
    `horizon` Int64 CODEC(ZSTD(1)),
    `start_date` Nullable(Date32) CODEC(ZSTD(1)),
    `end_date` Nullable(Date32) CODEC(ZSTD(1)),
    `has_holdout` Bool CODEC(ZSTD(1)),
    `statistic` Nullable(Float64) CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PRIMARY KEY (`tried_at`, `trial_id`)
ORDER BY (`tried_at`, `trial_id`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_trials` ON CLUSTER `prod` AS `factor_assets`.`local_rows_trials`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_trials`, 0);

CREATE OR REPLACE VIEW `factor_assets`.`trials` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'trials' GROUP BY table_name)) AS _state
SELECT rows.`trial_id` AS `trial_id`, rows.`tried_at` AS `tried_at`, rows.`tried_by` AS `tried_by`, rows.`factor_name` AS `factor_name`, rows.`factor_type` AS `factor_type`, rows.`formula` AS `formula`, rows.`code_version` AS `code_version`, rows.`universe` AS `universe`, rows.`horizon` AS `horizon`, rows.`start_date` AS `start_date`, rows.`end_date` AS `end_date`, rows.`has_holdout` AS `has_holdout`, rows.`statistic` AS `statistic`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_trials` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'trials' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch, _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_universe` ON CLUSTER `prod`
(
    `date` Date32 CODEC(Delta, ZSTD(1)),
    `ticker` LowCardinality(String) CODEC(ZSTD(1)),
    `sector` Nullable(String) CODEC(ZSTD(1)),
    `universe` String CODEC(ZSTD(1)),
    `membership` String CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYear(`date`)
PRIMARY KEY (`date`, `ticker`)
ORDER BY (`date`, `ticker`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_universe` ON CLUSTER `prod` AS `factor_assets`.`local_rows_universe`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_universe`, cityHash64(`ticker`));

CREATE OR REPLACE VIEW `factor_assets`.`universe` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'universe' GROUP BY table_name)) AS _state
SELECT rows.`date` AS `date`, rows.`ticker` AS `ticker`, rows.`sector` AS `sector`, rows.`universe` AS `universe`, rows.`membership` AS `membership`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_universe` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'universe' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND toInt32(rows.`date`) >= _part.2 AND toInt32(rows.`date`) < _part.3 AND (empty(_part.4) OR has(_part.4, rows.`ticker`)), _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_variant_evidence` ON CLUSTER `prod`
(
    `factor_name` LowCardinality(String) CODEC(ZSTD(1)),
    `factor_type` LowCardinality(String) CODEC(ZSTD(1)),
    `variant` LowCardinality(String) CODEC(ZSTD(1)),
    `start_date` Nullable(Date32) CODEC(ZSTD(1)),
    `end_date` Nullable(Date32) CODEC(ZSTD(1)),
    `n_sessions` Nullable(Int64) CODEC(ZSTD(1)),
    `mean_variant_return` Nullable(Float64) CODEC(ZSTD(1)),
    `variant_return_tstat` Nullable(Float64) CODEC(ZSTD(1)),
    `variant_volatility` Nullable(Float64) CODEC(ZSTD(1)),
    `variant_sharpe_ratio` Nullable(Float64) CODEC(ZSTD(1)),
    `variant_max_drawdown` Nullable(Float64) CODEC(ZSTD(1)),
    `mean_variant_turnover` Nullable(Float64) CODEC(ZSTD(1)),
    `reason` Nullable(String) CODEC(ZSTD(1)),
    `universe` String CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PRIMARY KEY (`factor_type`, `factor_name`, `variant`)
ORDER BY (`factor_type`, `factor_name`, `variant`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_variant_evidence` ON CLUSTER `prod` AS `factor_assets`.`local_rows_variant_evidence`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_variant_evidence`, 0);

CREATE OR REPLACE VIEW `factor_assets`.`variant_evidence` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'variant_evidence' GROUP BY table_name)) AS _state
SELECT rows.`factor_name` AS `factor_name`, rows.`factor_type` AS `factor_type`, rows.`variant` AS `variant`, rows.`start_date` AS `start_date`, rows.`end_date` AS `end_date`, rows.`n_sessions` AS `n_sessions`, rows.`mean_variant_return` AS `mean_variant_return`, rows.`variant_return_tstat` AS `variant_return_tstat`, rows.`variant_volatility` AS `variant_volatility`, rows.`variant_sharpe_ratio` AS `variant_sharpe_ratio`, rows.`variant_max_drawdown` AS `variant_max_drawdown`, rows.`mean_variant_turnover` AS `mean_variant_turnover`, rows.`reason` AS `reason`, rows.`universe` AS `universe`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_variant_evidence` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'variant_evidence' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch, _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_factor_values` ON CLUSTER `prod`
(
    `factor_type` LowCardinality(String) CODEC(ZSTD(1)),
    `factor_name` LowCardinality(String) CODEC(ZSTD(1)),
    `date` Date32 CODEC(Delta, ZSTD(1)),
    `ticker` LowCardinality(String) CODEC(ZSTD(1)),
    `value` Nullable(Float64) CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYear(`date`)
PRIMARY KEY (`factor_type`, `factor_name`, `date`, `ticker`)
ORDER BY (`factor_type`, `factor_name`, `date`, `ticker`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_factor_values` ON CLUSTER `prod` AS `factor_assets`.`local_rows_factor_values`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_factor_values`, cityHash64(`ticker`));

CREATE OR REPLACE VIEW `factor_assets`.`factor_values` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE startsWith(table_name, 'factors/') GROUP BY table_name)) AS _state
SELECT rows.`factor_type` AS `factor_type`, rows.`factor_name` AS `factor_name`, rows.`date` AS `date`, rows.`ticker` AS `ticker`, rows.`value` AS `value`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_factor_values` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE startsWith(table_name, 'factors/') GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND toInt32(rows.`date`) >= _part.2 AND toInt32(rows.`date`) < _part.3 AND (empty(_part.4) OR has(_part.4, rows.`ticker`)), _state.2));

CREATE TABLE IF NOT EXISTS `factor_assets`.`local_rows_library_mine` ON CLUSTER `prod`
(
    `date` Date32 CODEC(Delta, ZSTD(1)),
    `ticker` LowCardinality(String) CODEC(ZSTD(1)),
    `source` LowCardinality(String) CODEC(ZSTD(1)),
    _batch UInt64 CODEC(Delta, ZSTD(1)),
    _row UInt32 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYear(`date`)
PRIMARY KEY (`date`, `ticker`)
ORDER BY (`date`, `ticker`, _batch, _row)
SETTINGS replicated_deduplication_window = 100;

CREATE TABLE IF NOT EXISTS `factor_assets`.`rows_library_mine` ON CLUSTER `prod` AS `factor_assets`.`local_rows_library_mine`
ENGINE = Distributed(`prod`, `factor_assets`, `local_rows_library_mine`, cityHash64(`ticker`));

CREATE OR REPLACE VIEW `factor_assets`.`library_mine` ON CLUSTER `prod` AS
WITH (SELECT (groupArrayArray(live), groupArrayArray(arrayZip(hidden_batches, hidden_starts, hidden_ends, hidden_tickers))) FROM `factor_assets`.`commits` WHERE (table_name, number) IN (SELECT table_name, max(number) FROM `factor_assets`.`commits` WHERE table_name = 'libraries/mine' GROUP BY table_name)) AS _state
SELECT rows.`date` AS `date`, rows.`ticker` AS `ticker`, rows.`source` AS `source`, _made.committed_at AS update_time
FROM `factor_assets`.`rows_library_mine` AS rows
GLOBAL INNER JOIN (SELECT batch, max(committed_at) AS committed_at FROM `factor_assets`.`commits` WHERE table_name = 'libraries/mine' GROUP BY batch) AS _made ON _made.batch = rows._batch
WHERE rows._batch IN (SELECT arrayJoin(_state.1))
AND (rows._batch NOT IN (SELECT arrayJoin(arrayMap(_part -> _part.1, _state.2)))
OR NOT arrayExists(_part -> _part.1 = rows._batch AND toInt32(rows.`date`) >= _part.2 AND toInt32(rows.`date`) < _part.3 AND (empty(_part.4) OR has(_part.4, rows.`ticker`)), _state.2));

ALTER TABLE `factor_assets`.`local_rows_library_mine` ON CLUSTER `prod` ADD COLUMN IF NOT EXISTS `first` Nullable(Float64) CODEC(ZSTD(1));

ALTER TABLE `factor_assets`.`rows_library_mine` ON CLUSTER `prod` ADD COLUMN IF NOT EXISTS `first` Nullable(Float64) CODEC(ZSTD(1));
