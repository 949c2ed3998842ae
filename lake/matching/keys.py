"""The key of an observable in SQL, for events: two unsigned 64-bit numbers, the same as those of indicators."""

_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = f"({_OCTET}[.]){{3}}{_OCTET}"
_HEXTETS = "[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}"
_SHORTENED = "([0-9a-f]{1,4}(:[0-9a-f]{1,4})*)?::([0-9a-f]{1,4}(:[0-9a-f]{1,4})*)?"
_DOMAIN = "([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?[.])*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_BEYOND_ASCII = "[^\\x00-\\x7f]"  # a name in another script is kept as it is written
_HASH = "[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128}"
_URL = "([A-Za-z][A-Za-z0-9+.-]*://[^/?#]+)(.*)"
_URL_HOST = "^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#]*@)?(?:\\[([^\\]/?#]*)\\]|([^/?#:]*))"
_BLANKS = "chr(32) || chr(9) || chr(10) || chr(13)"


def keyed(texts: str, kept: str = "") -> str:
    """Return a SELECT of the observables that some texts are: kind, value, key_high, key_low, and `kept` columns.

    `texts` is a relation with `what` (a value of `lake.ocsf.observables.NUMBERS`), `text`, and the kept columns. A text
    that is no observable of its kind gives no row; a URL gives two, itself and its host.
    """
    more = f", {kept}" if kept else ""
    return f"""
with stripped as (
  select what, trim(text, {_BLANKS}) as text{more} from {texts} where what is not null and text is not null
),
spread as materialized (
  select what, text{more} from stripped
  union all
  select 'host', regexp_extract(text, '{_URL_HOST}', 1) || regexp_extract(text, '{_URL_HOST}', 2){more}
  from stripped where what = 'url'
),
hexed as (
  select what, text, case when what in ('ip', 'host') then {ip_hex("text")} end as hex{more} from spread
),
normalised as (
  select hex, case when hex is not null then 'ip' when what = 'host' then 'domain' else what end as kind,
    case when left(hex, 24) = repeat('0', 20) || 'ffff' then {_dotted("hex")}
      when hex is not null then lower(text)
      when what = 'host' then rtrim(lower(text), '.')
      when what = 'url' then lower(regexp_extract(text, '{_URL}', 1, 's'))
        || coalesce(nullif(regexp_extract(text, '{_URL}', 2, 's'), ''), '/')
      else lower(text) end as value{more}
  from hexed
)
select kind, value,
  case when kind = 'ip' then ('0x' || left(hex, 16))::ubigint
    else md5_number_upper(kind || ':' || value) end as key_high,
  case when kind = 'ip' then ('0x' || right(hex, 16))::ubigint
    else md5_number_lower(kind || ':' || value) end as key_low{more}
from normalised
where case kind
  when 'ip' then hex is not null
  when 'domain' then length(value) between 1 and 253
    and (regexp_full_match(value, '{_DOMAIN}') or regexp_matches(value, '{_BEYOND_ASCII}'))
  when 'email' then regexp_full_match(value, '[^@[:space:]]+@[^@[:space:]]+')
  when 'hash' then regexp_full_match(value, '{_HASH}')
  when 'cve' then regexp_full_match(value, 'cve-[0-9]{{4}}-[0-9]{{4,}}')
  when 'url' then value <> '/' and not regexp_matches(value, '[[:space:]]')
end"""


def ip_hex(text: str) -> str:
    """Return SQL of the 32 hex digits of an address (IPv4 as ::ffff:a.b.c.d), NULL for text that is none.

    A zone (%eth0) is left out. IPv4 octets with leading zeros are no address: systems disagree whether they are octal.
    """
    bare = f"lower(split_part({text}, '%', 1))"
    tail = f"regexp_extract({bare}, '[0-9.]+$')"
    before = f"regexp_replace({bare}, '[0-9.]+$', '')"
    groups = f"case when contains({bare}, '.') then {before} || {_groups(tail)} else {bare} end"
    return f"""case
  when regexp_full_match({text}, '{_IPV4}') then repeat('0', 20) || 'ffff' || replace({_groups(text)}, ':', '')
  when contains({text}, ':') and (not contains({bare}, '.') or regexp_full_match({bare}, '[0-9a-f:]*:{_IPV4}'))
    then {_ipv6_hex(f"({groups})")} end"""


def _groups(ipv4: str) -> str:
    """SQL of `c0a8:0001` of `192.168.0.1`."""
    octets = [f"printf('%02x', try_cast(split_part({ipv4}, '.', {part}) as integer))" for part in (1, 2, 3, 4)]
    return f"{octets[0]} || {octets[1]} || ':' || {octets[2]} || {octets[3]}"


def _dotted(hex_digits: str) -> str:
    """SQL of an IPv4 address of 32 hex digits."""
    octets = [f"('0x' || substr({hex_digits}, {at}, 2))::integer" for at in (25, 27, 29, 31)]
    return " || '.' || ".join(octets)


def _ipv6_hex(groups: str) -> str:
    def padded(half: str) -> str:
        parts = f"list_filter(string_split({half}, ':'), lambda part: part <> '')"
        return f"array_to_string(list_transform({parts}, lambda part: lpad(part, 4, '0')), '')"

    count = f"len(list_filter(string_split({groups}, ':'), lambda part: part <> ''))"
    before, after = (f"split_part({groups}, '::', {half})" for half in (1, 2))
    return f"""case
    when regexp_full_match({groups}, '{_HEXTETS}') then {padded(groups)}
    when regexp_full_match({groups}, '{_SHORTENED}') and {count} <= 7
      then {padded(before)} || repeat('0000', 8 - {count}) || {padded(after)} end"""
