"""Mutates tables, mappings and lists of rates: what strangers, programs and attackers write.

A mutation is made of seeded random numbers, so that the number of a file tells it again.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

__all__ = ["RATES", "bases", "mutated_file", "mutated_mapping", "mutated_table"]

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "tables"
RATES = "day,base,currency,rate\n2026-01-05,EUR,USD,1.08\n2026-01-05,EUR,CNY,7.81\n"
LONG = "x" * 700
ODD_CELLS = (
    *("", " ", "\u00a0", "\ufeff", "\u200e", "-", "--", "n/a", "0", "-0", "1e5", "NaN", "inf"),
    *("($1,200.00)", "1,200.00-", "12,34,567.00", "1\u202f234,5", "1’234", "−5", "(-5)", "€5"),
    *("9223372036854.775807", "9223372036854.775808", "99999999999999999999", "0.0000001"),
    *("45383", "45383.75", "60", "1680311384", "1680311384000", "1680311384000000", "-1"),
    *("2026-02-30", "0001-01-01", "1899-12-31", "9999-12-31", "9999-12-31T23:59:59-12:00"),
    *("2025-10-26 02:30", "2026-03-29 02:30:00", "2026-03-31T17:00:00Z", "31.12.2025"),
    *("12/01/2025", "2026-01-05T24:00", "2026-W01-1", "soon", "20260105", "L-1", "4711"),
    *("\u0958" * 251, "\u0958" * 3_334, LONG, LONG * 20, "a\tb", "a\r\nb", "a\x1bb", "a\x07"),
    *("\u202eabc", "e\u0301" * 250, "\U0001f600" * 10, "'; DROP TABLE x; --", "{0}%s", "=1+1"),
    *("a/b", "a#b", "a%23b", "#", "/", "@", "undated/won", "true", "false", "Won", "Lost"),
)
ODD_BYTES = (
    *(b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b'"', b'""', b"\n", b"\r", b"\r\n", b";"),
    *(b",", b"\t", b"\x1f", b"\x85", b"\xe2\x80\xa8", b"\xed\xa0\x80", b"\xe4", b"\xc0\x80"),
)
ODD_VALUES = (
    *("-inf", "nan", "1e999", "0", "-1", "true", '""', '"\\u0000"', "[]", "{}", "[[]]", '"x"'),
    *('["a", "b"]', "2026-01-05", "07:32:00", "2026-01-05T10:00:00", "1e39", "9" * 41),
    *('{ column = "Rep" }', '{ value = "x" }', "{ value = 5 }", '{ template = "{Rep}" }'),
    *('{ column = "Rep", is = "anna" }', '{ column = "Rep", matches = "^(a+)+$" }', '"(?=a)b"'),
    *('{ not = { column = "Rep", empty = true } }', "{ all = [] }", '"excel"', '["epoch_ms"]'),
    *('["%d/%m/%Y", "%m/%d/%Y"]', '"%"', '"%Y"', '"../x.csv"', '"/etc/passwd"', f'"{LONG}"'),
    *('"utf-16"', '"cp1252"', '"idna"', '"gb18030"', '"Asia/Shanghai"', '"Europe"', '"eur"'),
    *('"deal.merged"', '"deal.opened"', '"deal.reopened"', '"deals"', '"events"', '"|"'),
    *('{ column = "Value", scale = "1e9" }', '{ column = "Value", extract = "[0-9]+" }'),
    *('{ columns = ["Rep", "Deal no"], split = ";" }', "{ last = true }", "{ first = true }"),
    *('{ changed = "Status" }', '{ column = "Status", default = "x", on_error = "omit" }'),
)
ODD_LINES = (
    *("[file]", "[numbers]", "[times]", "[maps.x]", "[process]", "[[facts]]", "[customer]"),
    *('currency = "USD"', 'strip = ["$", "€"]', 'thousands = ","', 'decimal = ","'),
    *('formats = ["iso", "excel"]', 'timezone = "UTC"', "skip_lines = 1", 'quote = "\'"'),
    *('encoding = "utf-16"', 'undated = "import"', 'opening = "refuse"', 'ragged = "pad"'),
    *('kind = "deal.lost"', 'kind = "deal.merged"', 'at = ["Closed", "Opened"]', "x = ["),
    *('name = "again"', 'inferred = "guessed"', 'actor = "Rep"', 'key = "Remark"', "= 5"),
)


def bases() -> list[tuple[str, str]]:
    """Give the tables that are mutated, each with its mapping."""
    return [
        tuple(
            (EXAMPLES / f"{name}.{end}").read_text(encoding="utf-8") for end in ("csv", "toml")
        )  # type: ignore[misc]
        for name in ("deals", "history")
    ]


def mutated_table(random: Random, table: str) -> bytes:
    """Change a few things of a table; then perhaps its bytes and its encoding."""
    lines = table.splitlines()
    mark = ";" if lines[0].count(";") > lines[0].count(",") else ","
    for _ in range(random.choice((1, 1, 2, 4, 8))):
        random.choice(OF_TABLES)(random, lines, mark)
    text = random.choice(("\n", "\n", "\r\n", "\r")).join(lines) + "\n"
    encoding = random.choice(("utf-8",) * 12 + ("utf-8-sig", "utf-16", "utf-16-le", "gb18030"))
    content = text.encode(encoding, "replace")
    for _ in range(random.choice((0, 0, 0, 1, 3))):
        place = random.randrange(len(content) + 1)
        gone = random.choice((0, 0, 1, 20))
        content = content[:place] + random.choice(ODD_BYTES) + content[place + gone :]
    return content


def mutated_file(random: Random, content: bytes) -> bytes:
    """Change a few things of a file: of JSON values, of a table cells."""
    if content[:1] not in (b"[", b"{"):
        return mutated_table(random, content.decode())
    if random.random() < 0.2:
        place = random.randrange(len(content) + 1)
        return (
            content[:place]
            + random.choice(ODD_BYTES)
            + content[place + random.choice((0, 1, 20)) :]
        )
    value = json.loads(content)
    for _ in range(random.choice((1, 1, 2, 4))):
        value = _changed(random, value)
    return json.dumps(value).encode()


def mutated_mapping(random: Random, mapping: str) -> str:
    """Change a few lines of a mapping."""
    lines = mapping.splitlines()
    for _ in range(random.choice((1, 1, 2, 3))):
        place = random.randrange(len(lines))
        key, between, _ = lines[place].partition("=")
        match random.randrange(6):
            case 0 if between:
                lines[place] = f"{key}= {random.choice(ODD_VALUES)}"
            case 1 if between:
                lines[place] = f"{key}= {random.choice(ODD_VALUES)}"
            case 2:
                lines.insert(place, random.choice(ODD_LINES))
            case 3:
                del lines[place]
                lines = lines or [""]
            case 4:
                lines.insert(place, lines[random.randrange(len(lines))])
            case _:
                read_point = random.randrange(len(lines[place]) + 1)
                odd = random.choice(("", '"', "[", "]", "{", "=", "#", ".", "\0", "é", "\\"))
                lines[place] = lines[place][:read_point] + odd + lines[place][read_point + 1 :]
    return "\n".join(lines) + "\n"


def _changed(random: Random, value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Change one thing somewhere in JSON."""
    odd: Any = random.choice(
        (*ODD_CELLS, None, 0, -1, 1.5, True, [], {}, [[]], {"a": {"b": []}})
    )
    if not isinstance(value, dict | list) or not value or random.random() < 0.1:
        return odd
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = random.choice(keys)
    match random.randrange(8):
        case 0:
            del value[key]
        case 1 if isinstance(value, list):
            value.append(value[key])
        case 1 if isinstance(value, dict):
            value[str(odd)] = value[key]
        case _:
            value[key] = _changed(random, value[key])
    return value


