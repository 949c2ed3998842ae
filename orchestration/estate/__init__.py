"""The simulated estate: a day of logs of a company that does not exist, with the truth about them.

`generate` writes, byte-identically for the same arguments,

 - `cloudtrail/`: an S3 tree of AWS CloudTrail objects, as AWS delivers them, with a digest that is no event data
 - `okta/`: all Okta System Log events in the order of storing, for a simulated API to serve
 - `windows/`: forwarded Windows events (Security, Sysmon, PowerShell) in two field layouts, one hour as a zip with junk
 - `reference/`: GeoIP and ASN databases of the estate's addresses, directory and assets
 - `truth.json`: exact counts of all of it per source and hour, and the ids of the incident's events

What is planted: late, duplicate, colliding, out-of-order, malformed and truncated deliveries, fields nobody announced
and types nobody mapped (`faults`, `delivery`), one lateral-movement incident and its innocent look-alike (`incident`).

No Dagster, dbt or lake here: the estate is what the lake is tested with.
"""

from orchestration.estate.bench import bench_lines
from orchestration.estate.generation import Arguments, generate

__all__ = ["Arguments", "bench_lines", "generate"]
