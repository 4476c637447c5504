#!/usr/bin/env bash
# One comment for a pull request, found again by its first line. That it cannot be written (a fork's token may
# only read) is a warning: the verdict does not hang on it.
set -euo pipefail

mark="<!-- surefoot-eval -->"
[ -s "$EVAL_FOLDER/eval.md" ] || exit 0
body="$EVAL_FOLDER/comment.md"
{ echo "$mark"; cat "$EVAL_FOLDER/eval.md"; } >"$body"

comments="repos/$EVAL_REPOSITORY/issues/$EVAL_NUMBER/comments"
tell() {
  local known
  known="$(gh api "$comments" --paginate --jq \
    ".[] | select(.user.type == \"Bot\" and (.body | startswith(\"$mark\"))) | .id" | sed -n 1p)" || return 1
  if [ -n "$known" ]; then
    gh api --method PATCH "repos/$EVAL_REPOSITORY/issues/comments/$known" -F "body=@$body" --silent
  else
    gh api --method POST "$comments" -F "body=@$body" --silent
  fi
}
tell || echo "::warning::the pull request could not be told; the verdict stands in the step's summary"
