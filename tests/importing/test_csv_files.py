"""CSV files as they come: their encodings, delimiters and accidents."""

import gzip
from pathlib import Path

import pytest
from pydantic import ValidationError

from salesflow.adapters.importers.csv import BadRow, TableFile, TableRow
from salesflow.adapters.importers.table.mapping import FileFormat
from salesflow.errors import InputError


def opened(folder: Path, content: str | bytes, form: FileFormat | None = None) -> TableFile:
    path = folder / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return TableFile(path, form, ["id", "name"])


def rows(folder: Path, content: str | bytes, form: FileFormat | None = None) -> list[list[str]]:
    return [
        row.cells if isinstance(row, TableRow) else [f"{row.line}: {row.reason}"]
        for row in opened(folder, content, form).rows()
    ]


def test_the_delimiter_is_the_one_under_which_the_columns_are_found(tmp_path: Path) -> None:
    for mark in ",;\t|":
        assert rows(tmp_path, f"id{mark}name\n1{mark}a.b\n") == [["1", "a.b"]]
    assert rows(tmp_path, "id;name, a, b, c\n1;x\n") == [["1", "x"]]


def test_a_delimiter_that_is_given_counts(tmp_path: Path) -> None:
    assert rows(tmp_path, "id~name\n1~a\n", FileFormat(delimiter="~")) == [["1", "a"]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_says_the_encoding(tmp_path: Path, encoding: str) -> None:
    table = opened(tmp_path, "id,name\n1,张伟\n".encode(encoding))
    assert table.header == ["id", "name"]
    assert [row.cells for row in table.rows() if isinstance(row, TableRow)] == [["1", "张伟"]]


def test_a_chinese_file_is_read_in_its_encoding(tmp_path: Path) -> None:
    content = "id,name\n1,张伟\n2,王芳\n3,李娜\n".encode("gb18030")
    assert rows(tmp_path, content, FileFormat(encoding="gb18030"))[1] == ["2", "王芳"]
    with pytest.raises(InputError, match=r"not utf-8 text \(line 2\).*gb18030"):
        rows(tmp_path, content)


def test_one_line_of_another_encoding_is_refused_by_itself(tmp_path: Path) -> None:
    content = b"id,name\n1,a\n2,\xe4\n3,c\n" + b"4,d\n" * 20
    assert rows(tmp_path, content)[:3] == [
        ["1", "a"],
        ["3: holds bytes that are not utf-8 text; see encoding in [file]"],
        ["3", "c"],
    ]


def test_a_line_break_inside_quotes_belongs_to_the_field(tmp_path: Path) -> None:
    table = opened(tmp_path, 'id,name\r\n1,"a\r\nb ""c"""\r\n2,d\r\n')
    assert list(table.rows()) == [TableRow(2, ["1", 'a\r\nb "c"']), TableRow(4, ["2", "d"])]


def test_a_header_may_hold_a_line_break(tmp_path: Path) -> None:
    assert opened(tmp_path, 'id,"the\nname"\n1,a\n').header == ["id", "the name"]


def test_blank_lines_are_counted_and_passed_over(tmp_path: Path) -> None:
    table = opened(tmp_path, "id,name\n1,a\n\n\n2,b\n")
    assert [row.line for row in table.rows()] == [2, 5]
    assert table.blank_lines == 2


def test_a_row_with_too_few_or_too_many_fields_is_refused(tmp_path: Path) -> None:
    content = "id,name\n1\n2,b,c\n3,d,,\n4,e\n"
    assert rows(tmp_path, content) == [
        ["2: has 1 fields where the header has 2"],
        ["3: has 3 fields where the header has 2"],
        ["3", "d"],
        ["4", "e"],
    ]
    assert rows(tmp_path, content, FileFormat(ragged="pad"))[0] == ["1", ""]


def test_a_nul_refuses_its_row(tmp_path: Path) -> None:
    filler = "".join(f"{n},fine\n" for n in range(10, 300))
    found = rows(tmp_path, f"id,name\n{filler}1,a\0b\n2,c\n")
    assert found[-2:] == [["292: holds a NUL or another control character"], ["2", "c"]]


def test_a_quote_never_closed_does_not_take_the_file_with_it(tmp_path: Path) -> None:
    many = "".join(f"{n},fine\n" for n in range(20_000))
    found = list(opened(tmp_path, f'id,name\n1,"open\n{many}').rows())
    assert isinstance(found[0], BadRow)
    assert found[0].reason.startswith("holds a field too large to be one")
    assert found[-1] == TableRow(20_002, ["19999", "fine"])
    assert rows(tmp_path, 'id,name\n1,a\n2,"open\n')[1][0].startswith("3: opens a quote")


def test_a_huge_field_is_refused(tmp_path: Path) -> None:
    found = rows(tmp_path, f"id,name\n1,{'x' * 200_000}\n2,b\n")
    assert "too large" in found[0][0]
    assert found[1] == ["2", "b"]


def test_text_behind_a_closing_quote_is_refused(tmp_path: Path) -> None:
    assert "not written as CSV" in rows(tmp_path, 'id,name\n1,"a"b\n2,c\n')[0][0]


def test_lines_above_the_header_are_skipped_when_the_mapping_says_so(tmp_path: Path) -> None:
    table = opened(tmp_path, "Report of May\n\nid,name\n1,a\n", FileFormat(skip_lines=2))
    assert list(table.rows()) == [TableRow(4, ["1", "a"])]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"PK\x03\x04rest", "Excel workbook or a zip archive, not a CSV file; export it"),
        (gzip.compress(b"id,name\n", mtime=0), "gzip"),
        (b"%PDF-1.4", "PDF"),
        (b"id,na\x00\x01\x02me\n\x00\x00", "binary file"),
    ],
)
def test_what_is_no_table_is_refused_with_what_to_do(
    tmp_path: Path, content: bytes, match: str
) -> None:
    with pytest.raises(InputError, match=match):
        opened(tmp_path, content)


