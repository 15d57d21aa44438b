# slow
# The program's reduction on simulated nodes takes what arithmetic says: the messages' bytes over the links' bandwidth where those are slow, next
# to nothing behind slow nodes, half with half the bytes, and all wait for the slowest node.
. "$(dirname "$0")/lib.sh"
command -v smpicc >/dev/null || skip "SimGrid is not installed (Debian: libsimgrid-dev)"

# simulate OPTIONS: sets step and exposed (ms), efficiency
simulate() {
    expect_exit 0 "$SOURCE/scripts/simulate" --folder "$HERE/simulate" --plain --steps 1 --jitter 0 "$@"
    read -r _ _ _ step exposed efficiency <"$OUT"
}
holds() { awk "BEGIN { exit !($1) }" || fail "not so: $1"; }

# 143 MB: each of two nodes sends half and then the sums of the other half; 1 Gb/s, of which 0.95 carries data and 1/1.05 of that both ways
for way in thread independent inline; do
    simulate --ways $way --nodes 2 --network 1 --rate 6400
    holds "$exposed > 1150 && $exposed < 1450"
done
least=$exposed
simulate --ways bf16 --nodes 2 --network 1 --rate 6400
holds "$exposed > 0.45 * $least && $exposed < 0.55 * $least"

simulate --ways "independent" --nodes 4 --rate 64
holds "$efficiency > 0.995 && $efficiency < 1.005"
simulate --ways "independent" --nodes 4 --rate 64 --slow 1 --slowness 1.05
holds "$step > 1058 && $step < 1065"

expect_exit 64 "$SOURCE/scripts/simulate" --folder "$HERE/simulate" --nodes 2 --ways other
expect_message "simulate: there is no way other"
