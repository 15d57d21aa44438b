# slow
# timeout: 5400
# What train_calls.sh does, two thousand times, on 4 ranks too.
exec bash "$(dirname "$0")/../faults/fail_calls.sh" 2000
