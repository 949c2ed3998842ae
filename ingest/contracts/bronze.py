"""The columns that the pipeline adds to every bronze table, after the contract's own."""

from typing import Final, NamedTuple


class PipelineColumn(NamedTuple):
    """Name, DuckDB type and meaning of one column."""

    name: str
    duckdb_type: str
    description: str


pipeline_columns: Final = (
    PipelineColumn("_raw", "VARCHAR", "The record as it was delivered."),
    PipelineColumn("_event_key", "VARCHAR", "What identifies the event; copies of one event share it."),
    PipelineColumn("_event_at", "TIMESTAMP", "When the event happened, UTC."),
    PipelineColumn("_arrived_at", "TIMESTAMP", "When the vendor delivered or published the record, UTC."),
    PipelineColumn("_batch", "VARCHAR", "Raw run that landed the record; has the name of its receipt."),
    PipelineColumn("_source_object", "VARCHAR", "Object or page in which the record came."),
    PipelineColumn("_source_row", "BIGINT", "Number of the record in that object, from 1."),
    PipelineColumn("_content_hash", "UBIGINT", "DuckDB's hash of _raw: equal for copies landed by one version."),
    PipelineColumn("_violations", "VARCHAR[]", "Paths of optional fields that broke the contract and were emptied."),
)
