"""Money that cannot be overshot: what is admitted together never passes a cap, whatever branches run side by
side and whenever the process dies; and nothing is refused that would have fitted."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.core import events as e
from surefoot.core.fold import RunState
from surefoot.core.jsons import Raw
from surefoot.core.model import Bound
from surefoot.rails import ledger
from surefoot.rails.ledger import Fits, Over, Waits

SECOND = 1_000_000


class Books:
    """A run's state under these caps, written to as the road to a model does."""

    def __init__(self, **caps: Any) -> None:
        self.state = RunState()
        self.now = 0
        self.under_way: dict[str, Bound] = {}
        self.write(e.RunSubmitted(Raw("{}"), "w", "1", "f", caps, "r"))

    def write(self, event: e.Event) -> None:
        self.now += SECOND
        self.state.apply(e.Entry(self.state.seq + 1, self.now, event))

    def room(self, bound: Bound) -> ledger.Room:
        return ledger.room_for_request(self.state, bound)

    def reserve(self, bound: Bound) -> str:
        name = f"a{len(self.state.asks)}"
        self.write(
            e.AskReserved(name, "s", 1, "p", "m", "d", bound.tokens_in, bound.tokens_out, bound.nanousd)
        )
        self.under_way[name] = bound
        return name

    def settle(self, name: str, event: e.Event) -> None:
        del self.under_way[name]
        self.write(event)

    def die(self) -> None:
        self.under_way.clear()
        self.write(e.RunClaimed("w", 2))

    @property
    def used(self) -> tuple[int, int]:
        return self.state.usage.nanousd, self.state.usage.tokens_in + self.state.usage.tokens_out


def answered(name: str, tokens: int, nanousd: int, held: bool = False) -> e.AskAnswered:
    return e.AskAnswered(name, "text", tokens_in=tokens, nanousd=nanousd, held=held)


def test_without_caps_everything_fits() -> None:
    assert Books().room(Bound(10**9, 10**9, 10**15)) == Fits()


def test_what_fits_to_the_last_token_fits() -> None:
    books = Books(tokens=100, nanousd=50, model_calls=1)
    assert books.room(Bound(60, 40, 50)) == Fits()
    assert isinstance(books.room(Bound(61, 40, 50)), Over)
    assert isinstance(books.room(Bound(60, 40, 51)), Over)


def test_what_would_fit_if_others_cost_less_waits_and_then_goes_ahead() -> None:
    books = Books(nanousd=100)
    first = books.reserve(Bound(1, 1, 80))
    assert books.room(Bound(1, 1, 30)) == Waits()
    books.settle(first, answered(first, 1, 70))
    assert books.room(Bound(1, 1, 30)) == Fits()


def test_what_can_never_fit_is_told_so_at_once_with_the_sums() -> None:
    books = Books(nanousd=100_000_000)
    first = books.reserve(Bound(1, 1, 80_000_000))
    books.settle(first, answered(first, 1, 80_000_000))
    room = books.room(Bound(1, 1, 30_000_000))
    assert room == Over("money", "$0.1 allowed, $0.08 used, and this may take $0.03")
    tokens = Books(tokens=10)
    assert tokens.room(Bound(8, 3, 0)) == Over("tokens", "10 allowed, 0 used, and this may take 11")


def test_one_cap_that_is_over_is_enough_and_waiting_for_one_is_waiting() -> None:
    books = Books(tokens=100, nanousd=100)
    books.reserve(Bound(50, 0, 10))
    assert books.room(Bound(60, 0, 10)) == Waits()
    assert isinstance(books.room(Bound(60, 0, 101)), Over)
    assert isinstance(books.room(Bound(101, 0, 95)), Over)
    assert books.room(Bound(10, 0, 95)) == Waits()


def test_what_was_under_way_when_the_process_died_is_spent() -> None:
    books = Books(nanousd=100)
    books.reserve(Bound(1, 1, 80))
    books.die()
    assert isinstance(books.room(Bound(1, 1, 30)), Over)


def test_a_definite_refusal_costs_nothing_and_an_answer_without_usage_costs_the_worst() -> None:
    books = Books(nanousd=100)
    first = books.reserve(Bound(1, 1, 80))
    books.settle(first, e.AskFailed(first, {}, charged=False))
    assert books.used == (0, 0)
    second = books.reserve(Bound(1, 1, 80))
    books.settle(second, answered(second, 0, 0, held=True))
    assert books.used == (80, 2)


def test_the_number_of_requests_and_of_calls_is_capped() -> None:
    books = Books(model_calls=1, tool_calls=1)
    assert ledger.room_for_call(books.state) == Fits()
    books.reserve(Bound(1, 1, 1))
    assert books.room(Bound(1, 1, 1)) == Over("model calls", "1 allowed, 1 made")
    books.write(e.CallIntended("c1", "s", 1, "t", "1", "read", Raw("{}"), "d", "k", 0))
    assert ledger.room_for_call(books.state) == Over("tool calls", "1 allowed, 1 made")
    assert ledger.room_for_call(Books(tool_calls=0).state) == Over("tool calls", "0 allowed, 0 made")


BOUNDS = st.builds(Bound, st.integers(0, 40), st.integers(0, 40), st.integers(0, 80))
MOVES = st.one_of(
    st.tuples(st.just("ask"), BOUNDS, st.just(0.0)),
    st.tuples(
        st.sampled_from(["answer", "answer", "hold", "fail", "refuse", "die"]), st.none(), st.floats(0, 1)
    ),
)