def test_a_file_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        TableFile(tmp_path / "gone.csv")
    with pytest.raises(InputError, match="is a folder"):
        TableFile(tmp_path)


@pytest.mark.parametrize("named", [None, "utf-8", "utf-8-sig", "UTF8"])
def test_a_byte_order_mark_before_a_quoted_name_is_none_of_it(
    tmp_path: Path, named: str | None
) -> None:
    table = opened(
        tmp_path, b'\xef\xbb\xbf"id","name"\r\n"1","a"\r\n', FileFormat(encoding=named)
    )
    assert table.header == ["id", "name"]
    assert list(table.rows()) == [TableRow(2, ["1", "a"])]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_text_without_a_mark_is_recognised(tmp_path: Path, encoding: str) -> None:
    content = 'id,"name"\n1,张伟\n2,王芳\n'.encode(encoding)
    for named in (None, encoding):
        table = opened(tmp_path, content, FileFormat(encoding=named))
        assert table.header == ["id", "name"]
        assert next(row for row in table.rows()) == TableRow(2, ["1", "张伟"])
    marked = "\ufeff".encode(encoding) + content
    assert opened(tmp_path, marked, FileFormat(encoding=encoding)).header == ["id", "name"]


def test_wide_text_is_found_where_its_width_is_all_that_was_named(tmp_path: Path) -> None:
    content = "id,name\n1,a\n".encode("utf-16-be")
    assert opened(tmp_path, content, FileFormat(encoding="utf-16")).header == ["id", "name"]


def test_a_mark_that_contradicts_the_mapping_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="byte order mark of utf-8, and the mapping says cp1252"
    ):
        opened(tmp_path, "id,name\n".encode("utf-8-sig"), FileFormat(encoding="cp1252"))


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;", "\ufeffsep=;"])
def test_a_separator_line_is_read_as_excel_reads_it(tmp_path: Path, line: str) -> None:
    table = opened(tmp_path, f"{line}\r\nid;name\r\n1;a,b\r\n")
    assert (table.delimiter, table.header) == (";", ["id", "name"])
    assert list(table.rows()) == [TableRow(3, ["1", "a,b"])]


def test_a_separator_line_that_is_skipped_is_skipped_once(tmp_path: Path) -> None:
    table = opened(tmp_path, "sep=;\nid;name\n1;a\n", FileFormat(skip_lines=1))
    assert list(table.rows()) == [TableRow(3, ["1", "a"])]


def test_spaces_around_names_and_quotes_do_not_count(tmp_path: Path) -> None:
    table = opened(tmp_path, '"id" ;name\n1;a\n')
    assert (table.header, list(table.rows())) == (["id", "name"], [TableRow(2, ["1", "a"])])
    table = opened(tmp_path, 'id, "full\u00a0  name"\n1, "a, b"\n')
    assert (table.header, list(table.rows())) == (
        ["id", "full name"],
        [TableRow(2, ["1", "a, b"])],
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_on_any_system(tmp_path: Path, end: str) -> None:
    table = opened(tmp_path, end.join(["id,name", "1,a", '2,"b"', ""]))
    assert list(table.rows()) == [TableRow(2, ["1", "a"]), TableRow(3, ["2", "b"])]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\n <!DOCTYPE html><html>", "a web page"),
        (b"\xef\xbb\xbf<TABLE><tr>", "a web page"),
        (b'<?xml version="1.0"?>', "an XML file"),
        (b'[{"id": 1}]', "a JSON file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Excel workbook"),
        (b"BZh91AY", "a bzip2 archive"),
        (b"Rar!\x1a", "a RAR archive"),
    ],
)
def test_what_somebody_took_for_a_table_is_named(
    tmp_path: Path, content: bytes, what: str
) -> None:
    with pytest.raises(InputError, match=f"is {what}, not a CSV file"):
        opened(tmp_path, content)


def test_a_file_that_may_not_be_read_is_one_clear_error(tmp_path: Path) -> None:
    for name in ("x" * 5_000, "a\0b"):
        with pytest.raises(InputError, match=r"cannot be read|no file") as caught:
            TableFile(tmp_path / name)
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize("mark", ["\n", "\r", "\0"])
def test_a_line_end_cannot_stand_between_fields(mark: str) -> None:
    with pytest.raises(ValidationError, match="cannot stand between"):
        FileFormat(delimiter=mark)
    with pytest.raises(ValidationError, match="cannot be the same"):
        FileFormat(delimiter="'", quote="'")
    with pytest.raises(ValidationError, match="is not an encoding"):
        FileFormat(encoding="idna")
