"""Every error that Surefoot raises, in one tree.

An error says what failed, why, and what to do next, and carries a stable `code`. The same four
texts are what the journal keeps, the API answers and the console shows; nobody sees a stack trace.
What a code means in general (usual causes, what helps, exit code, HTTP status) is data, in
error_catalogue.toml: an error without a remedy of its own has the first one from there, and
`docs` says where to read on. A class here without an entry there, or the reverse, fails a test.

    SurefootError
    ├── DefinitionError      the program itself is wrong; raised when it is built
    │   ├── MissingStep · WrongType · NoneNotAllowed · StepCycle · WrongFallback · ToolNotListed
    │   └── BadSignature · DuplicateName · PromptMissing · TargetError
    ├── InputError           what came in from outside is wrong: InvalidInput · KeyConflict · UsageError
    ├── ToolError            a step sees these from `run.call`
    │   ├── CallRefused      before the intent, so nothing happened: InvalidArguments · UnknownTool ·
    │   │                    ToolDenied (permission) · Denied (a rule or a person)
    │   ├── NotDone          a tool's own word that nothing happened
    │   ├── Transient        a tool's word that trying again may help
    │   └── CallUnknown · InvalidResult · GivenUp      it happened, or may have
    ├── ModelError           a step sees these from `run.ask`
    │   └── ModelUnavailable · ModelRefused · OutputInvalid · OutputTruncated · TurnsExhausted
    ├── BudgetError          BudgetExceeded · PriceUnknown
    ├── TimedOut             StepTimedOut
    ├── RunError             StepFailed · RunNotFound · RunNotFinished · RunCancelled ·
    │                        WorkflowChanged · Poisoned · PutBack · IntakeClosed
    ├── InboxError           ItemNotFound · ItemClosed · WrongDecision · NotAllowedToDecide
    ├── RequestError         what an HTTP request is refused for: BadRequest · NotAuthenticated ·
    │                        ScopeMissing · CrossSite · NoSuchPage · TooLarge · QueueFull ·
    │                        TooManyLogins · Draining
    ├── StoreError           StoreUnavailable · StoreVersion · StaleLease · KeyUnavailable
    └── SystemFailed · Interrupted · Unexpected    what is no error of ours, told as one
"""

from __future__ import annotations

from typing import Any, ClassVar

from .catalogue import PAGE, Entry, default_remedy, entry


class SurefootError(Exception):
    """`what` failed, `why`, and the `remedy`; `data` holds machine-readable particulars."""

    code: ClassVar[str] = "error"
    transient: bool = False
    """Whether another attempt may succeed without anybody changing anything."""
    retry_after: float | None = None
    """Seconds that the other side asked us to wait, where it said so."""
    status: int | None = None
    """Of an HTTP answer, where another one is more exact than its code's."""

    def __init__(self, what: str, *, why: str = "", remedy: str = "", **data: Any) -> None:
        self.what = what
        self.why = why
        self.remedy = remedy or self._default_remedy()
        self.data = data
        super().__init__(what)

    @classmethod
    def entry(cls) -> Entry | None:
        """What the catalogue says of it; of a user's own kind, what it says of ours that it is a kind of."""
        codes = [base.code for base in cls.__mro__ if issubclass(base, SurefootError)]
        return next((found for code in codes if (found := entry(code))), None)

    @classmethod
    def _default_remedy(cls) -> str:
        found = cls.entry()
        return found.remedy[0] if found else default_remedy(cls.code)

    @property
    def docs(self) -> str:
        """Page and anchor that tell more of it: made from the code, never stored."""
        found = self.entry()
        return found.docs if found else PAGE

    def __str__(self) -> str:
        text = self.what
        if self.why:
            text += f"; {self.why}"
        if not text.endswith((".", "?", "!")):
            text += "."
        return f"{text} {self.remedy}" if self.remedy else text

    def __reduce__(self) -> Any:
        return (_rebuild, (type(self), self.what, self.why, self.remedy, self.data, self.__dict__))


def _rebuild(
    cls: type[SurefootError], what: str, why: str, remedy: str, data: dict[str, Any], state: dict[str, Any]
) -> SurefootError:
    error = cls.__new__(cls)
    SurefootError.__init__(error, what, why=why, remedy=remedy, **data)
    error.__dict__.update(state)
    return error


# ── the definition ───────────────────────────────────────────────────────────────────────────────


class DefinitionError(SurefootError):
    """The program itself is wrong: its author mends it, and nothing has run."""

    code = "definition"


class MissingStep(DefinitionError):
    """A parameter names neither a step nor the input."""

    code = "missing_step"


class WrongType(DefinitionError):
    """A step takes another type than the step that it names gives."""

    code = "wrong_type"


class NoneNotAllowed(DefinitionError):
    """A step may give None, and the step that takes it does not allow for that."""

    code = "none_not_allowed"


class StepCycle(DefinitionError):
    """Steps wait for each other in a circle."""

    code = "step_cycle"


class WrongFallback(DefinitionError):
    """A fallback gives another type than its step, or takes what the step does not."""

    code = "wrong_fallback"


