# One call of a save, of opening a run, or of the checkpoint job fails: the run goes on or ends as it should on all ranks, and nothing is lost.
RANKS="1 2" exec bash "$(dirname "$0")/../faults/fail_calls.sh" 18 1
