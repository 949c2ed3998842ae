"""What the demo shows of the product `lateral_movement` and of the threat lists, compared with the estate's labels."""

from pathlib import Path
from typing import Any

from rich.text import Text

from lake.base.text import shown
from lake.matching.match import Matched
from lake.query.session import answer, ask
from lake.signals.truth import Score, read_truth, score
from lake.signals.verdicts import TRUE, Verdict, add_verdicts
from lake.storage.store import Store
from orchestration.cli.app import Terminal, print_rows, print_table
from orchestration.cli.commands.signals import tell_scores
from orchestration.settings import load_settings
from orchestration.steps.match import match_lake
from orchestration.steps.products import product_names
from orchestration.steps.query import reading

Truth = dict[str, Any]
PRODUCT = "lateral_movement"
_WORST = f"""
  select severity, risk_score, message, finding_info.desc as more, finding_info.uid as uid
  from gold.{PRODUCT} order by risk_score desc, time_dt limit 1
"""
_FACTORS = f"""
  select each.weight, each.factor, each.fact
  from (select unnest(factors) as each from gold.{PRODUCT}_candidates where finding_uid = '{{uid}}')
  where each.weight <> 0 order by each.weight desc, each.factor
"""
# The innocent login: the same path, walked by the administrator of the server.
_INNOCENT = f"""
  select strftime(first_logon_at, '%H:%M') as at, user_name as who, asset_name as machine,
    array_to_string(services, ', ') as services, score, list_sum(list_transform(list_filter(factors,
      lambda each: each.weight > 0), lambda each: each.weight)) as without_the_administrator
  from gold.{PRODUCT}_candidates
  where user_name = '{{user}}' and asset_name = '{{server}}' and len(services) > 0
  order by first_logon_at desc limit 1
"""
_MATCHES = """
  select feed as list, indicator_value as indicator, count(distinct event_uid) as events,
    count(distinct event_uid) filter (where was_known) as known_then,
    count(distinct event_uid) filter (where not was_known) as found_later,
    min(seconds_after) filter (where not was_known) as soonest,
    max(seconds_after) filter (where not was_known) as latest
  from gold.threat_matches group by all order by found_later desc, list, indicator
"""
_FOUND_LATER = """
  select distinct event_uid from gold.threat_matches where indicator_value = '{indicator}' and not was_known
"""
_QUALITY = """
  select raw_events, candidates, signals, reviewed, true_positives as true, round(precision, 3) as precision,
    median_seconds_to_arrival as "median seconds to the last event"
  from gold.signal_quality
"""

console = Terminal()


def tell_answer(store: Store, question: str) -> None:
    """Print the answer to a question."""
    found = answer(reading(store, question), question)
    print_rows(found.names, found.types, found.rows())


def find_later(store: Store) -> Matched:
    """Match the threat lists with the lake, its past as well; print what was found."""
    done = match_lake(store, load_settings())
    console.print(f"    {done.rows} new matches in {done.hours} hours of tables, {done.seconds:.1f} s")
    names, rows = ask(reading(store, _MATCHES), _MATCHES)
    shown = [(*row[:5], _after(row[5]), _after(row[6])) for row in rows]
    print_table("", [name.replace("_", " ") for name in names], shown)
    return done


def _after(seconds: Any) -> str:
    """How long after an event its match was known."""
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def tell_incident(store: Store, truth: Truth) -> None:
    """Print the worst signal with its factors, and what came of the same login by its administrator."""
    _, rows = ask(reading(store, _WORST), _WORST)
    for severity, total, sentence, more, uid in rows:
        head = (f"\n{str(severity).upper()}", "bold red"), f" ({total}) ", (shown(str(sentence)), "bold"), "\n"
        console.print(Text.assemble(*head))
        console.print(str(more).removeprefix(str(sentence).rstrip(".")).removeprefix(": "), style="dim")
        tell_answer(store, _FACTORS.format(uid=uid))
    innocent = truth["look_alike"]
    found = f"select count(*) from gold.{PRODUCT} where actor.user.name = '{innocent['user']}'"
    [(signals,)] = ask(reading(store, found), found)[1]
    said = ("nothing", "") if not signals else (f"{signals} signals", "red")
    asked = f"\nThe same login by {innocent['user']}, who administers the server:"
    console.print(Text.assemble((asked, "bold"), " ", said))
    tell_answer(store, _INNOCENT.format(user=innocent["user"], server=innocent["server"]))


def review(store: Store, truth: Path) -> list[Score]:
    """Let the labels judge every signal that nobody has judged; print the funnel, precision and recall."""
    scores = [score(store, product, labels) for product, labels in sorted(read_truth(truth).items())]
    seen = "select finding_uid from gold.dispositions"
    judged = {uid for (uid,) in ask(reading(store, seen), seen)[1]}
    given = [
        Verdict(each.uid, TRUE if each.incidents else "false_positive", by="labels of the estate")
        for found in scores
        for each in found.signals
        if each.uid not in judged
    ]
    if given:
        add_verdicts(store, given, product_names(), "demo")
    tell_scores(scores)
    console.print("\nof raw events, candidates, signals, and what was said of them (gold.signal_quality)", style="bold")
    print_table("", *ask(reading(store, _QUALITY), _QUALITY))
    return scores


def differences(store: Store, truth: Truth, scores: list[Score]) -> list[str]:
    """Return where signals and matches differ from what the estate's generator planted."""
    return [line for found in scores for line in _of_signals(truth, found)] + _of_matches(store, truth)


def _of_signals(truth: Truth, found: Score) -> list[str]:
    wrong = [f"{found.product}: missed {name}" for name in found.missed]
    wrong += [f"{found.product}: false: {each.message}" for each in found.signals if not each.incidents]
    planted = {each["incident"]: each for each in truth["signals"][found.product]["incidents"]}
    for each in found.signals:
        for incident in (planted[name] for name in each.incidents):
            if each.severity not in incident["severity"]:
                wrong.append(f"{found.product}: {incident['incident']} is {each.severity}: {each.message}")
            if each.message != incident.get("sentence", each.message):
                wrong.append(f"{found.product}: {incident['incident']} says: {each.message}")
    return wrong


def _of_matches(store: Store, truth: Truth) -> list[str]:
    _, rows = ask(reading(store, _MATCHES), _MATCHES)
    found = {(row[0], row[1]): row[2:4] for row in rows}
    wrong = []
    for planted in truth["retro"]:
        seen = found.pop((planted["feed"], planted["indicator"]), (0, 0))
        if seen != (planted["events"], planted["known_at_the_time"]):
            wrong.append(f"{planted['indicator']}: {seen[0]} events, {seen[1]} known then; not {planted['events']}")
        question = _FOUND_LATER.format(indicator=planted["indicator"])
        later = {uid for (uid,) in ask(reading(store, question), question)[1]}
        if later != {each["uid"] for each in planted["found_later"]}:
            wrong.append(f"{planted['indicator']}: {len(later)} events found later, not {len(planted['found_later'])}")
    return wrong + [f"{indicator} of {feed}: matches that nobody planted" for feed, indicator in found]
