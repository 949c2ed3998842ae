-- What became of every landed Falcon event.
{{ config(meta={"inline": true}) }}
{{ dispositions("crowdstrike_fdr", ref("stg_crowdstrike__fdr")) }}
