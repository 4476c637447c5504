#!/usr/bin/env bash
# Runs the scenarios. Ends with 0 whatever came of it, so that the reports are kept; the action's last step
# ends with the code that stands in the output `code`.
set -uo pipefail

folder="${RUNNER_TEMP:?}/surefoot-eval-${GITHUB_RUN_ATTEMPT:-1}-$$"
mkdir -p "$folder"

words=()
if [ -n "${EVAL_TARGET:-}" ]; then words+=("$EVAL_TARGET"); fi
read -r -a more <<<"${EVAL_ARGUMENTS:-}" || true

# What a workflow prints is text here, and no command to the runner.
quiet="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
echo "::stop-commands::$quiet"
code=0
"${EVAL_PYTHON:-python}" -m surefoot eval ${words[@]+"${words[@]}"} ${more[@]+"${more[@]}"} --json \
  --junit "$folder/eval.xml" --markdown "$folder/eval.md" --html "$folder/eval.html" \
  >"$folder/eval.json" || code=$?
verdict="$("${EVAL_PYTHON:-python}" -c \
  'import json, sys; print(json.load(open(sys.argv[1], encoding="utf-8")).get("verdict", ""))' \
  "$folder/eval.json" 2>/dev/null)" || verdict=""
if [ -s "$folder/eval.md" ]; then cat "$folder/eval.md"; else cat "$folder/eval.json"; fi
echo "::$quiet::"

case "$verdict" in green | red | inconclusive) ;; *) verdict="" ;; esac
# No verdict is no pass, whatever the code says.
if [ -z "$verdict" ] && [ "$code" -eq 0 ]; then code=1; fi
{
  echo "code=$code"
  echo "verdict=$verdict"
  echo "folder=$folder"
} >>"${GITHUB_OUTPUT:?}"
if [ -s "$folder/eval.md" ]; then cat "$folder/eval.md" >>"${GITHUB_STEP_SUMMARY:?}"; fi
exit 0
