# Faults by count; sourced after lib.sh:  . "$(dirname "$0")/fault_lib.sh"
# tools/faultshim.c makes the Nth write, fsync, rename, send.. of a program fail. The programs are those of the plain build.
#
#   faulty FAULT COMMAND..      runs it with SHUNT_FAULT=FAULT; what was reached is noted in $FAULT_LOG
#   met                         whether the fault was reached since the log was emptied
SHIM=$PLAIN/tests/e2e/tools/faultshim.so
FAULT_LOG=$W/fault.log
SHUNT=$PLAIN/shunt PROXY=$PLAIN/shunt-proxy
[ -e "$SHIM" ] || cannot_run "no $SHIM: make check TESTS= builds it"
faulty() { env LD_PRELOAD="$SHIM" SHUNT_FAULT="$1" SHUNT_FAULT_LOG="$FAULT_LOG" "${@:2}"; }
met() { [ -s "$FAULT_LOG" ]; }
