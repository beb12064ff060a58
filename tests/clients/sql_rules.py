"""Where an answer may differ from MariaDB's, each with its reason. A rule is narrow: it looks at both answers, not at a family alone.

MySQL is what z4 answers like, MariaDB what it is compared with: where the two part, MySQL's documentation decides.
"""

import datetime
import json
import re

from sql_values import DATES, NUMBERS

RULES = []

DAY = r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"


def rule(reason):
    """Keeps a rule under its reason."""

    def kept(function):
        RULES.append((function.__name__, reason, function))
        return function

    return kept


def allowed(statement, ours, theirs):
    """The name of the rule that explains a difference; None: nothing does."""
    for name, _, function in RULES:
        if function(statement, ours, theirs):
            return name
    return None


# What MariaDB must answer alike when it is asked in other words: each takes a statement and gives its SQL.


def hexadecimal_is_a_number(statement):
    """MySQL: X'…' is a number where one is asked for, in MariaDB a text."""
    return re.sub(r"\bX'([0-9A-F]*)'", lambda match: str(int(match[1] or "0", 16)), statement.sql)


def columns_of_bytes_are_none(statement):
    """MySQL: X'…' that a derived table selects is bytes and no number; MariaDB puts it where the column is named."""
    return re.sub(r"\b(X'[0-9A-F]*')", r"CAST(\1 AS BINARY)", statement.sql) if re.search(r"FROM \(|UNION|EXCEPT|INTERSECT", statement.sql) else statement.sql


def whole_seconds_are_rounded(statement):
    """MySQL: a moment or a time that becomes a whole number is rounded to seconds, MariaDB cuts it."""
    if not (statement.form in ("&", "|", "^", "<<", ">>", "SIGNED", "UNSIGNED", "~{any}") or statement.form.startswith("BIT_")):
        return statement.sql
    return re.sub(r"(TIME|TIMESTAMP)'([^']*\.\d+)'", lambda match: f"{match[1]}'{rounded_to_seconds(match[2])}'", statement.sql)


def whole_seconds_of_groups_are_rounded(statement):
    """The same, where the values are shown beside their bits."""
    return re.sub(r"\b(BIT_(?:AND|OR|XOR))\(c\)", r"\1(c + INTERVAL 500000 MICROSECOND)", statement.sql)


def rounded_to_seconds(text):
    """A moment or a time to the nearest second, away from zero at a half."""
    day, _, clock = text.rpartition(" ")
    hours, minutes, seconds = clock.lstrip("-").split(":")
    whole = int(hours) * 3600 + int(minutes) * 60 + int(float(seconds) + 0.5)
    if day:
        return str(datetime.datetime.fromisoformat(day) + datetime.timedelta(seconds=whole))
    return f"{'-' if clock.startswith('-') else ''}{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def times_have_signs(statement):
    """MariaDB reads a TIME below zero as another DOUBLE: the number that it is must give the same."""
    return re.sub(r"TIME'-([\d:.]+)'", lambda match: f"(-{match[1].replace(':', '').lstrip('0')}e0)", statement.sql)


REWRITES = [hexadecimal_is_a_number, columns_of_bytes_are_none, whole_seconds_are_rounded, whole_seconds_of_groups_are_rounded, times_have_signs]


def same_rows(ours, theirs):
    """In any order."""
    return both_rows(ours, theirs) and sorted(ours.rows, key=repr) == sorted(theirs.rows, key=repr)


def both_rows(ours, theirs):
    return ours.error is None and theirs.error is None


def pairs_of_values(ours, theirs):
    """The values that differ, as (column, ours, theirs); None where the answers have not the same shape."""
    if not both_rows(ours, theirs) or len(ours.rows) != len(theirs.rows):
        return None
    found = []
    for mine, other in zip(ours.rows, theirs.rows):
        if len(mine) != len(other):
            return None
        found += [(at, a, b) for at, (a, b) in enumerate(zip(mine, other)) if a != b]
    return found


