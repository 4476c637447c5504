"""Every error that Surefoot raises, in one tree.

An error says what failed, why, and what to do next, and carries a stable `code`. The same four
texts are what the journal keeps, the API answers and the console shows; nobody sees a stack trace.

    SurefootError
    ├── DefinitionError      the program itself is wrong; raised when it is built
    │   ├── MissingStep · WrongType · NoneNotAllowed · StepCycle · WrongFallback · ToolNotListed
    │   └── BadSignature · DuplicateName · PromptMissing · TargetError · Contradiction
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
    │                        WorkflowChanged · Poisoned
    ├── InboxError           ItemNotFound · ItemClosed · WrongDecision · NotAllowedToDecide
    └── StoreError           StoreUnavailable · StoreVersion · StaleLease · ChainBroken · KeyUnavailable
"""

from __future__ import annotations

from typing import Any, ClassVar


class SurefootError(Exception):
    """`what` failed, `why`, and the `remedy`; `data` holds machine-readable particulars."""

    code: ClassVar[str] = "error"
    default_remedy: ClassVar[str] = ""
    transient: bool = False
    """Whether another attempt may succeed without anybody changing anything."""
    retry_after: float | None = None
    """Seconds that the other side asked us to wait, where it said so."""

    def __init__(self, what: str, *, why: str = "", remedy: str = "", **data: Any) -> None:
        self.what = what
        self.why = why
        self.remedy = remedy or self.default_remedy
        self.data = data
        super().__init__(what)

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
    code = "definition"


class MissingStep(DefinitionError):
    code = "missing_step"


class WrongType(DefinitionError):
    code = "wrong_type"


class NoneNotAllowed(DefinitionError):
    code = "none_not_allowed"


class StepCycle(DefinitionError):
    code = "step_cycle"


class WrongFallback(DefinitionError):
    code = "wrong_fallback"


class ToolNotListed(DefinitionError):
    code = "tool_not_listed"


class BadSignature(DefinitionError):
    code = "bad_signature"


class DuplicateName(DefinitionError):
    code = "duplicate_name"
    default_remedy = "Give one of them another name (name=), or list it once."


class PromptMissing(DefinitionError):
    code = "prompt_missing"


class TargetError(DefinitionError):
    code = "target"


class Contradiction(DefinitionError):
    code = "contradiction"


# ── what came in ─────────────────────────────────────────────────────────────────────────────────


class InputError(SurefootError):
    code = "input"


class InvalidInput(InputError):
    code = "invalid_input"


class KeyConflict(InputError):
    code = "key_conflict"


class UsageError(InputError):
    code = "usage"


# ── tools ────────────────────────────────────────────────────────────────────────────────────────


class ToolError(SurefootError):
    code = "tool"


class CallRefused(ToolError):
    """Refused before anything was done."""

    code = "call_refused"


class InvalidArguments(CallRefused):
    code = "invalid_arguments"


class UnknownTool(CallRefused):
    code = "unknown_tool"


class ToolDenied(CallRefused):
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
    code = "output_invalid"


class OutputTruncated(ModelError):
    code = "output_truncated"


class TurnsExhausted(ModelError):
    code = "turns_exhausted"


# ── money and time ───────────────────────────────────────────────────────────────────────────────


class BudgetError(SurefootError):
    code = "budget"


class BudgetExceeded(BudgetError):
    code = "budget_exceeded"


class PriceUnknown(BudgetError):
    code = "price_unknown"


class TimedOut(SurefootError):
    code = "timed_out"
    transient = True


class StepTimedOut(TimedOut):
    code = "step_timed_out"


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────


class RunError(SurefootError):
    code = "run"


class StepFailed(RunError):
    """A step raised an error that is not one of ours."""

    code = "step_failed"


class RunNotFound(RunError):
    code = "run_not_found"


class RunNotFinished(RunError):
    code = "run_not_finished"


class RunCancelled(RunError):
    code = "run_cancelled"


class WorkflowChanged(RunError):
    code = "workflow_changed"


class Poisoned(RunError):
    code = "poisoned"


# ── the inbox ────────────────────────────────────────────────────────────────────────────────────


class InboxError(SurefootError):
    code = "inbox"


class ItemNotFound(InboxError):
    code = "item_not_found"


class ItemClosed(InboxError):
    code = "item_closed"


class WrongDecision(InboxError):
    code = "wrong_decision"


class NotAllowedToDecide(InboxError):
    code = "not_allowed_to_decide"


# ── the store ────────────────────────────────────────────────────────────────────────────────────


class StoreError(SurefootError):
    code = "store"


class StoreUnavailable(StoreError):
    code = "store_unavailable"


class StoreVersion(StoreError):
    code = "store_version"


class StaleLease(StoreError):
    """Another worker holds the run now: whoever gets this must stop acting for the run at once."""

    code = "stale_lease"


class ChainBroken(StoreError):
    code = "chain_broken"


class KeyUnavailable(StoreError):
    code = "key_unavailable"


def every_error() -> dict[str, type[SurefootError]]:
    """All classes by their code, for the catalogue in the docs and for raising a journaled error again."""
    found: dict[str, type[SurefootError]] = {}
    queue: list[type[SurefootError]] = [SurefootError]
    while queue:
        cls = queue.pop()
        found.setdefault(cls.code, cls)  # a user's own kind of Transient does not take the place of ours
        queue.extend(cls.__subclasses__())
    return found
