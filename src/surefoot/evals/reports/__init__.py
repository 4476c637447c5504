"""Reports of an eval: JSON JUnit for a build, Markdown for a pull request, a page of HTML to read.

Each is made of a `SuiteResult` by a module of its own, which is imported when it is asked for. What a model,
a tool or a customer wrote stands in all of them, and steers none of them: `words` makes it visible, and each
report escapes it for its own format.
"""

from .document import to_json

__all__ = ["to_json"]