@settings(max_examples=settings().max_examples * 5)
@given(st.lists(MOVES, max_size=40), st.integers(0, 200), st.integers(0, 200))
def test_what_was_admitted_never_passes_a_cap_and_nothing_waits_in_vain(
    moves: list[Any], money: int, tokens: int
) -> None:
    books = Books(nanousd=money, tokens=tokens)
    for what, bound, share in moves:
        if what == "ask":
            room = books.room(bound)
            spent, used = books.used
            alone = spent + bound.nanousd <= money and used + bound.tokens_in + bound.tokens_out <= tokens
            assert isinstance(room, Over) != alone
            if isinstance(room, Fits):
                books.reserve(bound)
            elif isinstance(room, Waits):
                assert books.under_way  # whose end it waits for
        elif what == "die":
            books.die()
        elif books.under_way:
            name = sorted(books.under_way)[int(share * (len(books.under_way) - 1))]
            most = books.under_way[name]
            cost = (int(share * (most.tokens_in + most.tokens_out)), int(share * most.nanousd))
            books.settle(
                name,
                {
                    "answer": answered(name, *cost),
                    "hold": answered(name, 0, 0, held=True),
                    "fail": e.AskFailed(name, {}, charged=True),
                    "refuse": e.AskFailed(name, {}, charged=False),
                }[what],
            )
        spent, used = books.used
        assert spent + books.state.reserved_nanousd <= money
        assert used + books.state.reserved_tokens <= tokens


# ── time and days ────────────────────────────────────────────────────────────────────────────────


def test_active_time_is_capped_and_waiting_does_not_count() -> None:
    books = Books(seconds=10)
    books.write(e.RunClaimed("w", 1))
    begun = books.now
    assert ledger.micros_left(books.state, begun + 4 * SECOND) == 6 * SECOND
    books.write(e.ApprovalRequested("i", "s", 1, "t", "1", Raw("{}"), "d", "why"))
    books.now += 86_400 * SECOND  # a person sleeps over it
    books.write(e.RunClaimed("w", 2))
    assert ledger.micros_left(books.state, books.now) == 9 * SECOND
    assert ledger.micros_left(books.state, books.now + 10 * SECOND) == -SECOND
    assert ledger.micros_left(Books().state, 0) is None


@pytest.mark.parametrize(
    ("at", "day"),
    [(0, "1970-01-01"), (86_400 * SECOND - 1, "1970-01-01"), (86_400 * SECOND, "1970-01-02")],
)
def test_a_day_begins_at_midnight_in_utc(at: int, day: str) -> None:
    assert ledger.day_of(at) == day


@pytest.mark.parametrize(
    ("nanousd", "text"),
    [
        (0, "$0"),
        (200_000_000, "$0.2"),
        (10_000_000_000, "$10"),
        (1_234_000, "$0.001234"),
        (-500_000_000, "$-0.5"),
    ],
)
def test_money_is_shown_in_dollars(nanousd: int, text: str) -> None:
    assert ledger.dollars(nanousd) == text


# ── warnings ─────────────────────────────────────────────────────────────────────────────────────


def warned_of(books: Books, **more: Any) -> dict[str, float | None]:
    return {one.unit: one.used for one in ledger.warnings(books.state, **more)}


def test_a_cap_that_is_mostly_used_warns_once() -> None:
    books = Books(nanousd=1000, tokens=100)
    books.settle(books.reserve(Bound(60, 19, 700)), answered("a0", 79, 799))
    assert warned_of(books) == {}
    books.settle(books.reserve(Bound(1, 0, 1)), answered("a1", 1, 1))
    assert warned_of(books) == {"nanousd": 800, "tokens": 80}
    for warned in ledger.warnings(books.state):
        books.write(warned)
    books.settle(books.reserve(Bound(1, 0, 100)), answered("a2", 1, 100))
    assert warned_of(books) == {}


def test_what_is_only_reserved_warns_nobody_and_what_is_held_does() -> None:
    """A worst case that turns out small is no news; one of which nobody knows what it cost counts as
    spent."""
    books = Books(nanousd=1000)
    books.reserve(Bound(1, 1, 900))
    assert warned_of(books) == {}
    books.die()
    assert warned_of(books) == {"nanousd": 900}


def test_calls_and_seconds_are_warned_of_too() -> None:
    books = Books(tool_calls=5, model_calls=5, seconds=100)
    books.write(e.RunClaimed("w", 1))
    began = books.now
    for number in range(4):
        books.settle(books.reserve(Bound(1, 1, 1)), answered(f"a{number}", 1, 1))
        books.write(e.CallIntended(f"c{number}", "s", 1, "t", "1", "read", Raw("{}"), "d", "k", 0))
    assert warned_of(books) == {"tool_calls": 4, "model_calls": 4}
    assert ledger.warn_at(books.state, books.now) == began + 80 * SECOND
    assert "seconds" not in warned_of(books, now=began + 80 * SECOND - 1)
    assert warned_of(books, now=began + 80 * SECOND)["seconds"] == 80


@pytest.mark.parametrize(
    "caps", [{}, {"tokens": None, "seconds": None}, {"tokens": 0, "nanousd": 0, "seconds": 0}]
)
def test_no_cap_and_a_cap_of_nothing_warn_nobody(caps: dict[str, Any]) -> None:
    books = Books(**caps)
    books.settle(books.reserve(Bound(1, 1, 1)), answered("a0", 1, 1))
    assert warned_of(books, now=10**12) == {}
    assert ledger.warn_at(books.state, 0) is None


@given(st.integers(1, 10**15))
def test_the_days_line_is_the_first_amount_that_is_most_of_its_cap(cap: int) -> None:
    line = ledger.most_of(cap)
    assert line * 100 >= cap * ledger.MOST > (line - 1) * 100
    assert 0 < line <= cap