class ToolNotListed(DefinitionError):
    """A step or a rule uses a tool that is not in tools=: the list is the allowlist."""

    code = "tool_not_listed"


class BadSignature(DefinitionError):
    """A step, tool or rule is written so that its inputs or outputs cannot be known."""

    code = "bad_signature"


class DuplicateName(DefinitionError):
    """Two steps, tools or resources have one name."""

    code = "duplicate_name"


class PromptMissing(DefinitionError):
    """A prompt's file is not beside the module of its step, or is no UTF-8 text."""

    code = "prompt_missing"


class TargetError(DefinitionError):
    """`module:object` names no workflow that can be imported."""

    code = "target"


# ── what came in ─────────────────────────────────────────────────────────────────────────────────


class InputError(SurefootError):
    """What came in from outside is wrong."""

    code = "input"


class InvalidInput(InputError):
    """An input, or a result that a person gave, does not fit its type."""

    code = "invalid_input"


class KeyConflict(InputError):
    """A key belongs to a run with another input."""

    code = "key_conflict"


class UsageError(InputError):
    """A command, a parameter or a setting is used wrongly."""

    code = "usage"


# ── tools ────────────────────────────────────────────────────────────────────────────────────────


class ToolError(SurefootError):
    """Something about a call of a tool; a step sees these from `run.call`."""

    code = "tool"


class CallRefused(ToolError):
    """Refused before anything was done."""

    code = "call_refused"


class InvalidArguments(CallRefused):
    """A call's arguments do not fit the tool's schema."""

    code = "invalid_arguments"


class UnknownTool(CallRefused):
    """A call names a tool that is not listed, or not for this ask."""

    code = "unknown_tool"


class ToolDenied(CallRefused):
    """A call needs a permission that the workflow, its deployment or the run's starter does not grant."""

    code = "tool_denied"


class Denied(CallRefused):
    """A rule or a person said no. `reason` is theirs; `by` is who, or the rule."""

    code = "denied"

    def __init__(self, what: str, *, why: str = "", remedy: str = "", **data: Any) -> None:
        super().__init__(what, why=why, remedy=remedy, **data)
        self.reason: str = why
        self.by: str = str(data.get("by", ""))


class NotDone(ToolError):
    """Raised by a tool: nothing happened, for this reason. Only this may be believed after the intent."""

    code = "not_done"

    def __init__(
        self, what: str, *, why: str = "", remedy: str = "", transient: bool = False, **data: Any
    ) -> None:
        super().__init__(what, why=why, remedy=remedy, **data)
        self.transient = transient


class Transient(ToolError):
    """Raised by a tool: it did not work now and may work later. It says nothing on whether it happened."""

    code = "transient"
    transient = True

    def __init__(
        self, what: str, *, why: str = "", remedy: str = "", retry_after: float | None = None, **data: Any
    ) -> None:
        super().__init__(what, why=why, remedy=remedy, **data)
        self.retry_after = retry_after


class CallUnknown(ToolError):
    """The call may have happened; another attempt follows the tool's effect class."""

    code = "call_unknown"
    transient = True


class InvalidResult(ToolError):
    """The call happened, and its answer does not fit the declared output."""

    code = "invalid_result"


class GivenUp(ToolError):
    """A person gave up on a call whose outcome nobody knows."""

    code = "given_up"


# ── models ───────────────────────────────────────────────────────────────────────────────────────


class ModelError(SurefootError):
    """`charged` is False only where the provider surely did not bill the request."""

    code = "model"
    charged: bool = True


class ModelUnavailable(ModelError):
    """Not reached, overloaded, rate limited, cut off or timed out: another try or model may answer."""

    code = "model_unavailable"
    transient = True

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        remedy: str = "",
        charged: bool = True,
        retry_after: float | None = None,
        **data: Any,
    ) -> None:
        super().__init__(what, why=why, remedy=remedy, **data)
        self.charged = charged
        self.retry_after = retry_after


class ModelRefused(ModelError):
    """A definite no (bad key, bad request, unknown model, refused schema): the same try cannot succeed."""

    code = "model_refused"

    def __init__(
        self, what: str, *, why: str = "", remedy: str = "", charged: bool = False, **data: Any
    ) -> None:
        super().__init__(what, why=why, remedy=remedy, **data)
        self.charged = charged


class OutputInvalid(ModelError):
    """No answer fitted the output's type, or a step gave something that is not its declared type."""

    code = "output_invalid"


class OutputTruncated(ModelError):
    """An answer was cut off at max_tokens: half an answer is none."""

    code = "output_truncated"


class TurnsExhausted(ModelError):
    """An ask used all its turns without coming to an answer."""

    code = "turns_exhausted"


# ── money and time ───────────────────────────────────────────────────────────────────────────────


class BudgetError(SurefootError):
    """Something about money, tokens, calls or time that a run may use."""

    code = "budget"


class BudgetExceeded(BudgetError):
    """The worst case of the next call does not fit what is left; nothing was sent."""

    code = "budget_exceeded"


