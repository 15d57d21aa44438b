# slow
# timeout: 3600
# What train_kill.sh does, 200 times.
exec bash "$(dirname "$0")/../faults/kill_random.sh" 200
