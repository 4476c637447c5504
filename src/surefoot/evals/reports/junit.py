"""JUnit XML, as build servers read it: a test case for each scenario.

Red is a failure. Inconclusive is an error, and never `skipped`, which builds show as green. What is wrong
with the suite as a whole is a test case of its own, so that no report is greener than its verdict.
"""

from __future__ import annotations

from xml.etree import ElementTree

from ..results import ScenarioResult, SuiteResult
from .words import controls_said, line, of_the_suite, usage_said, visible

SUITE = "the-suite-as-a-whole"


def to_junit(result: SuiteResult) -> str:
    name = f"surefoot.{result.workflow}"
    suite = ElementTree.Element("testsuite", name=visible(name))
    properties = ElementTree.SubElement(suite, "properties")
    facts = {
        "verdict": result.verdict,
        "lane": result.lane,
        "version": result.version,
        "negative_controls": controls_said(result) or "not tried",
        "usd": f"{result.usd:g}",
    }
    for key, value in facts.items():
        ElementTree.SubElement(properties, "property", name=key, value=line(value))
    for one in result.scenarios:
        _case(suite, name, one)
    whole = of_the_suite(result)
    if whole or (result.verdict != "green" and all(one.verdict == "green" for one in result.scenarios)):
        case = ElementTree.SubElement(suite, "testcase", classname=visible(name), name=SUITE, time="0")
        _wrong(case, result.verdict, "\n".join(whole) or f"the suite is {result.verdict}")
    if said := [
        *result.notes,
        *(f"not caught: {one.scenario}: {one.what}" for one in result.controls if not one.caught),
    ]:
        ElementTree.SubElement(suite, "system-out").text = visible("\n".join(said))
    counts = {
        "tests": len(suite.findall("testcase")),
        "failures": len(suite.findall("testcase/failure")),
        "errors": len(suite.findall("testcase/error")),
    }
    for element in (suite, root := ElementTree.Element("testsuites", name="surefoot")):
        for key, count in counts.items():
            element.set(key, str(count))
        element.set("skipped", "0")
        element.set("time", f"{result.took:.3f}")
    root.append(suite)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _case(suite: ElementTree.Element, name: str, one: ScenarioResult) -> None:
    took = sum(trial.took for trial in one.trials)
    case = ElementTree.SubElement(
        suite, "testcase", classname=visible(name), name=visible(one.id), time=f"{took:.3f}"
    )
    if one.verdict == "green":
        return
    _wrong(case, one.verdict, one.why or one.verdict)
    said = [usage_said(trial.usage) for trial in one.trials if trial.usage]
    said += [f"effect: {call}" for trial in one.trials for call in trial.calls]
    if said:
        ElementTree.SubElement(case, "system-out").text = visible("\n".join(said))


def _wrong(case: ElementTree.Element, verdict: str, why: str) -> None:
    kind = "failure" if verdict == "red" else "error"
    found = ElementTree.SubElement(case, kind, message=line(why, 300), type=verdict)
    found.text = visible(why)
