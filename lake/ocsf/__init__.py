"""OCSF as Headwater publishes it: the declared subset, what is generated from it, and its validation.

What belongs here: reading the official schema and the declaration, the generated macros of the dbt project, and
checking rows against the official JSON Schema.
What does not: how a vendor's event becomes a class (dbt_project), or when rows are checked (orchestration).
"""