def column_is_null(answer, at):
    return all(row[at] is None for row in answer.rows)


@rule("src/sql/README.md: a text that is no date is error 1525 beside one, where MariaDB warns and compares something")
def text_is_no_date(statement, ours, theirs):
    wrong = re.search(r"Incorrect (DATE|DATETIME|TIME) value: '(.*)'", ours.message, re.DOTALL) if ours.error == 1525 else None
    right = r"-?\d+:\d+(?::\d+(?:\.\d+)?)?" if wrong and wrong[1] == "TIME" else DAY + r"(?: \d+:\d+:\d+(?:\.\d+)?)?"
    return wrong is not None and theirs.error is None and not re.fullmatch(right, wrong[2])


@rule("what IN, IS, LIKE and BETWEEN give can be calculated with; in MySQL's grammar it must stand in brackets")
def calculates_with_predicates(statement, ours, theirs):
    return statement.family == "precedence" and theirs.error == 1064


@rule("a NULL literal takes the other values' type; in MariaDB a column of a derived table that is NULL is a text, and beside unsigned ones DECIMAL")
def nothing_gives_no_type(statement, ours, theirs):
    return same_rows(ours, theirs) and "NULL" in statement.sql and all(
        mine == other or other in ("text", "bytes") or (mine, other) == ("unsigned", "decimal(0)") for mine, other in zip(ours.types, theirs.types))


@rule("MySQL counts rows of windows as BIGINT UNSIGNED")
def places_are_unsigned(statement, ours, theirs):
    return (statement.form.startswith(("ROW_NUMBER", "RANK", "DENSE_RANK", "NTILE")) and ours.rows == theirs.rows
            and ours.types[-1] == "unsigned" and theirs.types[-1] == "int")


