"""The simulated estate: a day of logs of a company that does not exist, with the truth about them.

`generate` writes, byte-identically for the same arguments,

 - `cloudtrail/`: an S3 tree of AWS CloudTrail objects, as AWS delivers them, with a digest that is no event data
 - `okta/`: all Okta System Log events in the order of storing, for a simulated API to serve
 - `windows/`: forwarded Windows events (Security, Sysmon, PowerShell) in two field layouts, one hour as a zip with junk
 - `reference/`: GeoIP databases of the estate's addresses, and snapshots of directory, CMDB, threat and warning lists
 - `truth.json`: exact counts of all of it per source and hour, the ids of the stories' events, and what a lake has to
   find out about them (`expectations`)

What is planted: late, duplicate, colliding, out-of-order, malformed and truncated deliveries, fields nobody announced
and types nobody mapped (`faults`, `delivery`), one lateral-movement incident and its innocent look-alike (`incident`),
a passed hash (`pass_the_hash`), and much that is somebody's work (`routine`).

No Dagster, dbt or lake here: the estate is what the lake is tested with.
"""

from orchestration.demo.estate.bench import bench_lines
from orchestration.demo.estate.generation import Arguments, generate

__all__ = ["Arguments", "bench_lines", "generate"]
