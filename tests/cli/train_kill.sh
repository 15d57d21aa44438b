# SIGKILL at random moments of training and saving, then a resume: nothing bad has a final name, and the end is that of an unbroken run.
exec bash "$(dirname "$0")/../faults/kill_random.sh" 6