@rule("MySQL writes JSON with a blank after colons and commas, doubles with a fraction, moments with six digits")
def json_is_written_as_mysqls(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return bool(pairs) and all(a is not None and b is not None and same_json(a, b) for _, a, b in pairs)


def same_json(a, b):
    try:
        a, b = json.loads(a), json.loads(b)
    except ValueError:
        return False
    return plain_json(a) == plain_json(b)


def plain_json(value):
    """Without what writes a moment's fraction; a boolean of a column that SQL made is a number in MariaDB."""
    match value:
        case dict():
            return {key: plain_json(inner) for key, inner in value.items()}
        case list():
            return [plain_json(inner) for inner in value]
        case str() if ":" in value:
            return value.rstrip("0").rstrip(".") if "." in value else value
        case _:
            return value


@rule("MySQL: a path with a wildcard names no place to write to (3149), and no NULL either")
def wildcard_is_no_place(statement, ours, theirs):
    return ours.error == 3149 and theirs.error is None and statement.family in ("json", "nested")


@rule("MySQL: a document stays as it is where the path is not in it, JSON_CONTAINS of such a path is NULL")
def path_is_not_there(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs) or []
    if statement.form.startswith(("JSON_ARRAY_APPEND", "JSON_ARRAY_INSERT")):
        return bool(pairs) and all(b is None for _, a, b in pairs)
    return statement.form.startswith("JSON_CONTAINS({doc}, '1', {path})") and bool(pairs) and all(a is None and b == b"0" for _, a, b in pairs)


@rule("MySQL: JSON_SEARCH looks at strings alone")
def strings_are_searched(statement, ours, theirs):
    """Each place that is found holds a string."""
    pairs = pairs_of_values(ours, theirs)
    return statement.form == "JSON_SEARCH({doc}, 'all', '%')" and bool(pairs) and all(
        b is not None and places(a) == [place for place in places(b) if isinstance(at_place(statement, place), str)] for _, a, b in pairs)


def places(found):
    """The paths that JSON_SEARCH gives."""
    found = json.loads(found) if found else []
    return [found] if isinstance(found, str) else found


def at_place(statement, place):
    """What is at a path without wildcards in the document of a statement."""
    value = json.loads(re.search(r"'((?:[^'\\]|\\.)*)'", statement.sql)[1].replace("\\\\", "\\"))
    for name, number in re.findall(r'\.("(?:[^"\\]|\\.)*"|\w+)|\[(\d+)\]', place.removeprefix("$")):
        value = value[int(number)] if number else value[json.loads(name) if name.startswith('"') else name]
    return value


@rule("MySQL: JSON_EXTRACT gives values in the order of the paths, one that two of them find twice")
def values_in_the_order_of_paths(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return statement.form == "JSON_EXTRACT({doc}, {path}, {path})" and bool(pairs) and all(
        a is not None and b is not None and same_elements(json.loads(a), json.loads(b)) for _, a, b in pairs)


def same_elements(a, b):
    """The elements of two arrays are the same, but for their order and how often each is there."""
    return isinstance(a, list) and isinstance(b, list) and {json.dumps(value) for value in a} == {json.dumps(value) for value in b}


@rule("MySQL: JSON_LENGTH of a path with a wildcard is that of what it finds first, in MariaDB NULL")
def length_of_what_is_found_first(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return statement.form == "JSON_LENGTH({doc}, {path})" and "*" in statement.sql and bool(pairs) and all(a is not None and b is None for _, a, b in pairs)


@rule("MySQL: a TIME or DATETIME with fewer digits is rounded, MariaDB cuts")
def moments_are_rounded(statement, ours, theirs):
    """The two are a step of the last digit apart, ours farther from zero or later."""
    pairs = pairs_of_values(ours, theirs)
    return statement.family == "cast" and bool(pairs) and all(
        a is not None and b is not None and ours.types[at].startswith(("time(", "datetime(")) and is_next(a.decode(), b.decode())
        for at, a, b in pairs)


def is_next(rounded, cut):
    """A moment or a time is one step of its last digit after the other, away from zero."""
    digits = len(cut.partition(".")[2])
    a, b = micros(rounded), micros(cut)
    return a is not None and b is not None and abs(a) - abs(b) == 10 ** (6 - digits)


def micros(text):
    """Microseconds of a TIME or DATETIME as it is shown, since 0000-03-01 for the latter."""
    parts = re.fullmatch(r"(?:(\d{4})-(\d\d)-(\d\d) )?(-?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?", text)
    if parts is None:
        return None
    year, month, day, sign, hours, minutes, seconds, fraction = parts.groups()
    clock = (int(hours) * 3600 + int(minutes) * 60 + int(seconds)) * 1_000_000 + int((fraction or "").ljust(6, "0"))
    if year is None:
        return -clock if sign else clock
    return datetime.date(int(year), int(month), int(day)).toordinal() * 86_400_000_000 + clock if int(year) else None


@rule("MySQL: GREATEST and LEAST of a date and something that is none are texts; MariaDB compares dates, or numbers")
def greatest_of_texts(statement, ours, theirs):
    return ("GREATEST" in statement.form or "LEAST" in statement.form) and both_rows(ours, theirs) and any(
        mine in ("text", "bytes") and other not in ("text", "bytes") for mine, other in zip(ours.types, theirs.types))


@rule("src/sql/README.md: there is no date 0000-00-00: a number or text that would be one is NULL")
def no_zero_dates(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return bool(pairs) and all(
        a is None and b is not None and (
            re.match(rb"\d{4}-(?:00-\d\d|\d\d-00)", b) is not None or b == b"0" and statement.family in ("date", "nested")) for _, a, b in pairs)


@rule("MySQL: a date or a time that is rounded, cut or negated is a number, in MariaDB a date or a time, and its type is another")
def rounded_moments_are_numbers(statement, ours, theirs):
    if not re.search(r"\b(?:ROUND|TRUNCATE|CEIL|FLOOR|ABS)\(|-", statement.sql) or not both_rows(ours, theirs) or len(ours.types) != len(theirs.types):
        return False
    pairs = pairs_of_values(ours, theirs)
    types = [(mine, other) for mine, other in zip(ours.types, theirs.types) if mine != other]
    return pairs is not None and bool(types) and all(a is not None and b is not None and same_digits(a, b) for _, a, b in pairs) and all(
        mine in ("int", "decimal(0)", "decimal(1)") and (other.startswith(("time(", "datetime(")) or other in ("decimal(0)", "unsigned")) for mine, other in types)


def same_digits(number, moment):
    """The number is what the moment shows, its last digits rounded otherwise at most."""
    digits = moment.translate(None, b"-: ") if b":" in moment else moment
    if b":" in number or not number or not digits:
        return False
    a, b = float(number), float(digits) * (-1 if moment.startswith(b"-") and b":" in moment else 1)
    return abs(a - b) < 1 or b":" in moment and is_same_second(int(a), moment.decode())


def is_same_second(number, moment):
    """235960 is 24:00:00."""
    parts = re.fullmatch(r"-?(?:\d+-\d+-\d+ )?(\d+):(\d\d):(\d\d)(?:\.\d+)?", moment)
    clock = abs(number) % 1_000_000 if " " in moment else abs(number)
    seconds = clock // 10_000 * 3600 + clock // 100 % 100 * 60 + clock % 100
    shown = int(parts[1]) * 3600 + int(parts[2]) * 60 + int(parts[3]) if parts else -1
    return shown == seconds or " " in moment and shown == seconds % 86_400


@rule("MySQL: TIME_TO_SEC is a BIGINT")
def seconds_are_whole(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return statement.form.startswith("TIME_TO_SEC") and bool(pairs) and all(
        a is not None and b is not None and int(a) == int(float(b)) for _, a, b in pairs)


@rule("MySQL: UNIX_TIMESTAMP of what is no TIMESTAMP is 0, in MariaDB NULL")
def unix_timestamp_of_any_date(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return statement.form.startswith("UNIX_TIMESTAMP") and bool(pairs) and all(
        a is not None and float(a) == 0 and b is None for _, a, b in pairs)


@rule("MySQL: a number that is more than a TIME can be is none, in MariaDB the greatest TIME")
def number_is_no_time(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    parts = re.search(r"\b(?:HOUR|MINUTE|SECOND|MICROSECOND|TIME_TO_SEC)\(", statement.form) is not None
    greatest = rb"838:59:59.*" + (rb"|838|59|9{6}|3020399(?:\.9+)?" if parts else b"")
    return bool(pairs) and all(a is None and b is not None and re.fullmatch(greatest, b.lstrip(b"-")) is not None for _, a, b in pairs)


@rule("MySQL: the greatest TIME is 838:59:59, in MariaDB 838:59:59.999999")
def times_end_at_a_second(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return bool(pairs) and all(a is not None and b is not None and re.fullmatch(rb"-?838:59:59\.0+", a) is not None
                               and b == a.replace(b"0", b"9") for _, a, b in pairs)


@rule("MySQL: FROM_UNIXTIME of a DOUBLE or a text has six digits, of which MariaDB tells 39 and shows some")
def from_unixtime_has_six_digits(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return (pairs is not None and ours.types == ["datetime(6)"] and theirs.types == ["datetime(39)"]
            and all(a is not None and b is not None and a == (b if b"." in b else b + b".").ljust(len(a), b"0") for _, a, b in pairs))


@rule("MySQL: TIMESTAMP adds the time of day of a DATE or DATETIME, in MariaDB that is NULL")
def timestamp_adds_a_clock(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return statement.form == "TIMESTAMP({d}, {t})" and statement.kinds[-1] in ("date", "datetime") and bool(pairs) and all(
        a is not None and b is None for _, a, b in pairs)


@rule("MySQL: a date or a time beside a number that is none is compared as a number, in MariaDB as the date that it cannot be")
def number_is_no_date(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    kinds = set(statement.kinds)
    return bool(pairs) and not kinds.isdisjoint(DATES) and not kinds.isdisjoint(NUMBERS) and re.search(
        r"\d{16}|\de\d|-1 AS UNSIGNED|\b2147483647", statement.sql) is not None and all(
        ours.types[at] == "int" and {a, b} <= {b"0", b"1", None} for at, a, b in pairs)


@rule("MySQL: EXTRACT knows hours beyond a day")
def hours_are_not_days(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return statement.form.startswith("EXTRACT") and "(HOUR" in statement.sql and bool(pairs) and all(
        a is not None and b is not None and abs(int(a)) > abs(int(b)) for _, a, b in pairs)


@rule("MySQL: a quotient has at most 30 digits behind the point")
def short_quotient(statement, ours, theirs):
    return both_rows(ours, theirs) and any(
        other.startswith("decimal") and int(other[8:-1]) > 30 and mine == "decimal(30)" for mine, other in zip(ours.types, theirs.types))


@rule("src/sql/README.md: unsigned numbers may be subtracted below zero")
def below_zero(statement, ours, theirs):
    return theirs.error == 1690 and ours.error is None and "-" in statement.sql and "BIGINT" in theirs.message and " - " in theirs.message


@rule("MySQL: a DOUBLE that stands between two integers is rounded to the even one for &, |, ^, ~, << and >> and BIT_COUNT, too")
def halves_are_even(statement, ours, theirs):
    return (both_rows(ours, theirs) and statement.form in ("&", "|", "^", "<<", ">>", "~{any}", "BIT_COUNT({any})", "BIT_COUNT({n})")
            and any(half in statement.sql for half in ("5e-1", "'.5'")))


@rule("src/sql/README.md: DOUBLE shows all its digits; MariaDB gives a quotient, STDDEV and its kin four more than their argument has, windows ten")
def all_digits(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return bool(pairs) and any(word in statement.form for word in ("STDDEV", "VAR", "PERCENT_RANK", "CUME_DIST", "/")) and all(
        ours.types[at] == "double" and a is not None and b is not None and rounds_to(a, b) for at, a, b in pairs)


def rounds_to(all_digits, shown):
    """The digits that are shown are those of the other."""
    digits = len(shown.partition(b".")[2])
    return abs(float(all_digits) - float(shown)) <= max(0.51 * 10.0 ** -digits, 4e-16 * abs(float(all_digits)))


@rule("MariaDB calculates the variance of DECIMALs that have more digits than a DOUBLE as DECIMALs of its own")
def variance_of_long_decimals(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return bool(pairs) and statement.form.startswith(("STDDEV", "VAR")) and "decimal" in statement.kinds and "9" * 65 in statement.sql


@rule("the sum of squares of DOUBLEs may be more than a DOUBLE: NULL, where MariaDB says the greatest one")
def variance_without_end(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return bool(pairs) and statement.form.startswith(("STDDEV", "VAR")) and all(a is None and b == b"1.7976931348623157e308" for _, a, b in pairs)


@rule("MariaDB loses groups of one value where HAVING names their STDDEV")
def having_of_one(statement, ours, theirs):
    return (both_rows(ours, theirs) and statement.form.startswith(("STDDEV", "VAR")) and "HAVING" in statement.sql
            and set(ours.rows) ^ set(theirs.rows) and all(row[-1] == b"0" or row in theirs.rows for row in ours.rows))


@rule("MySQL: a shift by 64 or more leaves nothing, MariaDB takes the lower bits of the count")
def shifted_out(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return bool(pairs) and statement.form in ("<<", ">>") and all(a == b"0" for _, a, _ in pairs)


@rule("MySQL: a number below zero CAST AS UNSIGNED has the bits of its BIGINT, a DOUBLE is a BIGINT first")
def unsigned_by_bigint(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return bool(pairs) and statement.form == "UNSIGNED" and all(
        b == b"0" and int(a) >= 1 << 63 or (a, b) == (b"9223372036854775807", b"18446744073709551615") for _, a, b in pairs)


@rule("MySQL: SHA2 with NULL is NULL")
def no_length_of_digest(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return bool(pairs) and "SHA2" in statement.form and "NULL" in statement.sql and all(a is None for _, a, _ in pairs)


@rule("MySQL: REGEXP_SUBSTR is NULL where nothing matches, and what regular expressions give is never bytes")
def regexp_finds_nothing(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return statement.form.startswith("REGEXP_") and pairs is not None and all((a, b) == (None, b"") for _, a, b in pairs)


@rule("MySQL: JSON is utf8mb4, also where bytes went into it")
def json_is_no_bytes(statement, ours, theirs):
    return "JSON_" in statement.form and both_rows(ours, theirs) and (ours.types[-1], theirs.types[-1]) == ("text", "bytes")


@rule("the order of JSON_ARRAYAGG is not defined")
def any_order_of_elements(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return bool(pairs) and statement.form.startswith("JSON_ARRAYAGG") and all(
        sorted(map(repr, json.loads(a))) == sorted(map(repr, json.loads(b))) for _, a, b in pairs)


@rule("MySQL: JSON_REMOVE of the whole document is error 3153")
def whole_document_stays(statement, ours, theirs):
    return statement.form.startswith("JSON_REMOVE") and ours.error == 3153 and "'$')" in statement.sql


@rule("MySQL: JSON_VALUE gives an array and an object as their texts, and NULL where the path leads to several values")
def json_value_is_mysqls(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return bool(pairs) and statement.form.startswith("JSON_VALUE") and all(
        a is None or b is None and a[:1] in (b"[", b"{") for _, a, b in pairs)


@rule("MySQL: a number with an exponent is a DOUBLE in JSON")
def exponents_are_doubles(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return bool(pairs) and statement.form.startswith("JSON_TYPE") and all((a, b) == (b"DOUBLE", b"INTEGER") for _, a, b in pairs)


@rule("the collation is utf8mb4_bin; the other session has MariaDB's name for the one that sees trailing spaces")
def name_of_collation(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return bool(pairs) and "COLLATION" in statement.form and all((a, b) == (b"utf8mb4_bin", b"utf8mb4_nopad_bin") for _, a, b in pairs)


@rule("src/sql/README.md: texts see trailing spaces, also in a collation that folds case")
def spaces_count(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return bool(pairs) and "COLLATE utf8mb4_general_ci" in statement.form and " '" in statement.sql and all((a, b) == (b"0", b"1") for _, a, b in pairs)


@rule("MySQL: BINARY(n) counts bytes; MariaDB counts the characters of a literal")
def bytes_not_characters(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return bool(pairs) and statement.form.startswith("BINARY(") and all(b.startswith(a) and len(a) == int(statement.form[7:-1]) for _, a, b in pairs)


@rule("MariaDB reads a text as latin1 where it is put into a number's")
def characters_of_numbers(statement, ours, theirs):
    pairs = pairs_of_values(ours, theirs)
    return bool(pairs) and all(a is not None and b is not None and mojibake(a) == b for _, a, b in pairs)


def mojibake(text):
    """UTF-8 that was read as latin1 once."""
    return "".join(bytes([byte]).decode("cp1252", errors="replace") for byte in text).encode()


@rule("src/sql/README.md: both sides of an operator are calculated, also where MySQL knows by the first that the result is NULL")
def both_sides_are_calculated(statement, ours, theirs):
    return statement.family == "precedence" and ours.error == 1690 and theirs.error is None and theirs.rows in (((None,),), ((b"0",),))


@rule("a NULL among unsigned numbers leaves their type as it is; in MariaDB they are DECIMALs then, and their bits those of a BIGINT")
def bits_beside_nothing(statement, ours, theirs):
    return (both_rows(ours, theirs) and statement.form.startswith("BIT_") and statement.kinds == ["unsigned"] and "NULL" in statement.sql
            and any(great in statement.sql for great in ("-1 AS UNSIGNED", "9223372036854775808", "1844674407370955161")))
