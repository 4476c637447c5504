"""The README and the pages of docs/ are promises, and these tests hold us to them: every Python block runs,
every excerpt is what the file says, every command and Make target shown exists, every link leads somewhere.

How a page writes its fenced blocks:

- A `python` block runs. The blocks of one page run top to bottom as one program, in a folder of its own.
- With `title="shop.py"` after the language, a block of any language is written to that file of the folder
  instead, so that later blocks can import or read it.
- A Python block that opens with a path in a comment, `# support_desk/workflow.py`, is an excerpt of that file
  of the repository (or of an example). A line of `...` stands for what is left out; comments at a line's end
  may differ.
- In `sh`, `bash`, `console` and unnamed blocks, lines that call `surefoot` or `make` must be real commands.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(
    r"^(?P<fence>`{3,}|~{3,})(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL
)
TITLE = re.compile(r'\btitle="([^"]+)"')
EXCERPT = re.compile(r"#\s*([\w.-]+(?:/[\w.-]+)+\.\w+)\s*$")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    page: Path
    line: int  # of the first line of the body, from 1
    language: str
    title: str | None
    body: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def excerpt_of(self) -> str | None:
        match = EXCERPT.match(self.body.lstrip("\n").split("\n", 1)[0])
        return match[1] if match else None


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        language, _, rest = match["info"].strip().partition(" ")
        title = TITLE.search(rest)
        yield Block(
            page,
            text.count("\n", 0, match.start("body")) + 1,
            language.lower(),
            title[1] if title else None,
            match["body"],
        )


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


# --------------------------------------------------------------------------------------- Python blocks


def program_of(page: Path) -> str | None:
    """The page's Python as one module with the page's own line numbers: a traceback points into the page."""
    lines: list[str] = []
    for block in blocks_of(page):
        if block.language in {"python", "py"} and not block.title and not block.excerpt_of:
            lines += [""] * (block.line - 1 - len(lines))
            lines += block.body.rstrip("\n").split("\n")
    return "\n".join(lines) + "\n" if lines else None


def run_python_of(page: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    for block in blocks_of(page):
        if block.title:
            file = folder / block.title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.body, encoding="utf-8")
    program = folder / f"{page.stem.lower().replace('-', '_')}_page.py"
    program.write_text(program_of(page) or "", encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", program.name],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("page", [page for page in PAGES if program_of(page)], ids=named)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    done = run_python_of(page, tmp_path)
    assert done.returncode == 0, f"{named(page)}, whose lines these are:\n{done.stdout}{done.stderr}"


def test_python_that_does_not_run_is_seen_at_its_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '# A\n```python title="shop.py"\nprice = 3\n```\n```python\nimport shop\n```\nB\n'
        "```python\nprint(shop.price)\nassert shop.price == 4\n```\n",
        encoding="utf-8",
    )
    done = run_python_of(page, tmp_path)
    assert (done.returncode, done.stdout) == (1, "3\n")
    assert 'page_page.py", line 11' in done.stderr


# -------------------------------------------------------------------------------------------- excerpts


def find_excerpted(name: str) -> Path | None:
    folders = [ROOT, *sorted(path for path in (ROOT / "examples").glob("*") if path.is_dir())]
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def comparable(text: str) -> list[str]:
    lines = (re.sub(r"\s+#\s.*$", "", line).rstrip() for line in text.split("\n"))
    return [line for line in lines if line]


def pieces_of(block: Block) -> list[list[str]]:
    pieces: list[list[str]] = [[]]
    for line in comparable(block.body.lstrip("\n").split("\n", 1)[1]):
        if line.strip() == "...":
            pieces.append([])
        elif line.endswith(": ..."):  # a function or class whose body is left out
            pieces[-1].append(line.removesuffix(" ..."))
            pieces.append([])
        else:
            pieces[-1].append(line)
    return [piece for piece in pieces if piece]


def missing_from(file_lines: list[str], pieces: list[list[str]]) -> list[str] | None:
    """The first piece that does not follow the earlier ones in the file, or None when all do."""
    start = 0
    for piece in pieces:
        for at in range(start, len(file_lines) - len(piece) + 1):
            if file_lines[at : at + len(piece)] == piece:
                start = at + len(piece)
                break
        else:
            return piece
    return None


@pytest.mark.parametrize(
    "block",
    [block for block in BLOCKS if block.excerpt_of],
    ids=lambda block: f"{block.place}-{block.excerpt_of}",
)
def test_an_excerpt_is_what_the_file_says(block: Block) -> None:
    file = find_excerpted(block.excerpt_of or "")
    assert file is not None, f"{block.place} is an excerpt of {block.excerpt_of}, and there is no such file"
    missing = missing_from(comparable(file.read_text(encoding="utf-8")), pieces_of(block))
    assert missing is None, (
        f"{block.place}: {block.excerpt_of} does not say this (any more), or not here:\n" + "\n".join(missing)
    )


def test_a_wrong_excerpt_is_seen() -> None:
    lines = comparable("a = 1\n\ndef f(x):\n    return x  # as it came\n\nb = 2\n")
    assert missing_from(lines, [["a = 1", "def f(x):"], ["b = 2"]]) is None
    assert missing_from(lines, [["b = 2"], ["a = 1"]]) == ["a = 1"]
    assert missing_from(lines, [["def f(x):", "    return y"]]) == ["def f(x):", "    return y"]


# -------------------------------------------------------------------------------------------- commands


@dataclass(frozen=True)
class Command:
    place: str
    words: tuple[str, ...]


def commands(program: str) -> list[Command]:
    found = []
    for block in BLOCKS:
        if block.language not in {"", "sh", "bash", "shell", "console"}:
            continue
        for offset, line in enumerate(block.body.replace("\\\n", "  ").split("\n")):
            line = line.strip().removeprefix("$ ")
            for part in re.split(r"\s(?:\|\|?|&&?|;)\s", line.split(" # ")[0]):
                # KEY=value in front of a command, and what goes to or comes from a file behind it
                part = re.sub(r"^(?:\w+=\S*\s+)*", "", part.strip())
                part = re.sub(r"\s\d?[<>]{1,2}\s*\S+", "", part)
                if part == program or part.startswith(program + " "):
                    found.append(
                        Command(f"{named(block.page)}:{block.line + offset}", tuple(shlex.split(part)[1:]))
                    )
    return found


def root_command() -> click.Command:
    import surefoot.cli

    values: list[Any] = [getattr(surefoot.cli, "main", None), *vars(surefoot.cli).values()]
    return next((value for value in values if isinstance(value, click.Command)), None) or pytest.skip(
        "surefoot.cli has no commands yet"
    )


def wrong_with(command: click.Command, words: tuple[str, ...]) -> str | None:
    """Why the command line would refuse this, or None. Files and targets that it names need not exist."""
    rest = list(words)
    while isinstance(command, click.Group):
        context = click.Context(command)
        # options of the group itself; what follows them names the command
        while rest and rest[0].startswith("-"):
            option = _option(command, rest.pop(0))
            if isinstance(option, str):
                return option
            if option is not None and not option.is_flag and rest:
                rest.pop(0)
        if not rest:
            return None
        child = command.get_command(context, rest[0])
        if child is None:
            return f"there is no command {rest[0]!r} under {command.name!r}"
        command, rest = child, rest[1:]
    arguments = 0
    while rest:
        word = rest.pop(0)
        if word == "-" or not word.startswith("-"):
            arguments += 1
            continue
        option = _option(command, word)
        if isinstance(option, str):
            return option
        if option is not None and not option.is_flag and not option.count and "=" not in word and rest:
            rest.pop(0)
    places = [parameter.nargs for parameter in command.params if isinstance(parameter, click.Argument)]
    if arguments > sum(places) and -1 not in places:
        return f"{command.name!r} takes {sum(places)} arguments, not {arguments}"
    needed = sum(p.required for p in command.params if isinstance(p, click.Argument))
    return f"{command.name!r} needs {needed} arguments" if arguments < needed else None


def _option(command: click.Command, word: str) -> click.Option | str | None:
    name = word.split("=", 1)[0]
    if name in {"--help", "-h"}:
        return None
    for parameter in command.params:
        if isinstance(parameter, click.Option) and name in [*parameter.opts, *parameter.secondary_opts]:
            return parameter
    return f"{command.name!r} has no option {name!r}"


@pytest.mark.parametrize("command", commands("surefoot"), ids=lambda c: f"{c.place}-{' '.join(c.words)}")
def test_a_command_shown_exists(command: Command) -> None:
    wrong = wrong_with(root_command(), command.words)
    assert wrong is None, f"{command.place}: {wrong}"


def test_a_wrong_command_is_seen() -> None:
    @click.group()
    def root() -> None: ...

    @root.command()
    @click.argument("target", required=False)
    @click.option("--input", required=True)
    @click.option("--json", is_flag=True)
    def run(target: str, input: str, json: bool) -> None: ...

    assert wrong_with(root, ("run", "desk:desk", "--json", "--input", "ticket.json")) is None
    assert wrong_with(root, ("runn",)) == "there is no command 'runn' under 'root'"
    assert wrong_with(root, ("run", "--jsonn")) == "'run' has no option '--jsonn'"
    assert wrong_with(root, ("run", "a", "b")) == "'run' takes 1 arguments, not 2"


@pytest.mark.parametrize("command", commands("make"), ids=lambda c: f"{c.place}-{' '.join(c.words)}")
def test_a_make_target_shown_exists(command: Command) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    shown = [word for word in command.words if "=" not in word and not word.startswith(("-", "."))]
    assert set(shown) <= set(targets), f"{command.place}: the Makefile has {targets}"


# --------------------------------------------------------------------------------- links and decisions


def anchors_of(page: Path) -> set[str]:
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#{1,6}\s+(.+?)\s*$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):  # somebody else's page: not for a test to call up
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{named(page)} links to {link}, which is not there"
        if anchor and target.suffix == ".md":
            assert anchor in anchors_of(target), f"{named(page)} links to {link}: no such heading"


DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def test_every_decision_is_listed_once_under_its_own_number() -> None:
    listed = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    numbers = [page.name[:4] for page in DECISIONS]
    assert len(numbers) == len(set(numbers)), f"a number is used twice: {numbers}"
    for page in DECISIONS:
        assert page.read_text(encoding="utf-8").startswith(f"# {page.name[:4]}: "), (
            f"{page.name}: title without its number"
        )
        assert f"]({page.name})" in listed, f"docs/decisions/README.md does not list {page.name}"


@pytest.mark.parametrize("folder", ["src", "examples", "tests", "benchmarks", "docs"])
def test_a_decision_that_is_referred_to_exists(folder: str) -> None:
    numbers = {page.name[:4] for page in DECISIONS}
    for file in sorted((ROOT / folder).rglob("*")):
        if file.suffix in {".py", ".md", ".sql", ".yaml"}:
            for number in re.findall(r"\bdecision (\d{4})\b", file.read_text(encoding="utf-8")):
                assert number in numbers, (
                    f"{file.relative_to(ROOT)} refers to decision {number}, which is not there"
                )
