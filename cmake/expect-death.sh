#!/usr/bin/env bash
# Runs a program that must die, and checks its exit status and its last words.
#   expect-death.sh [--exit=2|SIGSEGV] [--stderr=REGEX]... -- program [arg]...
set -uo pipefail
want='' patterns=()
while [ "$1" != -- ]; do
  case $1 in
    --exit=*) want=${1#*=} ;;
    --stderr=*) patterns+=("${1#*=}") ;;
    *) echo "expect-death: what is $1?" >&2; exit 64 ;;
  esac
  shift
done
shift
case $want in SIG*) want=$((128 + $(kill -l "${want#SIG}"))) ;; esac

words=$("$@" 2>&1 >/dev/null)
got=$?
printf '%s\n' "$words"
fail=0
if [ -n "$want" ] && [ "$got" -ne "$want" ]; then
  echo "expect-death: exit status $got instead of $want"; fail=1
elif [ "$got" -eq 0 ]; then
  echo "expect-death: it lived"; fail=1
fi
for p in ${patterns[@]+"${patterns[@]}"}; do
  grep -Eq -- "$p" <<<"$words" || { echo "expect-death: no line matches: $p"; fail=1; }
done
exit $fail