def _change_cell(random: Random, lines: list[str], mark: str) -> None:
    place = random.randrange(len(lines))
    cells = lines[place].split(mark)
    odd = random.choice(ODD_CELLS)
    if any(c in odd for c in f'{mark}"\r\n'):
        odd = '"' + odd.replace('"', '""') + '"'
    cells[random.randrange(len(cells))] = odd
    lines[place] = mark.join(cells)


def _repeat(random: Random, lines: list[str], mark: str) -> None:
    del mark
    lines.insert(random.randrange(len(lines) + 1), random.choice(lines))


def _remove(random: Random, lines: list[str], mark: str) -> None:
    del mark
    if len(lines) > 1:
        del lines[random.randrange(len(lines))]


def _shuffle(random: Random, lines: list[str], mark: str) -> None:
    del mark
    head, *rest = lines
    random.shuffle(rest)
    lines[:] = [head, *(rest if random.random() < 0.5 else reversed(rest))]


def _cut(random: Random, lines: list[str], mark: str) -> None:
    place = random.randrange(len(lines))
    cells = lines[place].split(mark)
    lines[place] = mark.join(cells[: random.randrange(len(cells) + 1)])


def _remark(random: Random, lines: list[str], mark: str) -> None:
    lines[:] = [line.replace(mark, random.choice(",;\t|")) for line in lines]


def _preface(random: Random, lines: list[str], mark: str) -> None:
    lines.insert(0, random.choice((f"sep={mark}", "sep=~", "", "Report of May", "Total", "#")))


Mutation = Callable[[Random, list[str], str], None]
OF_TABLES: Sequence[Mutation] = (
    *(_change_cell,) * 12,
    *(_repeat, _repeat, _remove, _shuffle, _cut, _remark, _preface),
)
