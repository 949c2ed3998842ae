"""`python -m lake.ocsf.context CLASS` prints the SQL of a class's context, for all that rows and tables may have."""

import sys

from lake.ocsf.attributes import declared_classes
from lake.ocsf.columns import columns
from lake.ocsf.context.statements import context_sql, everything
from lake.ocsf.event_sql import event_sql

classes = declared_classes()
if len(sys.argv) != 2 or sys.argv[1] not in classes:
    sys.exit(f"name one class of dbt_project/ocsf/attributes.yml: {', '.join(classes)}")
event_class = classes[sys.argv[1]]
made = event_sql(event_class, dict(columns(event_class)))
sql = context_sql(event_class, made, everything(made))
print(f"-- context_rows\n{sql.rows};\n\n-- what is found\n{sql.found}\n-- events\n{sql.events};")