class PriceUnknown(BudgetError):
    """Nobody knows what a model costs, and a budget over a guess is no budget."""

    code = "price_unknown"


class TimedOut(SurefootError):
    """Something took longer than it may."""

    code = "timed_out"
    transient = True


class StepTimedOut(TimedOut):
    """One attempt at a step took longer than its timeout=; what was under way was stopped."""

    code = "step_timed_out"


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────


class RunError(SurefootError):
    """Something about a run as a whole."""

    code = "run"


class StepFailed(RunError):
    """A step raised an error that is not one of ours."""

    code = "step_failed"


class RunNotFound(RunError):
    """The store has no such run, or its journal was deleted."""

    code = "run_not_found"


class RunNotFinished(RunError):
    """What was asked for needs a run that has ended, and failed."""

    code = "run_not_finished"


class RunCancelled(RunError):
    """Somebody cancelled the run."""

    code = "run_cancelled"


class WorkflowChanged(RunError):
    """The code has changed in what a run has already done, so the run waits for a person."""

    code = "workflow_changed"


class Poisoned(RunError):
    """Workers died or lost the run one after the other, so it waits for a person."""

    code = "poisoned"


class PutBack(RunError):
    """The run came back with a backup, so it waits for a person."""

    code = "put_back"


class IntakeClosed(RunError):
    """A workflow takes no new runs now: somebody closed its intake."""

    code = "intake_closed"


# ── the inbox ────────────────────────────────────────────────────────────────────────────────────


class InboxError(SurefootError):
    """Something about a decision."""

    code = "inbox"


class ItemNotFound(InboxError):
    """The store has no such inbox item."""

    code = "item_not_found"


class ItemClosed(InboxError):
    """Somebody decided first, the time to decide is over, or the run has moved on."""

    code = "item_closed"


class WrongDecision(InboxError):
    """The item, or the run, cannot be decided this way."""

    code = "wrong_decision"


class NotAllowedToDecide(InboxError):
    """The item is for a group that this person does not belong to."""

    code = "not_allowed_to_decide"


# ── the service ──────────────────────────────────────────────────────────────────────────────────


class RequestError(SurefootError):
    """A request to the service was refused before anything came of it."""

    code = "request"

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        remedy: str = "",
        status: int | None = None,
        retry_after: float | None = None,
        **data: Any,
    ) -> None:
        super().__init__(what, why=why, remedy=remedy, **data)
        self.status = status
        self.retry_after = retry_after


class BadRequest(RequestError):
    """It is not of the form that the API's document describes."""

    code = "bad_request"


class NotAuthenticated(RequestError):
    """It brings no token that holds, and no session of the console."""

    code = "not_authenticated"


class ScopeMissing(RequestError):
    """Its token holds, and does not have the scope that this needs."""

    code = "scope_missing"


class CrossSite(RequestError):
    """A browser sent it for another site, or under a host name that this service does not go by."""

    code = "cross_site"


class NoSuchPage(RequestError):
    """The service has nothing at this address, or nothing that answers this method."""

    code = "no_such_page"


class TooLarge(RequestError):
    """Its body or its headers are larger than the service takes."""

    code = "too_large"


class QueueFull(RequestError):
    """As many runs wait as the deployment allows."""

    code = "queue_full"
    transient = True


class TooManyLogins(RequestError):
    """Too many logins from there have failed; for a while none is tried."""

    code = "too_many_logins"
    transient = True


class Draining(RequestError):
    """The service is being stopped: it takes no new runs."""

    code = "draining"
    transient = True


# ── the store ────────────────────────────────────────────────────────────────────────────────────


class StoreError(SurefootError):
    """Something about the place where runs live."""

    code = "store"


class StoreUnavailable(StoreError):
    """The store cannot be opened, read or written."""

    code = "store_unavailable"


class StoreVersion(StoreError):
    """A newer Surefoot wrote the store, or this event of it."""

    code = "store_version"


class StaleLease(StoreError):
    """Another worker holds the run now: whoever gets this must stop acting for the run at once."""

    code = "stale_lease"


class KeyUnavailable(StoreError):
    """A key that opens sealed values is missing, damaged or forgotten on purpose."""

    code = "key_unavailable"


# ── what is no error of ours, told as one ────────────────────────────────────────────────────────


class SystemFailed(SurefootError):
    """The operating system refused something outside the store: a file, a pipe, a full disk."""

    code = "system"


class Interrupted(SurefootError):
    """Ctrl-C, or SIGTERM."""

    code = "interrupted"


class Unexpected(SurefootError):
    """An exception that nobody thought of: a bug of ours, or of what a user's code does outside a step."""

    code = "unexpected"


def every_error() -> dict[str, type[SurefootError]]:
    """All classes by their code, for the catalogue in the docs and for raising a journaled error again."""
    found: dict[str, type[SurefootError]] = {}
    queue: list[type[SurefootError]] = [SurefootError]
    while queue:
        cls = queue.pop()
        found.setdefault(cls.code, cls)  # a user's own kind of Transient does not take the place of ours
        queue.extend(cls.__subclasses__())
    return found
